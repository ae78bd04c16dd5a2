// A device without a TPM: it proves itself once, with a token that an operator made for it, and
// keeps a software key from then on. Screens say so in words; it is never shown as attested.
//
// The token is spent at the first success; afterwards the agent renews as the agent that it is.
// Thread: as Attestor.
#pragma once

#include "ports/attestor.h"

namespace lintel::spire {

class JoinTokenAttestor final : public Attestor
{
public:
    /// The file holds the token alone; it is read at each attestation, so one that expired can be
    /// replaced.
    explicit JoinTokenAttestor(QString tokenFile) : m_tokenFile(std::move(tokenFile)) {}

    [[nodiscard]] QString type() const override { return QStringLiteral("join_token"); }
    [[nodiscard]] QString description() const override
    {
        return QStringLiteral("join token and a software key: not attested");
    }
    [[nodiscard]] bool keysAreBoundToChip() const override { return false; }
    [[nodiscard]] Result<std::shared_ptr<EVP_PKEY>> newKey() override;
    [[nodiscard]] Result<QByteArray> begin() override;
    [[nodiscard]] Result<QByteArray> answer(const QByteArray &challenge, const AttestationBinding &binding) override;

private:
    QString m_tokenFile;
};

} // namespace lintel::spire
