// What proves to an authority which device this is: the device's half of a node attestation in
// SPIRE's terms (payload, then an answer to each challenge), and the key that the SVID will belong
// to. A TPM (adapters/tpm), or a join token with a software key (adapters/spire).
//
// Blocks for as long as the chip takes (RSA in a TPM: seconds), so it lives on the thread that
// fetches identities and nowhere else; the EVP_PKEY that it hands out signs on any thread.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QString>

#include <memory>
#include <optional>

using EVP_PKEY = struct evp_pkey_st;

namespace lintel {

/// The TLS exporter (RFC 8446 section 7.5) that ties an attestation to its connection; both ends use it.
inline constexpr auto kChannelBindingLabel = "EXPORTER-Lintel-Node-Attestation";
inline constexpr int kChannelBindingBytes = 32;

/// What of its connection an attestation is tied to.
enum class ChannelBinding {
    Exporter,          // this connection and no other
    ServerCertificate, // SHA-256 of the certificate (DER) that the server shows: this server, for TLS without exporters
};

/// As the wire and the authority's configuration have it.
[[nodiscard]] constexpr QStringView nameOf(ChannelBinding binding)
{
    return binding == ChannelBinding::Exporter ? u"exporter" : u"server_certificate";
}
[[nodiscard]] constexpr std::optional<ChannelBinding> channelBindingNamed(QStringView name)
{
    for (const auto binding : {ChannelBinding::Exporter, ChannelBinding::ServerCertificate})
        if (name == nameOf(binding))
            return binding;
    return std::nullopt;
}

/// What an answer is tied to besides the challenge, so that it is worth nothing elsewhere.
struct AttestationBinding {
    QByteArray channel; // 32 bytes, of the kind below
    QByteArray csrDer;  // the request that this attestation is for
    ChannelBinding kind = ChannelBinding::Exporter;
};

class Attestor
{
public:
    Attestor() = default;
    Attestor(const Attestor &) = delete;
    Attestor &operator=(const Attestor &) = delete;
    virtual ~Attestor() = default;

    /// Name of the node attestor at the authority: "tpm", "lintel_tpm", "join_token".
    [[nodiscard]] virtual QString type() const = 0;
    /// One sentence for people about what this proves: "TPM 2.0 (INTC), boot measured".
    [[nodiscard]] virtual QString description() const = 0;
    /// Whether the key of newKey() stays inside a chip.
    [[nodiscard]] virtual bool keysAreBoundToChip() const = 0;

    /// A fresh P-256 signing key; the one before stays usable until its last EVP_PKEY is gone.
    /// Unavailable when the chip does not answer.
    [[nodiscard]] virtual Result<std::shared_ptr<EVP_PKEY>> newKey() = 0;

    /// Begins an attestation of the key that newKey() gave last: the payload of AttestAgent's first
    /// message. Forgets an attestation that was under way.
    [[nodiscard]] virtual Result<QByteArray> begin() = 0;
    /// The answer to one challenge of it. Malformed: not a challenge of this attestor; Denied: the
    /// chip refuses it (made for another device).
    [[nodiscard]] virtual Result<QByteArray> answer(const QByteArray &challenge, const AttestationBinding &binding) = 0;
};

} // namespace lintel
