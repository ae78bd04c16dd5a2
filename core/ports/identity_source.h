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

class IdentitySource : public QObject
{
    Q_OBJECT
public:
    using QObject::QObject;

    /// Never null; before the first identity an error says what is missing.
    [[nodiscard]] virtual Result<std::shared_ptr<const IdentitySnapshot>> current() const = 0;

Q_SIGNALS:
    /// A new SVID (reconnect once to use it) …
    void svidChanged();
    /// … or only new trust roots (used by the next handshake; no reconnection).
    void bundlesChanged();
};

} // namespace lintel
