// Who this process is, and whom it trusts: the current X.509-SVID with its key, and the trust
// bundles by trust domain (SPIFFE X509-SVID.md, SPIFFE_Trust_Domain_and_Bundle.md).
//
// The key is an OpenSSL EVP_PKEY, because it may live in a TPM and never leave it. Snapshots are
// immutable and shared, so a handshake on another thread can hold one. current() may be called
// from any thread; changed() is emitted on the thread that made the source.
#pragma once

#include "domain/result.h"
#include "domain/spiffe_id.h"
#include "domain/timestamp.h"

#include <QByteArray>
#include <QHash>
#include <QList>
#include <QObject>

#include <memory>

using EVP_PKEY = struct evp_pkey_st;

namespace lintel {

struct X509Svid {
    SpiffeId id;
    QList<QByteArray> chainDer;    // leaf first, intermediates after it, no root
    std::shared_ptr<EVP_PKEY> key; // belongs to the leaf
    Timestamp notBefore{};
    Timestamp notAfter{};
};

/// Root certificates (DER) by trust domain. Bundles of different domains are never merged: a peer
/// is verified with the roots of the domain that its own ID names.
using TrustBundles = QHash<TrustDomain, QList<QByteArray>>;

struct IdentitySnapshot {
    X509Svid svid;
    TrustBundles bundles;
};

/// How it stands with the identity, for status calls and screens.
struct IdentityStatus {
    enum class State { Waiting, Valid, Overdue, Expired };
    State state = State::Waiting;
    QString sentence;    // "identity expired, buffering: …"
    QString attestation; // node attestor ("lintel_tpm"), or where the identity comes from ("files")
    QString proof;       // what it proves, for people: "TPM 2.0 (INTC)"; empty: nothing
    bool isBoundToChip = false;
    Timestamp expiresAt{};       // zero: there is none
    quint64 rotations = 0;       // SVIDs after the first
    Timestamp issuerExpiresAt{}; // the first of the certificates above the leaf, and of the last root
};

class IdentitySource : public QObject
{
    Q_OBJECT
public:
    using QObject::QObject;

    /// Never null; before the first identity an error says what is missing.
    [[nodiscard]] virtual Result<std::shared_ptr<const IdentitySnapshot>> current() const = 0;

    /// Any thread. Without an override: what current() tells.
    [[nodiscard]] virtual IdentityStatus status() const;
    /// The time by which certificates are judged here: never before the time floor of a source that
    /// keeps one. Any thread.
    [[nodiscard]] virtual Timestamp trustedNow() const;

Q_SIGNALS:
    /// A new SVID (reconnect once to use it), or the last one has ended and current() is an error …
    void svidChanged();
    /// … or only new trust roots (used by the next handshake; no reconnection).
    void bundlesChanged();
};

} // namespace lintel
