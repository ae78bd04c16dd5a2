// The authority of a trust domain (building-1.smart.local unless said) with its services on a free loopback port, in the test's
// own process and thread (which needs an event loop), by the real clock. close() and open() again is
// an outage; the state stays.
#pragma once

#include "authority/authority.h"
#include "authority/service/authority_service.h"
#include "fakes/software_tpm.h"
#include "ports/system_clock.h"
#include "spire/embedded_identity_source.h"
#include "spire/join_token_attestor.h"
#include "tls/file_key_store.h"
#include "tls/identity_files.h"
#include "tpm/tpm_attestor.h"

#include <QTemporaryDir>
#include <QTimer>

#include <chrono>
#include <memory>

namespace lintel::test {

struct LiveAuthority {
    QTemporaryDir dir;
    SystemClock clock;
    authority::AuthorityConfig config;
    authority::AttestationTerms terms;
    std::unique_ptr<authority::Authority> authority;
    std::unique_ptr<authority::AuthorityService> service;
    QTimer ticks;
    quint16 port = 0;
    bool servesBundles = false; // before open(): a bundle endpoint, https_spiffe
    quint16 bundlePort = 0;
    const QString actor = QStringLiteral("operator:test");

    explicit LiveAuthority(std::chrono::seconds svidLife,
                           const QString &domain = QStringLiteral("building-1.smart.local"))
    {
        config.domain = *TrustDomain::parse(domain);
        config.stateDir = dir.filePath(QStringLiteral("state"));
        config.x509Ttl = svidLife;
        terms.clock = &clock;
        QObject::connect(&ticks, &QTimer::timeout, [this] {
            if (authority)
                (void)bool(authority->tick());
        });
        ticks.start(std::chrono::seconds{1});
    }

    Result<void> open()
    {
        auto opened = authority::Authority::open(config, std::make_unique<tls::FileKeyStore>(config.keysDir()), clock);
        if (!opened)
            return opened.error();
        authority = std::move(*opened);
        service = std::make_unique<authority::AuthorityService>(*authority, terms, QStringLiteral("test"));
        const auto listening = service->listenForAgents(QStringLiteral("127.0.0.1"), port);
        if (!listening)
            return listening.error();
        port = *listening;
        if (servesBundles) {
            const auto bundles = service->listenForBundles(QStringLiteral("127.0.0.1"), bundlePort);
            if (!bundles)
                return bundles.error();
            bundlePort = *bundles;
        }
        const auto bundle = authority->bundle();
        if (!bundle)
            return bundle.error();
        const auto text = tls::printBundle(*bundle);
        return text ? tls::writePublicFile(bundleFile(), *text) : Result<void>(text.error());
    }
    void close()
    {
        service.reset();
        authority.reset();
    }

    [[nodiscard]] QString bundleFile() const { return dir.filePath(QStringLiteral("bundle.json")); }
    [[nodiscard]] QString address() const { return QStringLiteral("127.0.0.1:%1").arg(port); }
    [[nodiscard]] SpiffeId serverId() const { return id(QStringLiteral("/spire/server")); }
    [[nodiscard]] SpiffeId id(const QString &path) const
    {
        return *SpiffeId::parse(QStringLiteral("spiffe://") + config.domain.name() + path);
    }

    /// An agent with that TPM, enrolled as "/agent/<name>", which renews at `at` of its SVID's life.
    [[nodiscard]] std::unique_ptr<spire::EmbeddedIdentitySource> agent(const QString &name, const QString &kind,
                                                                       const SoftwareTpm &tpm, double at = 0.5)
    {
        return agent(name, kind, tpm, at, clock);
    }
    /// The same, with a clock of its own.
    [[nodiscard]] std::unique_ptr<spire::EmbeddedIdentitySource> agent(const QString &name, const QString &kind,
                                                                       const SoftwareTpm &tpm, double at,
                                                                       const Clock &itsClock)
    {
        const TpmOptions chip{tpm.tcti(), tpm.stateDir(), EndorsementChoice::Automatic};
        const auto device = TpmDevice::open(chip);
        const auto endorsement = device ? (*device)->endorsement() : Result<TpmEndorsement>(device.error());
        authority::DeviceFacts facts;
        facts.name = name;
        facts.kind = kind;
        if (!endorsement || !authority->enroll(endorsement->hash, facts, actor))
            return nullptr;
        auto options = optionsFor(name, at);
        options.makeAttestor = [chip]() -> Result<std::unique_ptr<Attestor>> {
            auto opened = TpmDevice::open(chip);
            if (!opened)
                return opened.error();
            return std::unique_ptr<Attestor>(std::make_unique<TpmAttestor>(*std::move(opened), TpmAttestor::Options{}));
        };
        return std::make_unique<spire::EmbeddedIdentitySource>(std::move(options), itsClock);
    }

    /// The same without a chip: by a join token.
    [[nodiscard]] std::unique_ptr<spire::EmbeddedIdentitySource> joiner(const QString &name, const QString &kind)
    {
        authority::DeviceFacts facts;
        facts.name = name;
        facts.kind = kind;
        const auto token =
            authority->createToken(std::chrono::hours{1}, id(QStringLiteral("/agent/") + name), actor, facts);
        const QString file = dir.filePath(name + QStringLiteral(".token"));
        if (!token || !tls::writePrivateFile(file, token->token.toUtf8()))
            return nullptr;
        return restarted(name);
    }
    /// What joiner() made, again, with what it has kept; the one before is gone by then.
    [[nodiscard]] std::unique_ptr<spire::EmbeddedIdentitySource> restarted(const QString &name) const
    {
        auto options = optionsFor(name, 0.5);
        options.makeAttestor =
            [file = dir.filePath(name + QStringLiteral(".token"))]() -> Result<std::unique_ptr<Attestor>> {
            return std::unique_ptr<Attestor>(std::make_unique<spire::JoinTokenAttestor>(file));
        };
        return std::make_unique<spire::EmbeddedIdentitySource>(std::move(options), clock);
    }

private:
    [[nodiscard]] spire::EmbeddedIdentityOptions optionsFor(const QString &name, double at) const
    {
        spire::EmbeddedIdentityOptions options;
        options.authority = address();
        options.authorityId = serverId();
        options.self = id(QStringLiteral("/agent/") + name);
        options.stateDir = dir.filePath(name);
        options.bootstrapBundle = bundleFile();
        options.renewal.at = at;
        options.renewal.retryMax = Millis{2'000};
        return options;
    }
};

} // namespace lintel::test
