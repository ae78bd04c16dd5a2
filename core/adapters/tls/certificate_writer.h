// Certificates of an authority, written in one pass as DER: a P-256 leaf costs little more than its
// signature, and the signature may come from a chip that OpenSSL knows nothing of. Reads the
// requests (PKCS #10) that they answer. Rules: SPIFFE X509-SVID.md, RFC 5280, RFC 2986.
// Pure functions; any thread.
#pragma once

#include "domain/spiffe_id.h"
#include "domain/timestamp.h"
#include "ports/key_store.h"

#include <QByteArray>
#include <QString>
#include <QStringList>

#include <optional>

namespace lintel::tls {

/// What a request asks for. Only the key is ever used for more than a comparison.
struct CsrFacts {
    QByteArray publicKeyDer;          // SubjectPublicKeyInfo
    std::optional<SpiffeId> spiffeId; // its URI name, if it has exactly one and that is an ID
    QStringList dnsNames;
};

/// Denied: the signature does not verify, so whoever asks may not have the key. Malformed: not a
/// request, or a key that is neither EC (P-256, P-384) nor RSA of 2,048 to 4,096 bits.
[[nodiscard]] Result<CsrFacts> readCsr(const QByteArray &der);
/// Requests of devices and tests; `key` any key that signs with ECDSA-SHA256.
[[nodiscard]] Result<QByteArray> makeCsr(const SigningKey &key, const SpiffeId &id = {});

/// SHA-256 of a SubjectPublicKeyInfo: how keys are compared and stored.
[[nodiscard]] QByteArray publicKeyHash(const QByteArray &publicKeyDer);
/// The SubjectPublicKeyInfo of a certificate.
[[nodiscard]] Result<QByteArray> publicKeyOf(const QByteArray &certificateDer);

/// What a certificate says about itself when it is the issuer of another.
struct IssuerFacts {
    QByteArray subjectDer; // Name, with its tag
    QByteArray keyId;      // its subject key identifier
    Timestamp notBefore{};
    Timestamp notAfter{};
};
[[nodiscard]] Result<IssuerFacts> issuerFacts(const QByteArray &certificateDer);

struct AuthorityCertificate {
    TrustDomain domain; // URI name, name constraint
    QString commonName;
    QByteArray publicKeyDer;
    Timestamp notBefore{};
    Timestamp notAfter{};
    std::optional<int> pathLength;
    /// Without it, for programs whose TLS cannot handle constraints on URI names and therefore
    /// refuses the chain (rustls): their own bundles alone keep domains apart then.
    bool isLimitedToDomain = true;
};
struct LeafCertificate {
    SpiffeId id;
    QStringList dnsNames;
    QByteArray publicKeyDer;
    Timestamp notBefore{};
    Timestamp notAfter{};
};

struct WrittenCertificate {
    QByteArray der;
    QString serial; // upper-case hex
};

/// Critical CA:TRUE, critical keyCertSign and cRLSign, critical name constraint (unless told otherwise), URI
/// name without a path. `issuer` null: self-signed.
[[nodiscard]] Result<WrittenCertificate> writeAuthority(const AuthorityCertificate &certificate,
                                                        const IssuerFacts *issuer, const SigningKey &issuerKey);
/// Critical CA:FALSE, critical digitalSignature, serverAuth and clientAuth, one URI name. Refuses an
/// ID without a path.
[[nodiscard]] Result<WrittenCertificate> writeLeaf(const LeafCertificate &certificate, const IssuerFacts &issuer,
                                                   const SigningKey &issuerKey);

} // namespace lintel::tls
