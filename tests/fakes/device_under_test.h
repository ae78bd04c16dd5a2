// A device of a lintel-authority under test: a TPM in software (or a token), and the identity that it fetches
// over the network. Its own folder; what it starts ends with it. Main thread.
#pragma once

#include "fakes/authority_under_test.h"
#include "fakes/software_tpm.h"
#include "ports/system_clock.h"
#include "spire/embedded_identity_source.h"
#include "spire/join_token_attestor.h"
#include "tpm/tpm_attestor.h"

#include <QFile>
#include <QTemporaryDir>

namespace lintel::test {

using namespace Qt::StringLiterals;

constexpr int kSlow = 60'000;

/// A device: its TPM (or its token), and where it keeps things.
class DeviceUnderTest
{
public:
    explicit DeviceUnderTest(QString name, bool hasTpm = true, const TpmVendor *vendor = nullptr)
        : m_name(std::move(name))
    {
        if (hasTpm)
            m_tpm = std::make_unique<SoftwareTpm>(vendor);
    }

    QString ekHash()
    {
        const auto device = TpmDevice::open({m_tpm->tcti(), m_tpm->stateDir(), EndorsementChoice::Automatic});
        const auto ek = device ? (*device)->endorsement() : Result<TpmEndorsement>(device.error());
        return ek ? ek->hash : QString();
    }

    QStringList enrolment(const QString &kind = u"hvac"_s)
    {
        return {u"enroll"_s, u"--hash"_s, ekHash(), u"--name"_s, m_name, u"--kind"_s, kind, u"--site"_s, u"b-1"_s};
    }

    [[nodiscard]] SpiffeId id(const AuthorityUnderTest &authority) const
    {
        return *SpiffeId::parse(u"spiffe://%1/agent/%2"_s.arg(authority.domain(), m_name));
    }

    spire::EmbeddedIdentitySource &startOn(const AuthorityUnderTest &authority,
                                           TpmAttestor::Wire wire = TpmAttestor::Wire::LintelTpm)
    {
        spire::EmbeddedIdentityOptions options;
        options.authority = authority.address();
        options.authorityId = *SpiffeId::parse(u"spiffe://%1/spire/server"_s.arg(authority.domain()));
        options.self = id(authority);
        options.stateDir = stateDir();
        options.bootstrapBundle = m_dir.filePath(u"bundle.json"_s);
        if (m_tpm)
            options.makeAttestor = [wire, tcti = m_tpm->tcti(),
                                    state = m_tpm->stateDir()]() -> Result<std::unique_ptr<Attestor>> {
                auto device = TpmDevice::open({tcti, state, EndorsementChoice::Automatic});
                if (!device)
                    return device.error();
                return std::unique_ptr<Attestor>(
                    std::make_unique<TpmAttestor>(*device, TpmAttestor::Options{wire, {}}));
            };
        else
            options.makeAttestor = [file = tokenFile()]() -> Result<std::unique_ptr<Attestor>> {
                return std::unique_ptr<Attestor>(std::make_unique<spire::JoinTokenAttestor>(file));
            };
        m_source.reset();
        if (!QFile::exists(options.bootstrapBundle))
            (void)authority.ctl({u"bundle"_s, u"show"_s, u"--out"_s, options.bootstrapBundle});
        m_source = std::make_unique<spire::EmbeddedIdentitySource>(std::move(options), m_clock);
        return *m_source;
    }
    void stop() { m_source.reset(); }

    [[nodiscard]] QString stateDir() const { return m_dir.filePath(u"identity"_s); }
    [[nodiscard]] QString tokenFile() const { return m_dir.filePath(u"token"_s); }
    spire::EmbeddedIdentitySource &source() { return *m_source; }

private:
    QString m_name;
    std::unique_ptr<SoftwareTpm> m_tpm;
    QTemporaryDir m_dir;
    SystemClock m_clock;
    std::unique_ptr<spire::EmbeddedIdentitySource> m_source;
};

inline bool isValid(const spire::EmbeddedIdentitySource &source)
{
    return bool(source.current());
}

inline QString sentenceOf(const spire::EmbeddedIdentitySource &source)
{
    return source.status().sentence;
}

} // namespace lintel::test
