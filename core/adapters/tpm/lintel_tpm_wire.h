// The messages of the node attestation "lintel_tpm", version 1: JSON, bytes in base64, TPM
// structures as the TPM marshals them. Both ends use this. Private to this adapter. Pure functions;
// any thread; what does not have the form is Malformed.
//
//   payload    {"v":1, "ek_cert":DER?, "ek_pub":TPMT_PUBLIC, "ak_pub":TPMT_PUBLIC, "key_pub":TPMT_PUBLIC}
//   challenge  {"v":1, "nonce":32 bytes, "id_object":TPM2B, "encrypted_secret":TPM2B, "pcrs":{"sha256":[0,…]}}
//   answer     {"v":1, "secret":…, "quote":TPMS_ATTEST, "quote_signature":TPMT_SIGNATURE,
//               "pcr_values":{"0":hex,…}, "certify":TPMS_ATTEST, "certify_signature":TPMT_SIGNATURE,
//               "channel_binding":"exporter" or "server_certificate", "event_log":…?}
//
// Quote and certificate carry as qualifying data
//   SHA-256("lintel_tpm v1" ‖ nonce ‖ channel_binding ‖ 0x00 ‖ channel ‖ SHA-256(CSR))
// so they are worth nothing for another challenge, another connection or another request, and nobody in between can
// change what the agent says about the channel. `channel` has 32 bytes:
//   exporter            of this TLS connection, label "EXPORTER-Lintel-Node-Attestation", no context (RFC 8446 7.5)
//   server_certificate  SHA-256 of the server's certificate (DER), for TLS stacks without exporters. Good on every
//                       connection to this server, so an authority takes it only where it is told to.
#pragma once

#include "domain/result.h"
#include "ports/attestor.h"

#include <QByteArray>
#include <QList>
#include <QMap>

namespace lintel::tpm {

inline constexpr qsizetype kNonceBytes = 32;
inline constexpr qsizetype kChannelBytes = 32;
inline constexpr int kPcrCount = 24;

struct LintelTpmPayload {
    QByteArray ekCertificate;
    QByteArray ekPublic;
    QByteArray akPublic;
    QByteArray keyPublic;
};

struct LintelTpmChallenge {
    QByteArray nonce;
    QByteArray idObject;
    QByteArray encryptedSecret;
    QList<int> pcrs; // of the SHA-256 bank, ascending
};

struct LintelTpmAnswer {
    QByteArray secret;
    QByteArray quote;
    QByteArray quoteSignature;
    QMap<int, QByteArray> pcrs;
    QByteArray certify;
    QByteArray certifySignature;
    QByteArray eventLog;
    ChannelBinding binding = ChannelBinding::Exporter;
};

[[nodiscard]] QByteArray encode(const LintelTpmPayload &payload);
[[nodiscard]] QByteArray encode(const LintelTpmChallenge &challenge);
[[nodiscard]] QByteArray encode(const LintelTpmAnswer &answer);
[[nodiscard]] Result<LintelTpmPayload> lintelTpmPayload(const QByteArray &json);
[[nodiscard]] Result<LintelTpmChallenge> lintelTpmChallenge(const QByteArray &json);
[[nodiscard]] Result<LintelTpmAnswer> lintelTpmAnswer(const QByteArray &json);

/// OutOfRange when nonce or channel do not have 32 bytes.
[[nodiscard]] Result<QByteArray> qualifyingData(const QByteArray &nonce, ChannelBinding binding,
                                                const QByteArray &channel, const QByteArray &csrDer);

} // namespace lintel::tpm
