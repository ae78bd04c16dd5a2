#include "authority/store.h"

#include "authority/authority_schema.h"
#include "authority/store_values.h"

#include <QCryptographicHash>
#include <QDir>
#include <QFile>
#include <QtEndian>

namespace lintel::authority {

using namespace Qt::StringLiterals;

Result<std::unique_ptr<Store>> Store::open(const QString &stateDir, const QByteArray &vfs)
{
    sqlite::DatabaseOptions options;
    options.vfs = vfs;
    options.cacheBytes = 2 * 1024 * 1024;
    options.walBytes = 4 * 1024 * 1024;
    auto database = sqlite::Database::open(fileIn(stateDir), options);
    if (!database)
        return database.error();
    if (const auto migrated = (*database)->migrate(authorityMigrations()); !migrated)
        return migrated.error();
    return std::unique_ptr<Store>(new Store(std::move(*database)));
}

QString Store::fileIn(const QString &stateDir)
{
    return QDir(stateDir).filePath(u"authority.db"_s);
}

Result<bool> Store::deleteOne(const char *sql, const QString &key)
{
    auto remove = m_database->prepare(sql);
    if (!remove)
        return remove.error();
    if (const auto ran = remove->bind(key).run(); !ran)
        return ran.error();
    return m_database->changes() > 0;
}

// --- Small numbers and texts ---------------------------------------------------------------------

Result<std::optional<QString>> Store::meta(const QString &key)
{
    auto query = m_database->prepare("SELECT value FROM meta WHERE key = ?");
    if (!query)
        return query.error();
    const auto row = query->bind(key).step();
    if (!row)
        return row.error();
    return *row ? std::optional(query->text(0)) : std::nullopt;
}

Result<void> Store::setMeta(const QString &key, const QString &value)
{
    auto put = m_database->prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)");
    if (!put)
        return put.error();
    return put->bind(key).bind(value).run();
}

Result<quint64> Store::number(const QString &key)
{
    const auto value = meta(key);
    if (!value)
        return value.error();
    return value->value_or(u"0"_s).toULongLong();
}

Result<quint64> Store::nextNumber(const QString &key, Timestamp now)
{
    const auto last = number(key);
    if (!last)
        return last.error();
    const auto seconds = quint64(qMax<qint64>(0, toEpochMillis(now) / 1'000));
    const quint64 next = qMax(*last + 1, seconds);
    if (const auto set = setMeta(key, QString::number(next)); !set)
        return set.error();
    return next;
}

// --- Tokens --------------------------------------------------------------------------------------

Result<void> Store::putToken(const TokenRow &row)
{
    auto put = m_database->prepare(
        "INSERT OR REPLACE INTO tokens (token, expires_at, spiffe_id, spent_by, spent_at) VALUES (?,?,?,?,?)");
    if (!put)
        return put.error();
    put->bind(row.token.token).bind(toEpochMillis(row.token.expiresAt)).bind(row.token.spiffeId.toString());
    return put->bind(row.spentBy).bind(toEpochMillis(row.spentAt)).run();
}

Result<std::optional<Store::TokenRow>> Store::token(const QString &token)
{
    auto query =
        m_database->prepare("SELECT token, expires_at, spiffe_id, spent_by, spent_at FROM tokens WHERE token = ?");
    if (!query)
        return query.error();
    const auto row = query->bind(token).step();
    if (!row)
        return row.error();
    if (!*row)
        return std::optional<TokenRow>();
    return std::optional(TokenRow{{query->text(0), fromEpochMillis(query->integer(1)), idOf(query->text(2))},
                                  query->blob(3),
                                  fromEpochMillis(query->integer(4))});
}

Result<bool> Store::deleteToken(const QString &token)
{
    return deleteOne("DELETE FROM tokens WHERE token = ?", token);
}

Result<void> Store::forgetTokens(Timestamp expiredBefore)
{
    auto forget = m_database->prepare("DELETE FROM tokens WHERE expires_at < ?");
    if (!forget)
        return forget.error();
    return forget->bind(toEpochMillis(expiredBefore)).run();
}

// --- Federation ----------------------------------------------------------------------------------

Result<void> Store::putOfDomain(const char *sql, const TrustDomain &domain, const QByteArray &bytes)
{
    auto put = m_database->prepare(sql);
    if (!put)
        return put.error();
    return put->bind(domain.name()).bind(bytes).run();
}

Result<QMap<TrustDomain, QByteArray>> Store::allOfDomains(const char *sql)
{
    auto query = m_database->prepare(sql);
    if (!query)
        return query.error();
    QMap<TrustDomain, QByteArray> all;
    const auto read = forEachRow(*query, [&all](const sqlite::Statement &row) {
        if (const auto domain = TrustDomain::parse(row.text(0)))
            all.insert(*domain, row.blob(1));
    });
    return read ? Result<QMap<TrustDomain, QByteArray>>(all) : read.error();
}

Result<void> Store::putBundle(const TrustDomain &domain, const QByteArray &document)
{
    return putOfDomain("INSERT OR REPLACE INTO bundles (domain, document) VALUES (?, ?)", domain, document);
}

Result<QMap<TrustDomain, QByteArray>> Store::bundles()
{
    return allOfDomains("SELECT domain, document FROM bundles");
}

Result<bool> Store::deleteBundle(const TrustDomain &domain)
{
    if (const auto gone = deleteOne("DELETE FROM federated_denials WHERE domain = ?", domain.name()); !gone)
        return gone;
    return deleteOne("DELETE FROM bundles WHERE domain = ?", domain.name());
}

Result<void> Store::putFederatedDenyList(const TrustDomain &domain, const QByteArray &jws)
{
    return putOfDomain("INSERT OR REPLACE INTO federated_denials (domain, jws) VALUES (?, ?)", domain, jws);
}

Result<QMap<TrustDomain, QByteArray>> Store::federatedDenyLists()
{
    return allOfDomains("SELECT domain, jws FROM federated_denials");
}

Result<void> Store::putRelationship(const FederationRelationship &relationship)
{
    auto put = m_database->prepare("INSERT OR REPLACE INTO relationships "
                                   "(domain, url, profile, endpoint_id, refreshed_at, problem) VALUES (?,?,?,?,?,?)");
    if (!put)
        return put.error();
    put->bind(relationship.domain.name()).bind(relationship.url).bind(int(relationship.profile));
    put->bind(relationship.endpointId.toString()).bind(toEpochMillis(relationship.refreshedAt));
    return put->bind(relationship.problem).run();
}

Result<QList<FederationRelationship>> Store::relationships()
{
    auto query = m_database->prepare(
        "SELECT domain, url, profile, endpoint_id, refreshed_at, problem FROM relationships ORDER BY domain");
    if (!query)
        return query.error();
    QList<FederationRelationship> list;
    const auto read = forEachRow(*query, [&list](const sqlite::Statement &row) {
        if (const auto domain = TrustDomain::parse(row.text(0)))
            list.append({*domain, row.text(1), EndpointProfile(row.integer(2)), idOf(row.text(3)),
                         fromEpochMillis(row.integer(4)), row.text(5)});
    });
    return read ? Result<QList<FederationRelationship>>(list) : read.error();
}

Result<bool> Store::deleteRelationship(const TrustDomain &domain)
{
    return deleteOne("DELETE FROM relationships WHERE domain = ?", domain.name());
}

// --- CA ------------------------------------------------------------------------------------------

Result<QList<CaKey>> Store::caKeys()
{
    auto query = m_database->prepare("SELECT label, kind, phase, certificate, public_key, not_before, not_after "
                                     "FROM ca_keys ORDER BY kind, not_before, label");
    if (!query)
        return query.error();
    return collect(*query, [](const sqlite::Statement &row) {
        return CaKey{
            CaKind(row.integer(1)),          CaPhase(row.integer(2)),        row.text(0), row.blob(3), row.blob(4),
            fromEpochMillis(row.integer(5)), fromEpochMillis(row.integer(6))};
    });
}

Result<void> Store::replaceCaKeys(const QList<CaKey> &keys)
{
    if (const auto cleared = m_database->execute("DELETE FROM ca_keys"); !cleared)
        return cleared;
    auto put = m_database->prepare("INSERT INTO ca_keys (label, kind, phase, certificate, public_key, not_before, "
                                   "not_after) VALUES (?,?,?,?,?,?,?)");
    if (!put)
        return put.error();
    for (const CaKey &key : keys) {
        put->bind(key.label).bind(int(key.kind)).bind(int(key.phase)).bind(key.certificateDer).bind(key.publicKeyDer);
        put->bind(toEpochMillis(key.notBefore)).bind(toEpochMillis(key.notAfter));
        if (const auto done = put->run(); !done)
            return done;
    }
    return {};
}

Result<QStringList> Store::looseKeys()
{
    auto query = m_database->prepare("SELECT label FROM loose_keys ORDER BY label");
    if (!query)
        return query.error();
    const auto labels = collect(*query, [](const sqlite::Statement &row) { return row.text(0); });
    return labels ? Result<QStringList>(QStringList(*labels)) : labels.error();
}

Result<void> Store::addLooseKey(const QString &label)
{
    auto add = m_database->prepare("INSERT OR IGNORE INTO loose_keys (label) VALUES (?)");
    if (!add)
        return add.error();
    return add->bind(label).run();
}

Result<void> Store::dropLooseKey(const QString &label)
{
    const auto dropped = deleteOne("DELETE FROM loose_keys WHERE label = ?", label);
    return dropped ? Result<void>() : dropped.error();
}

// --- Audit ---------------------------------------------------------------------------------------

QByteArray Store::auditHash(const QByteArray &previous, const AuditRecord &record)
{
    QCryptographicHash hash(QCryptographicHash::Sha256);
    hash.addData(previous);
    const auto number = [&hash](qint64 value) {
        const qint64 bytes = qToBigEndian(value);
        hash.addData(QByteArrayView(reinterpret_cast<const char *>(&bytes), sizeof bytes));
    };
    number(record.number);
    number(toEpochMillis(record.at));
    for (const QString &text : {record.actor, record.action, record.subject, record.details}) {
        const QByteArray utf8 = text.toUtf8();
        number(utf8.size()); // so that no text can flow into the next one
        hash.addData(utf8);
    }
    return hash.result();
}

Result<void> Store::audit(Timestamp at, const QString &actor, const QString &action, const QString &subject,
                          const QString &details)
{
    auto last = m_database->prepare("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1");
    if (!last)
        return last.error();
    const auto row = last->step();
    if (!row)
        return row.error();
    AuditRecord record{*row ? last->integer(0) + 1 : 1, at, actor, action, subject, details, {}};
    record.hash = auditHash(*row ? last->blob(1) : QByteArray(), record);
    last->reset();
    auto add = m_database->prepare(
        "INSERT INTO audit (number, at, actor, action, subject, details, hash) VALUES (?,?,?,?,?,?,?)");
    if (!add)
        return add.error();
    add->bind(record.number).bind(toEpochMillis(at)).bind(actor).bind(action).bind(subject).bind(details);
    return add->bind(record.hash).run();
}

Result<QList<AuditRecord>> Store::auditRecords(qint64 afterNumber, int limit, const QStringList &subjects)
{
    QByteArray sql = "SELECT number, at, actor, action, subject, details, hash FROM audit WHERE number > ?"_ba;
    if (!subjects.isEmpty())
        sql += " AND subject IN (?" + QByteArray(",?").repeated(subjects.size() - 1) + ')';
    sql += " ORDER BY number LIMIT ?";
    auto query = m_database->prepare(sql.constData());
    if (!query)
        return query.error();
    query->bind(afterNumber);
    for (const QString &subject : subjects)
        query->bind(subject);
    query->bind(limit);
    return collect(*query, [](const sqlite::Statement &row) {
        return AuditRecord{
            row.integer(0), fromEpochMillis(row.integer(1)), row.text(2), row.text(3), row.text(4), row.text(5),
            row.blob(6)};
    });
}

Result<void> Store::copyTo(const QString &file)
{
    // The target must exist with its mode before the secrets go in, and VACUUM INTO takes an empty one.
    QFile target(file);
    if (!target.open(QIODevice::WriteOnly | QIODevice::NewOnly)
        || !target.setPermissions(QFile::ReadOwner | QFile::WriteOwner))
        return Error{Errc::Io, u"The copy %1 cannot be made: %2."_s.arg(file, target.errorString())};
    target.close();
    auto vacuum = m_database->prepare("VACUUM INTO ?");
    if (!vacuum)
        return vacuum.error();
    return vacuum->bind(file).run();
}

} // namespace lintel::authority
