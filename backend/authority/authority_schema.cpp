#include "authority/authority_schema.h"

#include <array>

namespace lintel::authority {

namespace {

// Times are milliseconds since 1970, 0 for never. Lists are JSON. States are the numbers of the
// enums in records.h and ca.h, which therefore never change their order.
constexpr auto kFirst = R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE devices (
  id INTEGER PRIMARY KEY,
  ek TEXT NOT NULL, spiffe_id TEXT NOT NULL, agent_id TEXT NOT NULL,
  name TEXT NOT NULL, kind TEXT NOT NULL, site TEXT NOT NULL, space TEXT NOT NULL, tags TEXT NOT NULL,
  state INTEGER NOT NULL, enrolled_by INTEGER NOT NULL, vendor TEXT NOT NULL,
  hardware TEXT NOT NULL, release TEXT NOT NULL, verdict INTEGER NOT NULL, pcrs TEXT NOT NULL,
  enrolled_at INTEGER NOT NULL, approved_at INTEGER NOT NULL, attested_at INTEGER NOT NULL,
  revoked_at INTEGER NOT NULL, last_accepted_at INTEGER NOT NULL, revoked_why TEXT NOT NULL);
CREATE UNIQUE INDEX devices_by_ek ON devices (ek) WHERE ek <> '' AND state <> 2;
CREATE UNIQUE INDEX devices_by_id ON devices (spiffe_id) WHERE spiffe_id <> '' AND state <> 2;
CREATE INDEX devices_every_ek ON devices (ek);
CREATE INDEX devices_by_name ON devices (name);

CREATE TABLE agents (
  id TEXT PRIMARY KEY, type TEXT NOT NULL, serial TEXT NOT NULL, expires_at INTEGER NOT NULL,
  new_serial TEXT NOT NULL, new_expires_at INTEGER NOT NULL, banned INTEGER NOT NULL,
  can_reattest INTEGER NOT NULL, selectors TEXT NOT NULL, key_hash BLOB NOT NULL, new_key_hash BLOB NOT NULL,
  ek TEXT NOT NULL, version TEXT NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE entries (
  id TEXT PRIMARY KEY, spiffe_id TEXT NOT NULL, parent_id TEXT NOT NULL, selectors TEXT NOT NULL,
  x509_ttl INTEGER NOT NULL, jwt_ttl INTEGER NOT NULL, hint TEXT NOT NULL, dns TEXT NOT NULL,
  federates TEXT NOT NULL, admin INTEGER NOT NULL, downstream INTEGER NOT NULL, store_svid INTEGER NOT NULL,
  expires_at INTEGER NOT NULL, revision INTEGER NOT NULL, created_at INTEGER NOT NULL,
  key_bound INTEGER NOT NULL, of_device INTEGER NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX entries_once ON entries (spiffe_id, parent_id, selectors);
CREATE INDEX entries_of_device ON entries (of_device);

CREATE TABLE tokens (
  token TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, spiffe_id TEXT NOT NULL,
  spent_by BLOB NOT NULL, spent_at INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE bundles (domain TEXT PRIMARY KEY, document BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE relationships (
  domain TEXT PRIMARY KEY, url TEXT NOT NULL, profile INTEGER NOT NULL, endpoint_id TEXT NOT NULL,
  refreshed_at INTEGER NOT NULL, problem TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE ca_keys (
  label TEXT PRIMARY KEY, kind INTEGER NOT NULL, phase INTEGER NOT NULL, certificate BLOB NOT NULL,
  public_key BLOB NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE attestations (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, agent_id TEXT NOT NULL, ek TEXT NOT NULL, address TEXT NOT NULL,
  quote BLOB NOT NULL, signature BLOB NOT NULL, pcrs TEXT NOT NULL, verdict INTEGER NOT NULL, change TEXT NOT NULL);
CREATE INDEX attestations_by_ek ON attestations (ek, id);
CREATE TABLE reference_values (
  hardware TEXT NOT NULL, release TEXT NOT NULL, pcrs TEXT NOT NULL, PRIMARY KEY (hardware, release)) WITHOUT ROWID;

CREATE TABLE deny (
  id INTEGER PRIMARY KEY, spiffe_id TEXT NOT NULL, serial TEXT NOT NULL, ek TEXT NOT NULL, at INTEGER NOT NULL,
  why TEXT NOT NULL, origin TEXT NOT NULL, issued_before INTEGER NOT NULL, until INTEGER NOT NULL);

CREATE TABLE audit (
  number INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  subject TEXT NOT NULL, details TEXT NOT NULL, hash BLOB NOT NULL);
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is only ever added to'); END;
CREATE TRIGGER audit_is_fixed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is only ever added to'); END;
)sql";

// The last deny list of each federated domain, as its authority signed it.
constexpr auto kSecond = R"sql(
CREATE TABLE federated_denials (domain TEXT PRIMARY KEY, jws BLOB NOT NULL) WITHOUT ROWID;
)sql";

// What a verdict rests on, the event log it came with (event_logs.hash), and who was turned away. Refusals are no
// part of the audit trail: anybody on the network can cause them, so they are merged and the oldest go.
constexpr auto kThird = R"sql(
ALTER TABLE attestations ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE attestations ADD COLUMN event_log BLOB NOT NULL DEFAULT x'';
CREATE INDEX attestations_by_log ON attestations (event_log) WHERE event_log <> x'';
CREATE TABLE event_logs (hash BLOB PRIMARY KEY, log BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE refusals (
  id INTEGER PRIMARY KEY, address TEXT NOT NULL, subject TEXT NOT NULL, reason TEXT NOT NULL,
  first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, count INTEGER NOT NULL);
)sql";

// Private keys that no row of ca_keys needs, or not yet: named here before they are made, and until they are
// destroyed, so that no failure and no crash leaves one behind. When a device that waits came last, and from where.
// What a broker last accepted of a revoked workload, as devices have it.
constexpr auto kFourth = R"sql(
CREATE TABLE loose_keys (label TEXT PRIMARY KEY) WITHOUT ROWID;
ALTER TABLE devices ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN address TEXT NOT NULL DEFAULT '';
CREATE INDEX devices_by_state ON devices (state, seen_at);
ALTER TABLE deny ADD COLUMN last_accepted_at INTEGER NOT NULL DEFAULT 0;
)sql";

// Whether a device's last attestation certified that its key is in its TPM. One type of attestation always does.
constexpr auto kFifth = R"sql(
ALTER TABLE devices ADD COLUMN key_in_tpm INTEGER NOT NULL DEFAULT 0;
UPDATE devices SET key_in_tpm = 1 WHERE attested_at <> 0 AND agent_id LIKE '%/spire/agent/lintel_tpm/%';
)sql";

// The trail about one device, without reading all of it.
constexpr auto kSixth = R"sql(
CREATE INDEX audit_by_subject ON audit (subject, number);
)sql";

constexpr std::array kMigrations{sqlite::Migration{kFirst},  sqlite::Migration{kSecond}, sqlite::Migration{kThird},
                                 sqlite::Migration{kFourth}, sqlite::Migration{kFifth},  sqlite::Migration{kSixth}};

} // namespace

std::span<const sqlite::Migration> authorityMigrations()
{
    return kMigrations;
}

} // namespace lintel::authority
