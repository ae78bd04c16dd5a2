// Proves with a TPM 2.0 which device this is: the device's half of the node attestations "lintel_tpm"
// (Lintel's own: measured boot, and the SVID's key is certified to live in this TPM) and "tpm" (what
// spiffe/spire-tpm-plugin speaks, for a real SPIRE server).
//
// Owned by whoever fetches identities, on that one thread; blocks for as long as the chip takes.
#pragma once

#include "ports/attestor.h"
#include "tpm/tpm_device.h"

namespace lintel {

class TpmAttestor final : public Attestor
{
public:
    enum class Wire { LintelTpm, SpireTpm };

    struct Options {
        Wire wire = Wire::LintelTpm;
        /// Sent along when it can be read; machines that do not measure their boot have none.
        QString eventLogFile = QStringLiteral("/sys/kernel/security/tpm0/binary_bios_measurements");
    };

    TpmAttestor(std::shared_ptr<TpmDevice> device, Options options);
    ~TpmAttestor() override;

    [[nodiscard]] QString type() const override;
    [[nodiscard]] QString description() const override;
    [[nodiscard]] bool keysAreBoundToChip() const override { return true; }
    [[nodiscard]] Result<std::shared_ptr<EVP_PKEY>> newKey() override;
    [[nodiscard]] Result<QByteArray> begin() override;
    /// AttestationBinding::channel is not used by "tpm".
    [[nodiscard]] Result<QByteArray> answer(const QByteArray &challenge, const AttestationBinding &binding) override;

private:
    [[nodiscard]] Result<QByteArray> answerLintelTpm(const QByteArray &challenge, const AttestationBinding &binding);
    [[nodiscard]] Result<QByteArray> answerSpireTpm(const QByteArray &challenge);
    [[nodiscard]] Result<QByteArray> quoteEveryBank(const QByteArray &nonce);
    [[nodiscard]] QByteArray eventLog() const;

    std::shared_ptr<TpmDevice> m_device;
    Options m_options;
    std::shared_ptr<TpmKey> m_key;
    enum class Phase { Idle, Begun, Activated };
    Phase m_phase = Phase::Idle;
};

} // namespace lintel
