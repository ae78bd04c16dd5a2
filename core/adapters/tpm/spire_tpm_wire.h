// The messages of the node attestation "tpm", as the SPIRE plugin spiffe/spire-tpm-plugin and the Go
// library go-attestation write them: JSON with Go's field names, byte slices in base64. Both ends
// use this. Private to this adapter. Pure functions; any thread.
//
//   payload           {"EK": PEM of CERTIFICATE? and PUBLIC KEY, "AK": {"Public": TPMT_PUBLIC,
//                      "UseTCSDActivationFormat": false, "CreateData": TPMS_CREATION_DATA,
//                      "CreateAttestation": TPMS_ATTEST, "CreateSignature": TPMT_SIGNATURE}}
//   challenge         {"EC": {"Credential": TPM2B_ID_OBJECT, "Secret": TPM2B_ENCRYPTED_SECRET}}
//   answer            {"Secret": …}
//   second challenge  a nonce, as it is, when the plugin's option for PCRs is on
//   second answer     {"Public": TPMT_PUBLIC, "Quotes": [{"Quote", "Signature"}],
//                      "PCRs": [{"Index", "Digest", "DigestAlg"}], "EventLog": …}
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QList>

namespace lintel::tpm {

struct SpireTpmPayload {
    QByteArray ekCertificate; // DER, may be empty
    QByteArray ekPublicKey;   // SubjectPublicKeyInfo, may be empty when there is a certificate
    QByteArray akPublic;
    QByteArray creationData;
    QByteArray creationAttest;
    QByteArray creationSignature;
};

struct SpireTpmCredential {
    QByteArray idObject;
    QByteArray encryptedSecret;
};

struct SpireTpmPlatform {
    struct Quote {
        QByteArray attest;
        QByteArray signature;
    };
    struct Pcr {
        int index = 0;
        QByteArray digest;
        int goHash = 0; // number of Go's crypto.Hash
    };
    QByteArray akPublic;
    QList<Quote> quotes;
    QList<Pcr> pcrs;
    QByteArray eventLog;
};

/// Go's crypto.Hash: SHA1 = 3, SHA256 = 5, SHA384 = 6, SHA512 = 7.
inline constexpr int kGoSha256 = 5;
[[nodiscard]] int goHashByName(const QString &bank);

[[nodiscard]] QByteArray encode(const SpireTpmPayload &payload);
[[nodiscard]] QByteArray encode(const SpireTpmCredential &credential);
[[nodiscard]] QByteArray encode(const SpireTpmPlatform &platform);
[[nodiscard]] QByteArray encodeSpireTpmSecret(const QByteArray &secret);
[[nodiscard]] Result<SpireTpmPayload> spireTpmPayload(const QByteArray &json);
[[nodiscard]] Result<SpireTpmCredential> spireTpmCredential(const QByteArray &json);
[[nodiscard]] Result<QByteArray> spireTpmSecret(const QByteArray &json);
[[nodiscard]] Result<SpireTpmPlatform> spireTpmPlatform(const QByteArray &json);

} // namespace lintel::tpm
