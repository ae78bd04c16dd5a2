// The deny list, and what was last accepted of those on it (store.h).
#include "authority/authority_config.h"
#include "authority/store.h"
#include "authority/store_values.h"

namespace lintel::authority {

using namespace Qt::StringLiterals;

Result<void> Store::addDenied(const tls::DenyEntry &entry, const SpiffeId &origin, Timestamp until)
{
    auto add = m_database->prepare(
        "INSERT INTO deny (spiffe_id, serial, ek, at, why, origin, issued_before, until) VALUES (?,?,?,?,?,?,0,?)");
    if (!add)
        return add.error();
    add->bind(entry.id ? entry.id->toString() : QString()).bind(entry.serial).bind(entry.ekHash);
    add->bind(toEpochMillis(entry.revokedAt)).bind(entry.reason).bind(origin.toString());
    return add->bind(toEpochMillis(until)).run();
}

Result<void> Store::boundDenied(Timestamp until)
{
    auto bound = m_database->prepare("UPDATE deny SET until = ? WHERE until = 0");
    if (!bound)
        return bound.error();
    return bound->bind(toEpochMillis(until)).run();
}

Result<QList<tls::DenyEntry>> Store::denied()
{
    auto query = m_database->prepare("SELECT spiffe_id, serial, ek, at, why, issued_before FROM deny ORDER BY id");
    if (!query)
        return query.error();
    return collect(*query, [](const sqlite::Statement &row) {
        tls::DenyEntry entry;
        if (const SpiffeId id = idOf(row.text(0)); !id.isEmpty())
            entry.id = id;
        entry.serial = row.text(1);
        entry.ekHash = row.text(2);
        entry.revokedAt = fromEpochMillis(row.integer(3));
        entry.reason = row.text(4);
        if (const qint64 before = row.integer(5); before > 0)
            entry.issuedBefore = fromEpochMillis(before);
        return entry;
    });
}

Result<qint64> Store::limitDenied(const SpiffeId &origin, const QString &ekHash, Timestamp before, Timestamp until)
{
    auto limit =
        m_database->prepare("UPDATE deny SET issued_before = ?1, until = max(until, ?2) "
                            "WHERE issued_before = 0 AND ((?3 <> '' AND origin = ?3) OR (?4 <> '' AND ek = ?4))");
    if (!limit)
        return limit.error();
    limit->bind(toEpochMillis(before)).bind(toEpochMillis(until)).bind(origin.toString()).bind(ekHash);
    if (const auto ran = limit->run(); !ran)
        return ran.error();
    return m_database->changes();
}

Result<qint64> Store::forgetDenied(Timestamp now)
{
    auto forget = m_database->prepare("DELETE FROM deny WHERE until > 0 AND until < ?");
    if (!forget)
        return forget.error();
    if (const auto ran = forget->bind(toEpochMillis(now)).run(); !ran)
        return ran.error();
    return m_database->changes();
}

Result<std::optional<Store::Accepted>> Store::lastAccepted(const SpiffeId &id)
{
    const auto device = deviceById(id);
    if (!device)
        return device.error();
    if (*device)
        return (*device)->state == DeviceState::Revoked
                   ? std::optional(Accepted{(*device)->revokedAt, (*device)->lastAcceptedAt})
                   : std::optional<Accepted>();
    auto query = m_database->prepare("SELECT max(at), max(last_accepted_at), count(*) FROM deny "
                                     "WHERE spiffe_id = ? AND issued_before = 0");
    if (!query)
        return query.error();
    const auto row = query->bind(id.toString()).step();
    if (!row)
        return row.error();
    if (!*row || query->integer(2) == 0)
        return std::optional<Accepted>();
    return std::optional(Accepted{fromEpochMillis(query->integer(0)), fromEpochMillis(query->integer(1))});
}

Result<void> Store::setLastAccepted(const SpiffeId &id, Timestamp at)
{
    for (const char *sql : {"UPDATE devices SET last_accepted_at = ?1 WHERE id = (SELECT id FROM devices "
                            "WHERE spiffe_id = ?2 ORDER BY state = 2, id DESC LIMIT 1) AND state = 2",
                            "UPDATE deny SET last_accepted_at = ?1 WHERE spiffe_id = ?2 AND issued_before = 0"}) {
        auto update = m_database->prepare(sql);
        if (!update)
            return update.error();
        if (const auto ran = update->bind(toEpochMillis(at)).bind(id.toString()).run(); !ran)
            return ran;
    }
    return {};
}

Result<qint64> Store::deleteEntriesOfRevoked()
{
    // Denied for its own sake and not let in again since; or the name of devices that are all revoked. What was
    // denied because of its host stays: it comes back when that one is enrolled anew.
    auto remove = m_database->prepare(
        "DELETE FROM entries WHERE spiffe_id IN (SELECT spiffe_id FROM deny WHERE spiffe_id <> ''"
        " AND spiffe_id = origin AND issued_before = 0)"
        " OR spiffe_id IN (SELECT spiffe_id FROM devices WHERE spiffe_id <> '' AND state = ?1 AND spiffe_id NOT IN"
        " (SELECT spiffe_id FROM devices WHERE state <> ?1))");
    if (!remove)
        return remove.error();
    if (const auto ran = remove->bind(qint64(DeviceState::Revoked)).run(); !ran)
        return ran.error();
    return m_database->changes();
}

Result<void> Store::mergeDenyList(const tls::DenyList &published)
{
    const auto known = denied();
    if (!known)
        return known.error();
    for (const tls::DenyEntry &entry : published.entries) {
        if (entry.issuedBefore || known->contains(entry))
            continue;
        auto device = !entry.ekHash.isEmpty() ? deviceByEk(entry.ekHash)
                      : entry.id              ? deviceById(*entry.id)
                                              : Result<std::optional<Device>>(std::optional<Device>());
        if (!device)
            return device.error();
        SpiffeId origin = entry.id.value_or(SpiffeId());
        if (*device) {
            origin = (*device)->spiffeId;
            if ((*device)->state != DeviceState::Revoked) {
                (*device)->state = DeviceState::Revoked;
                (*device)->revokedAt = entry.revokedAt;
                (*device)->revokedWhy = entry.reason;
                if (const auto updated = updateDevice(**device); !updated)
                    return updated;
                if (const auto gone = deleteEntriesOf((*device)->id); !gone)
                    return gone;
            }
        }
        auto denying = addDenied(entry, origin, {});
        if (!denying)
            return denying;
        if (entry.id && entry.id->path().startsWith(agentPath(kJoinToken)))
            if (const auto spent = deleteToken(entry.id->path().section(u'/', -1)); !spent)
                return spent.error();
        const auto agentOf = entry.id ? agent(*entry.id) : Result<std::optional<Agent>>(std::optional<Agent>());
        if (!agentOf)
            return agentOf.error();
        if (*agentOf) {
            Agent banned = **agentOf;
            banned.isBanned = true;
            if (const auto put = putAgent(banned); !put)
                return put;
        }
    }
    if (const auto gone = deleteEntriesOfRevoked(); !gone)
        return gone.error();
    const auto last = number(u"deny.sequence"_s);
    if (!last)
        return last.error();
    return setMeta(u"deny.sequence"_s, QString::number(qMax(*last, published.sequence)));
}

} // namespace lintel::authority
