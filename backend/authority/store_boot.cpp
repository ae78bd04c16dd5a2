// Attestations with their evidence, reference values and refusals (store.h).
#include "authority/store.h"
#include "authority/store_values.h"

#include <QCryptographicHash>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
constexpr int kAttestationsKept = 50; // of one device, besides those where something changed
constexpr int kChangesKept = 500;     // of one device
constexpr int kLogsKept = 8;          // different event logs of one device
constexpr int kRefusalsKept = 5'000;
} // namespace

Result<void> Store::addAttestation(const AttestationRecord &record)
{
    // Boot after boot the log is the same, so it is kept once.
    QByteArray logHash;
    if (!record.eventLog.isEmpty()) {
        logHash = QCryptographicHash::hash(record.eventLog, QCryptographicHash::Sha256);
        auto keep = m_database->prepare("INSERT OR IGNORE INTO event_logs (hash, log) VALUES (?, ?)");
        if (!keep)
            return keep.error();
        if (const auto kept = keep->bind(logHash).bind(qCompress(record.eventLog)).run(); !kept)
            return kept;
    }
    auto add = m_database->prepare("INSERT INTO attestations (at, agent_id, ek, address, quote, signature, pcrs, "
                                   "verdict, change, reason, event_log) VALUES (?,?,?,?,?,?,?,?,?,?,?)");
    if (!add)
        return add.error();
    add->bind(toEpochMillis(record.at)).bind(record.agentId.toString()).bind(record.ekHash).bind(record.address);
    add->bind(record.quote).bind(record.quoteSignature).bind(toColumn(record.pcrs)).bind(int(record.verdict));
    if (const auto added = add->bind(record.change).bind(record.reason).bind(logHash).run(); !added)
        return added;
    const auto trim = [&](const char *sql, int kept) -> Result<void> {
        auto statement = m_database->prepare(sql);
        if (!statement)
            return statement.error();
        return statement->bind(record.ekHash).bind(kept).run();
    };
    if (auto trimmed = trim("DELETE FROM attestations WHERE ek = ?1 AND change = '' AND id <= "
                            "(SELECT id FROM attestations WHERE ek = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                            kAttestationsKept);
        !trimmed)
        return trimmed;
    if (auto trimmed = trim("DELETE FROM attestations WHERE ek = ?1 AND id <= "
                            "(SELECT id FROM attestations WHERE ek = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                            kChangesKept);
        !trimmed)
        return trimmed;
    return trim("UPDATE attestations SET event_log = x'' WHERE ek = ?1 AND event_log IN "
                "(SELECT event_log FROM attestations WHERE ek = ?1 AND event_log <> x'' "
                "GROUP BY event_log ORDER BY MAX(id) DESC LIMIT -1 OFFSET ?2)",
                kLogsKept);
}

Result<void> Store::forgetEventLogs()
{
    return m_database->execute("DELETE FROM event_logs WHERE NOT EXISTS "
                               "(SELECT 1 FROM attestations WHERE attestations.event_log = event_logs.hash)");
}

Result<QList<AttestationRecord>> Store::attestations(const QString &ekHash, int newest)
{
    auto query = m_database->prepare("SELECT id, at, agent_id, ek, address, quote, signature, pcrs, verdict, change, "
                                     "reason, COALESCE(log, x'') FROM attestations "
                                     "LEFT JOIN event_logs ON event_logs.hash = attestations.event_log "
                                     "WHERE ek = ? ORDER BY id DESC LIMIT ?");
    if (!query)
        return query.error();
    query->bind(ekHash).bind(newest);
    QList<AttestationRecord> records;
    while (true) {
        const auto row = query->step();
        if (!row)
            return row.error();
        if (!*row)
            return records;
        const QByteArray log = query->blob(11);
        records.append({query->integer(0), fromEpochMillis(query->integer(1)), idOf(query->text(2)), query->text(3),
                        query->text(4), query->blob(5), query->blob(6), pcrsOf(query->text(7)),
                        BootVerdict(query->integer(8)), query->text(9), query->text(10),
                        log.isEmpty() ? QByteArray() : qUncompress(log)});
    }
}

Result<void> Store::putReferenceValues(const ReferenceValues &values)
{
    auto put = m_database->prepare("INSERT OR REPLACE INTO reference_values (hardware, release, pcrs) VALUES (?,?,?)");
    if (!put)
        return put.error();
    return put->bind(values.hardware).bind(values.release).bind(toColumn(values.pcrs)).run();
}

Result<QList<ReferenceValues>> Store::referenceValues()
{
    auto query = m_database->prepare("SELECT hardware, release, pcrs FROM reference_values ORDER BY 1, 2");
    if (!query)
        return query.error();
    QList<ReferenceValues> values;
    while (true) {
        const auto row = query->step();
        if (!row)
            return row.error();
        if (!*row)
            return values;
        values.append({query->text(0), query->text(1), referencesOf(query->text(2))});
    }
}

Result<bool> Store::deleteReferenceValues(const QString &hardware, const QString &release)
{
    auto remove = m_database->prepare("DELETE FROM reference_values WHERE hardware = ? AND release = ?");
    if (!remove)
        return remove.error();
    if (const auto ran = remove->bind(hardware).bind(release).run(); !ran)
        return ran.error();
    return m_database->changes() > 0;
}

Result<void> Store::addRefusals(const QList<Refusal> &refusals)
{
    auto add = m_database->prepare(
        "INSERT INTO refusals (address, subject, reason, first_at, last_at, count) VALUES (?,?,?,?,?,?)");
    if (!add)
        return add.error();
    for (const Refusal &refusal : refusals) {
        add->bind(refusal.address).bind(refusal.subject).bind(refusal.reason).bind(toEpochMillis(refusal.firstAt));
        if (const auto added = add->bind(toEpochMillis(refusal.lastAt)).bind(refusal.count).run(); !added)
            return added;
    }
    auto trim = m_database->prepare(
        "DELETE FROM refusals WHERE id <= (SELECT id FROM refusals ORDER BY id DESC LIMIT 1 OFFSET ?)");
    if (!trim)
        return trim.error();
    return trim->bind(kRefusalsKept).run();
}

Result<QList<Refusal>> Store::refusals(int newest)
{
    auto query = m_database->prepare(
        "SELECT address, subject, reason, first_at, last_at, count FROM refusals ORDER BY id DESC LIMIT ?");
    if (!query)
        return query.error();
    query->bind(newest);
    QList<Refusal> refusals;
    while (true) {
        const auto row = query->step();
        if (!row)
            return row.error();
        if (!*row)
            return refusals;
        refusals.append({query->text(0), query->text(1), query->text(2), fromEpochMillis(query->integer(3)),
                         fromEpochMillis(query->integer(4)), query->integer(5)});
    }
}

} // namespace lintel::authority
