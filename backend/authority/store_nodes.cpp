// Devices, agents and entries (store.h).
#include "authority/store.h"
#include "authority/store_values.h"

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
#define LINTEL_DEVICE_COLUMNS                                                                                          \
    "id, ek, spiffe_id, agent_id, name, kind, site, space, tags, state, enrolled_by, vendor, hardware, release, "      \
    "verdict, pcrs, enrolled_at, approved_at, attested_at, revoked_at, last_accepted_at, revoked_why, "                \
    "key_in_tpm"
#define LINTEL_AGENT_COLUMNS                                                                                           \
    "id, type, serial, expires_at, new_serial, new_expires_at, banned, can_reattest, selectors, key_hash, "            \
    "new_key_hash, ek, version, first_seen, last_seen"
#define LINTEL_ENTRY_COLUMNS                                                                                           \
    "id, spiffe_id, parent_id, selectors, x509_ttl, jwt_ttl, hint, dns, federates, admin, downstream, store_svid, "    \
    "expires_at, revision, created_at, key_bound, of_device"

void bindDevice(sqlite::Statement &statement, const Device &device)
{
    statement.bind(device.ekHash).bind(device.spiffeId.toString()).bind(device.agentId.toString());
    statement.bind(device.facts.name).bind(device.facts.kind).bind(device.facts.site).bind(device.facts.space);
    statement.bind(toColumn(device.facts.tags)).bind(int(device.state)).bind(int(device.enrolledBy));
    statement.bind(device.vendor).bind(device.facts.hardware).bind(device.facts.release).bind(int(device.verdict));
    statement.bind(toColumn(device.pcrs));
    for (const Timestamp t :
         {device.enrolledAt, device.approvedAt, device.attestedAt, device.revokedAt, device.lastAcceptedAt})
        statement.bind(toEpochMillis(t));
    statement.bind(device.revokedWhy).bind(int(device.keyIsInTpm));
}

Device deviceFrom(const sqlite::Statement &row)
{
    const auto time = [&](int column) { return fromEpochMillis(row.integer(column)); };
    Device device;
    device.id = row.integer(0);
    device.ekHash = row.text(1);
    device.spiffeId = idOf(row.text(2));
    device.agentId = idOf(row.text(3));
    device.facts = {row.text(4),          row.text(5),  row.text(6), row.text(7),
                    textsOf(row.text(8)), row.text(12), row.text(13)};
    device.state = DeviceState(row.integer(9));
    device.enrolledBy = EnrolledBy(row.integer(10));
    device.vendor = row.text(11);
    device.verdict = BootVerdict(row.integer(14));
    device.pcrs = pcrsOf(row.text(15));
    device.enrolledAt = time(16);
    device.approvedAt = time(17);
    device.attestedAt = time(18);
    device.revokedAt = time(19);
    device.lastAcceptedAt = time(20);
    device.revokedWhy = row.text(21);
    device.keyIsInTpm = row.integer(22) != 0;
    return device;
}

Agent agentFrom(const sqlite::Statement &row)
{
    const auto time = [&](int column) { return fromEpochMillis(row.integer(column)); };
    Agent agent;
    agent.id = idOf(row.text(0));
    agent.attestationType = row.text(1);
    agent.serial = row.text(2);
    agent.expiresAt = time(3);
    agent.newSerial = row.text(4);
    agent.newExpiresAt = time(5);
    agent.isBanned = row.integer(6) != 0;
    agent.canReattest = row.integer(7) != 0;
    agent.selectors = selectorsOf(row.text(8));
    agent.keyHash = row.blob(9);
    agent.newKeyHash = row.blob(10);
    agent.ekHash = row.text(11);
    agent.version = row.text(12);
    agent.firstSeenAt = time(13);
    agent.lastSeenAt = time(14);
    return agent;
}

Entry entryFrom(const sqlite::Statement &row)
{
    Entry entry;
    entry.id = row.text(0);
    entry.spiffeId = idOf(row.text(1));
    entry.parentId = idOf(row.text(2));
    entry.selectors = selectorsOf(row.text(3));
    entry.x509Ttl = std::chrono::seconds{row.integer(4)};
    entry.jwtTtl = std::chrono::seconds{row.integer(5)};
    entry.hint = row.text(6);
    entry.dnsNames = textsOf(row.text(7));
    entry.federatesWith = domainsOf(row.text(8));
    entry.admin = row.integer(9) != 0;
    entry.downstream = row.integer(10) != 0;
    entry.storeSvid = row.integer(11) != 0;
    entry.expiresAt = fromEpochMillis(row.integer(12));
    entry.revision = row.integer(13);
    entry.createdAt = fromEpochMillis(row.integer(14));
    entry.keyBound = row.integer(15) != 0;
    return entry;
}
} // namespace

// --- Devices -------------------------------------------------------------------------------------

Result<qint64> Store::addDevice(const Device &device)
{
    auto insert = m_database->prepare("INSERT INTO devices (" LINTEL_DEVICE_COLUMNS ") VALUES "
                                      "(NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) RETURNING id");
    if (!insert)
        return insert.error();
    bindDevice(*insert, device);
    const auto row = insert->step();
    if (!row)
        return row.error();
    return insert->integer(0);
}

Result<void> Store::updateDevice(const Device &device)
{
    auto update = m_database->prepare(
        "UPDATE devices SET ek=?, spiffe_id=?, agent_id=?, name=?, kind=?, site=?, space=?, tags=?, state=?, "
        "enrolled_by=?, vendor=?, hardware=?, release=?, verdict=?, pcrs=?, enrolled_at=?, approved_at=?, "
        "attested_at=?, revoked_at=?, last_accepted_at=?, revoked_why=?, key_in_tpm=? WHERE id=?");
    if (!update)
        return update.error();
    bindDevice(*update, device);
    update->bind(device.id);
    return update->run();
}

Result<QList<Device>> Store::readDevices(sqlite::Statement &query)
{
    return collect(query, [](const sqlite::Statement &row) { return deviceFrom(row); });
}

Result<std::optional<Device>> Store::firstDevice(sqlite::Statement &query)
{
    const auto devices = readDevices(query);
    if (!devices)
        return devices.error();
    return devices->isEmpty() ? std::nullopt : std::optional(devices->first());
}

Result<QList<Device>> Store::devices(std::optional<DeviceState> state)
{
    auto query = m_database->prepare("SELECT " LINTEL_DEVICE_COLUMNS
                                     " FROM devices WHERE ?1 < 0 OR state = ?1 ORDER BY spiffe_id, id");
    if (!query)
        return query.error();
    query->bind(state ? int(*state) : -1);
    return readDevices(*query);
}

Result<std::optional<Device>> Store::deviceByEk(const QString &ekHash)
{
    auto query = m_database->prepare("SELECT " LINTEL_DEVICE_COLUMNS
                                     " FROM devices WHERE ek = ? ORDER BY state = 2, id DESC LIMIT 1");
    if (!query)
        return query.error();
    query->bind(ekHash);
    return firstDevice(*query);
}

Result<std::optional<Device>> Store::deviceById(const SpiffeId &id)
{
    auto query = m_database->prepare("SELECT " LINTEL_DEVICE_COLUMNS
                                     " FROM devices WHERE spiffe_id = ? ORDER BY state = 2, id DESC LIMIT 1");
    if (!query)
        return query.error();
    query->bind(id.toString());
    return firstDevice(*query);
}

Result<std::optional<Device>> Store::deviceByAgent(const SpiffeId &agent)
{
    auto query = m_database->prepare("SELECT " LINTEL_DEVICE_COLUMNS
                                     " FROM devices WHERE agent_id = ? ORDER BY state = 2, id DESC LIMIT 1");
    if (!query)
        return query.error();
    query->bind(agent.toString());
    return firstDevice(*query);
}

Result<QList<Device>> Store::devicesLike(const QString &which)
{
    auto query = m_database->prepare("SELECT " LINTEL_DEVICE_COLUMNS
                                     " FROM devices WHERE spiffe_id = ?1 OR name = ?1 OR ek = lower(?1) "
                                     "OR (length(?1) >= 8 AND substr(ek, 1, length(?1)) = lower(?1)) "
                                     "ORDER BY state = 2, id DESC");
    if (!query)
        return query.error();
    query->bind(which);
    return readDevices(*query);
}

Result<QList<Device>> Store::latestDevices(DeviceState state, int most)
{
    auto query =
        m_database->prepare("SELECT " LINTEL_DEVICE_COLUMNS " FROM devices WHERE state = ? ORDER BY id DESC LIMIT ?");
    if (!query)
        return query.error();
    query->bind(int(state)).bind(most);
    return readDevices(*query);
}

Result<int> Store::countDevices(DeviceState state)
{
    auto query = m_database->prepare("SELECT COUNT(*) FROM devices WHERE state = ?");
    if (!query)
        return query.error();
    query->bind(int(state));
    if (const auto row = query->step(); !row)
        return row.error();
    return int(query->integer(0));
}

// --- Agents --------------------------------------------------------------------------------------

Result<void> Store::putAgent(const Agent &agent)
{
    auto put = m_database->prepare("INSERT OR REPLACE INTO agents (" LINTEL_AGENT_COLUMNS
                                   ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    if (!put)
        return put.error();
    put->bind(agent.id.toString()).bind(agent.attestationType).bind(agent.serial).bind(toEpochMillis(agent.expiresAt));
    put->bind(agent.newSerial).bind(toEpochMillis(agent.newExpiresAt)).bind(int(agent.isBanned));
    put->bind(int(agent.canReattest)).bind(toColumn(agent.selectors)).bind(agent.keyHash).bind(agent.newKeyHash);
    put->bind(agent.ekHash).bind(agent.version).bind(toEpochMillis(agent.firstSeenAt));
    return put->bind(toEpochMillis(agent.lastSeenAt)).run();
}

Result<QList<Agent>> Store::readAgents(sqlite::Statement &query)
{
    return collect(query, [](const sqlite::Statement &row) { return agentFrom(row); });
}

Result<std::optional<Agent>> Store::agent(const SpiffeId &id)
{
    auto query = m_database->prepare("SELECT " LINTEL_AGENT_COLUMNS " FROM agents WHERE id = ?");
    if (!query)
        return query.error();
    query->bind(id.toString());
    const auto found = readAgents(*query);
    if (!found)
        return found.error();
    return found->isEmpty() ? std::nullopt : std::optional(found->first());
}

Result<QList<Agent>> Store::agents()
{
    auto query = m_database->prepare("SELECT " LINTEL_AGENT_COLUMNS " FROM agents ORDER BY id");
    if (!query)
        return query.error();
    return readAgents(*query);
}

Result<bool> Store::deleteAgent(const SpiffeId &id)
{
    return deleteOne("DELETE FROM agents WHERE id = ?", id.toString());
}

Result<void> Store::setLastSeen(const SpiffeId &id, Timestamp at)
{
    auto update = m_database->prepare("UPDATE agents SET last_seen = ? WHERE id = ?");
    if (!update)
        return update.error();
    return update->bind(toEpochMillis(at)).bind(id.toString()).run();
}

Result<void> Store::forgetAgents(Timestamp expiredBefore)
{
    auto forget =
        m_database->prepare("DELETE FROM agents WHERE banned = 0 AND expires_at < ?1 AND new_expires_at < ?1");
    if (!forget)
        return forget.error();
    return forget->bind(toEpochMillis(expiredBefore)).run();
}

// --- Entries -------------------------------------------------------------------------------------

Result<void> Store::putEntry(const Entry &entry, qint64 deviceId)
{
    auto put =
        m_database->prepare("INSERT INTO entries (" LINTEL_ENTRY_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
                            "ON CONFLICT (id) DO UPDATE SET spiffe_id=excluded.spiffe_id, "
                            "parent_id=excluded.parent_id, selectors=excluded.selectors, "
                            "x509_ttl=excluded.x509_ttl, jwt_ttl=excluded.jwt_ttl, hint=excluded.hint, "
                            "dns=excluded.dns, federates=excluded.federates, admin=excluded.admin, "
                            "downstream=excluded.downstream, store_svid=excluded.store_svid, "
                            "expires_at=excluded.expires_at, revision=excluded.revision");
    if (!put)
        return put.error();
    put->bind(entry.id).bind(entry.spiffeId.toString()).bind(entry.parentId.toString()).bind(toColumn(entry.selectors));
    put->bind(qint64(entry.x509Ttl.count())).bind(qint64(entry.jwtTtl.count())).bind(entry.hint);
    put->bind(toColumn(entry.dnsNames)).bind(toColumn(entry.federatesWith)).bind(int(entry.admin));
    put->bind(int(entry.downstream)).bind(int(entry.storeSvid)).bind(toEpochMillis(entry.expiresAt));
    put->bind(entry.revision).bind(toEpochMillis(entry.createdAt)).bind(int(entry.keyBound));
    return put->bind(deviceId).run();
}

Result<QList<Entry>> Store::entries()
{
    auto query = m_database->prepare("SELECT " LINTEL_ENTRY_COLUMNS " FROM entries ORDER BY created_at, id");
    if (!query)
        return query.error();
    return collect(*query, [](const sqlite::Statement &row) { return entryFrom(row); });
}

Result<bool> Store::deleteEntry(const QString &id)
{
    return deleteOne("DELETE FROM entries WHERE id = ?", id);
}

Result<void> Store::deleteEntriesOf(qint64 deviceId)
{
    auto remove = m_database->prepare("DELETE FROM entries WHERE of_device = ?");
    if (!remove)
        return remove.error();
    return remove->bind(deviceId).run();
}

Result<qint64> Store::forgetEntries(Timestamp expiredBefore)
{
    auto forget = m_database->prepare("DELETE FROM entries WHERE expires_at > 0 AND expires_at < ?");
    if (!forget)
        return forget.error();
    if (const auto ran = forget->bind(toEpochMillis(expiredBefore)).run(); !ran)
        return ran.error();
    return m_database->changes();
}

} // namespace lintel::authority
