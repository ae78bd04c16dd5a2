#include "process/open_identity.h"

#include "ports/system_clock.h"
#include "process/own_identity.h"
#include "spire/embedded_identity_source.h"
#include "spire/join_token_attestor.h"
#include "spire/workload_identity_source.h"
#include "tls/file_identity_source.h"
#include "tpm/tpm_attestor.h"

#include <QRandomGenerator>

#include <utility>

namespace lintel::service {

using namespace Qt::StringLiterals;

namespace {

/// Runs on the identity's thread: opening a chip takes its time, and it may come later than we do.
Result<std::unique_ptr<Attestor>> makeAttestor(LogCategory category, const IdentityConfig &identity)
{
    using Kind = IdentityConfig::Attestor;
    if (identity.attestor == Kind::JoinToken)
        return std::unique_ptr<Attestor>(std::make_unique<spire::JoinTokenAttestor>(identity.joinTokenFile));
    TpmOptions options;
    options.tcti = identity.tpm;
    options.stateDir = identity.stateDir + u"/tpm"_s;
    auto device = TpmDevice::open(options);
    if (!device)
        return device.error();
    // What `lintelctl enroll --hash` takes. A chip that cannot say it cannot attest either, and that is told then.
    if (const auto ek = (*device)->endorsement())
        qCInfo(category).noquote() << u"TPM (EK hash): %1"_s.arg(ek->hash);
    TpmAttestor::Options how;
    how.wire = identity.attestor == Kind::Tpm ? TpmAttestor::Wire::SpireTpm : TpmAttestor::Wire::LintelTpm;
    return std::unique_ptr<Attestor>(std::make_unique<TpmAttestor>(*std::move(device), how));
}

std::unique_ptr<spire::EmbeddedIdentitySource> openEmbedded(const Program &program, const CommonConfig &config)
{
    static const SystemClock clock;
    const IdentityConfig &identity = config.identity;
    spire::EmbeddedIdentityOptions options;
    options.authority = identity.authority;
    options.authorityId = identity.authorityId;
    options.self = config.agent.spiffeId;
    options.stateDir = identity.stateDir;
    options.bootstrapBundle = identity.bootstrapBundle;
    options.makeAttestor = [category = program.category, identity] { return makeAttestor(category, identity); };
    options.renewal.at = identity.renewAt;
    options.seed = QRandomGenerator::system()->generate();
    return std::make_unique<spire::EmbeddedIdentitySource>(std::move(options), clock);
}

/// One sentence for each thing that happens to the identity.
class Teller final : public QObject
{
public:
    Teller(const Program &program, IdentitySource &source) : QObject(&source), m_program(program), m_source(source)
    {
        m_hasOne = bool(source.current());
    }

    void problem(const Error &what) { qCWarning(m_program.category).noquote() << what.message; }
    void solved()
    {
        qCInfo(m_program.category).noquote() << u"the identity is in order again: %1"_s.arg(m_source.status().sentence);
    }
    void changed()
    {
        const auto current = m_source.current();
        const bool hadOne = std::exchange(m_hasOne, bool(current));
        if (!current) {
            if (hadOne)
                qCWarning(m_program.category).noquote() << current.error().message;
            return;
        }
        const X509Svid &svid = (*current)->svid;
        if (hadOne) {
            qCInfo(m_program.category).noquote() << u"identity renewed, valid until %1"_s.arg(toIso8601(svid.notAfter));
            return;
        }
        const IdentityStatus status = m_source.status();
        qCInfo(m_program.category).noquote() << u"identity %1 (%2), valid until %3"_s.arg(
            svid.id.toString(), status.proof.isEmpty() ? status.attestation : status.proof, toIso8601(svid.notAfter));
    }

private:
    const Program m_program; // a copy: the source may outlive whoever opened it
    IdentitySource &m_source;
    bool m_hasOne = false;
};

template <class Source>
void tellOf(const Program &program, Source &source)
{
    auto *teller = new Teller(program, source);
    QObject::connect(&source, &Source::problemFound, teller, &Teller::problem);
    if constexpr (requires { &Source::problemSolved; })
        QObject::connect(&source, &Source::problemSolved, teller, &Teller::solved);
    QObject::connect(&source, &IdentitySource::svidChanged, teller, &Teller::changed);
}

template <class Source>
std::unique_ptr<IdentitySource> told(const Program &program, std::unique_ptr<Source> source)
{
    tellOf(program, *source);
    return source;
}

std::unique_ptr<IdentitySource> openSource(const Program &program, const CommonConfig &config)
{
    using Provider = IdentityConfig::Provider;
    switch (config.identity.provider) {
    case Provider::Embedded: return told(program, openEmbedded(program, config));
    case Provider::Spiffe:
        return told(program, std::make_unique<spire::WorkloadIdentitySource>(workloadEndpoint(config.identity),
                                                                             config.agent.spiffeId));
    case Provider::Files: break;
    }
    return told(program, std::make_unique<tls::FileIdentitySource>(config.identity.directory));
}

} // namespace

Result<std::unique_ptr<IdentitySource>> openIdentity(const Program &program, const CommonConfig &config,
                                                     const QString &meanwhile)
{
    if (const auto usable = checkIdentity(config); !usable)
        return usable.error();
    auto source = openSource(program, config);
    if (const auto isSelf = checkIsSelf(*source, config.agent.spiffeId); !isSelf)
        return isSelf.error();
    if (const auto current = source->current(); !current)
        qCWarning(program.category).noquote()
            << u"no identity yet, so %1: %2"_s.arg(meanwhile, current.error().message);
    auto own = std::make_unique<OwnIdentity>(std::move(source), config.agent.spiffeId);
    QObject::connect(own.get(), &OwnIdentity::refused, own.get(), [category = program.category](const Error &problem) {
        qCWarning(category).noquote() << problem.message;
    });
    return std::unique_ptr<IdentitySource>(std::move(own));
}

spire::EmbeddedIdentitySource *embeddedIn(IdentitySource &identity)
{
    const auto *own = qobject_cast<OwnIdentity *>(&identity);
    return qobject_cast<spire::EmbeddedIdentitySource *>(own ? &own->source() : &identity);
}

} // namespace lintel::service
