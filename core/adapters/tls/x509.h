// X.509-SVIDs by the letter of SPIFFE X509-SVID.md: read and write PEM, find the SPIFFE ID of a
// certificate, and decide whether a peer is who it must be. Pure functions over DER; any thread.
// What fails says in one sentence which rule was broken.
#pragma once

#include "ports/identity_source.h"

#include <QByteArray>
#include <QList>

#include <memory>

namespace lintel::tls {

/// Which end of the connection a certificate must be good for (extended key usage, if it has any).
enum class PeerRole { Server, Client };

struct CertificateFacts {
    QString serial; // upper-case hexadecimal, as openssl prints it
    Timestamp notBefore{};
    Timestamp notAfter{};
    bool isAuthority = false; // basic constraints say CA:TRUE
};

/// All certificates of a PEM text, in its order; Malformed when there is none or one is broken.
[[nodiscard]] Result<QList<QByteArray>> certificatesFromPem(const QByteArray &pem);
/// Certificates one after another in DER, as the SPIFFE Workload API sends chains and bundles;
/// Malformed when one is broken or bytes are left. Nothing in, nothing out.
[[nodiscard]] Result<QList<QByteArray>> certificatesFromDer(const QByteArray &der);
[[nodiscard]] QByteArray certificatesToPem(const QList<QByteArray> &certificatesDer);
[[nodiscard]] Result<std::shared_ptr<EVP_PKEY>> privateKeyFromPem(const QByteArray &pem);
/// PKCS #8, DER.
[[nodiscard]] Result<std::shared_ptr<EVP_PKEY>> privateKeyFromDer(const QByteArray &der);
/// PKCS #8, not encrypted. Io when the key cannot leave its store.
[[nodiscard]] Result<QByteArray> privateKeyToPem(const EVP_PKEY &key);
/// The same in DER.
[[nodiscard]] Result<QByteArray> privateKeyToDer(const EVP_PKEY &key);

[[nodiscard]] Result<CertificateFacts> describeCertificate(const QByteArray &der);

/// The SPIFFE ID of any certificate: it has exactly one URI SAN and that is a SPIFFE ID
/// (sections 2 and 5.2).
[[nodiscard]] Result<SpiffeId> spiffeIdOf(const QByteArray &der);
/// The same for a leaf, with its rules: an ID with a path, CA:FALSE, a critical key usage with
/// digitalSignature and without keyCertSign and cRLSign (sections 4.1, 4.3 and 5.2).
[[nodiscard]] Result<SpiffeId> leafSpiffeId(const QByteArray &der);

/// An SVID from its parts; refuses a leaf against the rules and a key that is not the leaf's.
[[nodiscard]] Result<X509Svid> makeSvid(const QList<QByteArray> &chainDer, std::shared_ptr<EVP_PKEY> key);

/// Whether `chainDer` (leaf first) belongs to `expected`: leaf rules, exactly this ID, and a path
/// to a root in the bundle of that ID's own trust domain, all valid at `at`. Roots of other
/// domains are never looked at. Denied says what is wrong.
[[nodiscard]] Result<void> verifyPeer(const QList<QByteArray> &chainDer, const SpiffeId &expected,
                                      const TrustBundles &bundles, PeerRole role, Timestamp at);

} // namespace lintel::tls
