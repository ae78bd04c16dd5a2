// What the authority knows, as values: devices, agents, registration entries (SPIRE's terms), join
// tokens, federation, attestations, reference values and the audit trail. Values only; any thread.
#pragma once

#include "domain/spiffe_id.h"
#include "domain/timestamp.h"
#include "tls/bundle_document.h"

#include <QByteArray>
#include <QList>
#include <QMap>
#include <QString>
#include <QStringList>

#include <chrono>
#include <optional>

namespace lintel::authority {

struct Selector {
    QString type;
    QString value;
    friend bool operator==(const Selector &, const Selector &) = default;
    friend bool operator<(const Selector &a, const Selector &b)
    {
        return a.type != b.type ? a.type < b.type : a.value < b.value;
    }
    friend size_t qHash(const Selector &s, size_t seed = 0) { return qHashMulti(seed, s.type, s.value); }
};
/// Sorted, each one once.
using Selectors = QList<Selector>;

// --- Devices -------------------------------------------------------------------------------------

enum class DeviceState { Pending, Approved, Revoked };
enum class EnrolledBy {
    EkHash,            // an operator named the hash of its endorsement key
    VendorCertificate, // it asked by itself, with a certificate of a known maker
    FirstContact,      // it asked by itself, with a chip of an unknown maker
    JoinToken,         // no chip: a token and a software key
};
/// What the boot measurements of the last attestation said.
enum class BootVerdict {
    NotMeasured, // no quote, or all registers are zero: "identity verified, boot not measured"
    NoReference, // measured, but nobody has said what it should be
    Matches,
    Differs,
    LogContradicts, // measured, but the event log that came along does not lead to the quoted registers
};

/// What an operator says about a device.
struct DeviceFacts {
    QString name; // last part of its SPIFFE ID: letters, digits, '.', '-', '_'
    QString kind; // "sensor", "gateway", …
    QString site;
    QString space;
    QStringList tags;
    QString hardware = {}; // with `release`: which reference values its boot is compared with
    QString release = {};
    friend bool operator==(const DeviceFacts &, const DeviceFacts &) = default;
};

struct Device {
    qint64 id = 0;
    QString ekHash;    // lower-case hex SHA-256 of the EK's SubjectPublicKeyInfo; empty: no chip
    SpiffeId spiffeId; // empty while nobody has named it
    SpiffeId agentId;  // the SPIRE agent that it attests as; empty before the first time
    DeviceFacts facts;
    DeviceState state = DeviceState::Pending;
    EnrolledBy enrolledBy = EnrolledBy::EkHash;
    QString vendor; // who made its chip, by an EK certificate that was verified
    BootVerdict verdict = BootVerdict::NotMeasured;
    QMap<int, QByteArray> pcrs; // of the last attestation
    bool keyIsInTpm = false;    // likewise: its key was certified to be in its TPM; then the next must be, too
    Timestamp enrolledAt{};
    Timestamp approvedAt{}; // zero: never, also below
    Timestamp attestedAt{};
    Timestamp revokedAt{};
    Timestamp lastAcceptedAt{}; // last message that a broker accepted of it, once revoked
    QString revokedWhy;
};

/// A device that waits for approval.
struct WaitingDevice {
    QString ekHash;
    QString vendor; // as in Device
    Timestamp firstAt{};
    Timestamp lastAt{}; // this and what follows since the authority started; zero: not since then
    QString address;
    qint64 attempts = 0;
};
struct WaitingDevices {
    QList<WaitingDevice> latest; // those that came last first
    qint64 total = 0;
};

// --- Agents --------------------------------------------------------------------------------------

struct Agent {
    SpiffeId id;
    QString attestationType; // "tpm", "lintel_tpm", "join_token"
    QString serial;          // upper-case hex; of the SVID in use
    Timestamp expiresAt{};
    QString newSerial; // after a renewal, until it is used for the first time; else empty
    Timestamp newExpiresAt{};
    bool isBanned = false;
    bool canReattest = false;
    Selectors selectors;
    QByteArray keyHash;    // SHA-256 of the SubjectPublicKeyInfo of its SVID
    QByteArray newKeyHash; // of its renewed SVID; empty when there is none
    QString ekHash;        // empty: no chip
    QString version;       // as it last posted
    Timestamp firstSeenAt{};
    Timestamp lastSeenAt{};
};

struct AgentFilter {
    std::optional<bool> isBanned;
    QString attestationType; // empty: any
    std::optional<Timestamp> expiresBefore;
    std::optional<bool> canReattest;
};

// --- Registration entries ------------------------------------------------------------------------

struct Entry {
    QString id; // chosen by the authority when empty
    SpiffeId spiffeId;
    SpiffeId parentId;
    Selectors selectors;             // at least one
    std::chrono::seconds x509Ttl{0}; // 0: the authority's
    std::chrono::seconds jwtTtl{0};
    QString hint;
    QStringList dnsNames;
    QList<TrustDomain> federatesWith;
    bool admin = false;
    bool downstream = false;
    bool storeSvid = false;
    Timestamp expiresAt{}; // zero: never
    qint64 revision = 0;
    Timestamp createdAt{};
    /// Its SVIDs go to the attested key only: set on the entry that an enrolment made for the device.
    bool keyBound = false;
};

/// Empty fields do not count.
struct EntryFilter {
    SpiffeId spiffeId;
    SpiffeId parentId;
    QString hint;
    Selectors selectors; // exactly these
    std::optional<bool> downstream;
};

// --- Federation ----------------------------------------------------------------------------------

enum class EndpointProfile { HttpsWeb, HttpsSpiffe };

struct FederationRelationship {
    TrustDomain domain;
    QString url;
    EndpointProfile profile = EndpointProfile::HttpsSpiffe;
    SpiffeId endpointId; // HttpsSpiffe only
    Timestamp refreshedAt{};
    QString problem; // why the last refresh failed; empty when it did not
};

// --- Attestation ---------------------------------------------------------------------------------

struct AttestationRecord {
    qint64 id = 0;
    Timestamp at{};
    SpiffeId agentId;
    QString ekHash;
    QString address;
    QByteArray quote;
    QByteArray quoteSignature;
    QMap<int, QByteArray> pcrs;
    BootVerdict verdict = BootVerdict::NotMeasured;
    QString change;      // why the verdict differs from the one before; empty when it does not
    QString reason;      // what the verdict rests on, in a sentence
    QByteArray eventLog; // as it came; empty: none, or no longer kept
};

/// Attestations that were turned away, merged: one address, one reason.
struct Refusal {
    QString address;
    QString subject; // the device as far as it was known, else the address
    QString reason;
    Timestamp firstAt{};
    Timestamp lastAt{};
    qint64 count = 0;
};

/// Allowed values of measured registers for one kind of hardware and one release of its software.
struct ReferenceValues {
    QString hardware;
    QString release;
    QMap<int, QList<QByteArray>> pcrs; // SHA-256 values; several are alternatives
};

// --- Tokens, audit -------------------------------------------------------------------------------

struct JoinToken {
    QString token;
    Timestamp expiresAt{};
    SpiffeId spiffeId; // of the device that it is for; empty: none named
};

struct AuditRecord {
    qint64 number = 0;
    Timestamp at{};
    QString actor;   // "operator:uid 0", "authority", an agent's SPIFFE ID
    QString action;  // "device.revoke", …
    QString subject; // whom it is about
    QString details; // one sentence
    QByteArray hash; // SHA-256 over the previous record's hash and this record
};

} // namespace lintel::authority
