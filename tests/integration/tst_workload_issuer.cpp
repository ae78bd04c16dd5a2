// The Workload API server on top of Lintel's authority: entries that an operator makes there become
// identities of programs here, over SPIRE's server API, as the agent of this host.
#include "fakes/live_authority.h"
#include "fakes/software_tpm.h"
#include "grpc/grpc_channel.h"
#include "spire/workload_identity_source.h"
#include "tls/certificate_writer.h"
#include "tls/jwt_svid.h"
#include "tls/x509.h"
#include "workload-api/spire_workload_issuer.h"
#include "workload-api/workload_server.h"
#include "workload-api/workload_service.h"

#include <QSignalSpy>
#include <QTcpServer>
#include <QTcpSocket>
#include <QTest>

#include <unistd.h>

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::test;

namespace {

constexpr int kPatience = 40'000;

} // namespace

class TestWorkloadIssuer : public QObject
{
    Q_OBJECT

    SoftwareTpm m_tpm;
    std::unique_ptr<LiveAuthority> m_authority;
    std::unique_ptr<spire::EmbeddedIdentitySource> m_agent;
    std::unique_ptr<workloads::SpireWorkloadIssuer> m_issuer;
    std::unique_ptr<workloads::WorkloadServer> m_server;

    QString socketPath() const { return m_authority->dir.filePath(u"workload.sock"_s); }

    authority::Entry entryOf(const QString &path) const
    {
        authority::Entry entry;
        entry.spiffeId = m_authority->id(path);
        entry.parentId = m_agent->agentSvid()->id;
        entry.selectors = {{u"unix"_s, u"uid:%1"_s.arg(::getuid())}};
        return entry;
    }
    QString add(const authority::Entry &entry) const
    {
        const auto made = m_authority->authority->createEntry(entry, m_authority->actor);
        return made ? made->id : QString();
    }
    std::unique_ptr<spire::WorkloadIdentitySource> program(const QString &path) const
    {
        return std::make_unique<spire::WorkloadIdentitySource>(u"unix://"_s + socketPath(), m_authority->id(path));
    }

private Q_SLOTS:
    void init()
    {
        m_authority = std::make_unique<LiveAuthority>(1h);
        QVERIFY(m_authority->open());
        m_agent = m_authority->agent(u"gateway"_s, u"gateway"_s, m_tpm);
        QVERIFY(m_agent);
        QTRY_VERIFY_WITH_TIMEOUT(m_agent->current(), kPatience);

        workloads::SpireIssuerOptions options;
        options.authority = m_authority->address();
        options.domain = m_authority->config.domain;
        options.period = 200ms;
        options.tls = [this]() -> Result<grpc::ClientTls> {
            const auto own = m_agent->agentSvid();
            const auto identity = m_agent->current();
            if (!own || !identity)
                return own ? identity.error() : own.error();
            return grpc::ClientTls{*own, m_authority->serverId(), (*identity)->bundles, m_agent->trustedNow()};
        };
        m_issuer = std::make_unique<workloads::SpireWorkloadIssuer>(options);
        workloads::WorkloadServerOptions serverOptions;
        serverOptions.excluded = {m_authority->id(u"/agent/gateway"_s)};
        m_server = std::make_unique<workloads::WorkloadServer>(*m_issuer, serverOptions, m_authority->clock);
        QVERIFY(m_server->listen(socketPath()));
    }
    void cleanup()
    {
        m_server.reset();
        m_issuer.reset();
        m_agent.reset();
        m_authority.reset();
    }

    void entryAtTheAuthority_becomesAnIdentityHereAndEndsWithIt()
    {
        const QString id = add(entryOf(u"/reports"_s));
        QVERIFY(!id.isEmpty());
        const auto program = this->program(u"/reports"_s);
        QTRY_VERIFY_WITH_TIMEOUT(program->current(), kPatience);
        const auto snapshot = *program->current();
        QVERIFY(tls::verifyPeer(snapshot->svid.chainDer, m_authority->id(u"/reports"_s), snapshot->bundles,
                                tls::PeerRole::Client, m_authority->clock.now()));
        QVERIFY(m_authority->authority->deleteEntry(id, m_authority->actor));
        QTRY_VERIFY_WITH_TIMEOUT(!program->current(), kPatience);
        QCOMPARE(program->current().error().code, Errc::Denied);
    }

    void hostsOwnIdentity_isNotHandedOut()
    {
        QVERIFY(!add(entryOf(u"/reports"_s)).isEmpty());
        const auto program = this->program(u"/reports"_s);
        QTRY_VERIFY_WITH_TIMEOUT(program->current(), kPatience);
        QCOMPARE(m_server->counts().entries, 1);
        QCOMPARE(m_server->counts().svids, 1);
        QVERIFY(m_issuer->entries().size() > 1); // it is there, as an entry
    }

    void token_isSignedByTheAuthority()
    {
        QVERIFY(!add(entryOf(u"/reports"_s)).isEmpty());
        QTRY_VERIFY_WITH_TIMEOUT(m_server->counts().svids == 1, kPatience);
        std::optional<Result<workloads::IssuedToken>> token;
        for (const workloads::WorkloadEntry &entry : m_issuer->entries()) {
            if (entry.spiffeId == m_authority->id(u"/reports"_s))
                m_issuer->newJwt(entry, {u"a"_s, u"b"_s}, this,
                                 [&](const Result<workloads::IssuedToken> &issued) { token = issued; });
        }
        QTRY_VERIFY_WITH_TIMEOUT(token, kPatience);
        QVERIFY2(*token, *token ? "" : qPrintable(token->error().message));
        const TrustDomain domain = m_authority->config.domain;
        const auto valid =
            tls::validateJwtSvid((*token)->token, u"b"_s, {{domain, m_issuer->bundles().value(domain).jwtAuthorities}},
                                 m_authority->clock.now());
        QVERIFY2(valid, valid ? "" : qPrintable(valid.error().message));
        QCOMPARE(valid->id, m_authority->id(u"/reports"_s));
        QCOMPARE((*token)->expiresAt, valid->expiresAt);
    }

    void federatedBundle_reachesThePrograms()
    {
        const TrustDomain partner = *TrustDomain::parse(u"partner.example");
        const auto key = *tls::signingKeyFrom(*tls::newSoftwareKey());
        tls::AuthorityCertificate root;
        root.domain = partner;
        root.publicKeyDer = key->publicKeyDer();
        root.notBefore = m_authority->clock.now() - 1h;
        root.notAfter = m_authority->clock.now() + 24h;
        tls::BundleDocument document;
        document.x509Authorities = {tls::writeAuthority(root, nullptr, *key)->der};
        document.sequence = 1;
        const auto stored = m_authority->authority->setFederatedBundle(partner, document, m_authority->actor);
        QVERIFY2(stored, stored ? "" : qPrintable(stored.error().message));
        authority::Entry entry = entryOf(u"/reports"_s);
        entry.federatesWith = {partner};
        QVERIFY(!add(entry).isEmpty());
        const auto program = this->program(u"/reports"_s);
        QTRY_VERIFY_WITH_TIMEOUT(program->current(), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT((*program->current())->bundles.value(partner), document.x509Authorities, kPatience);
    }

    void identities_stayWhileTheAuthorityIsAway()
    {
        QVERIFY(!add(entryOf(u"/reports"_s)).isEmpty());
        QTRY_VERIFY_WITH_TIMEOUT(m_server->counts().svids == 1, kPatience);
        QSignalSpy problems(m_issuer.get(), &workloads::SpireWorkloadIssuer::problemFound);
        QSignalSpy solved(m_issuer.get(), &workloads::SpireWorkloadIssuer::problemSolved);
        m_authority->close();
        QTRY_VERIFY_WITH_TIMEOUT(!problems.isEmpty(), kPatience);
        const auto program = this->program(u"/reports"_s); // starts only now
        QTRY_VERIFY_WITH_TIMEOUT(program->current(), kPatience);
        QVERIFY(m_authority->open());
        QTRY_COMPARE_WITH_TIMEOUT(solved.size(), 1, kPatience);
        QVERIFY(program->current());
    }

    /// The whole of it as the gateway has it, while somebody else sits at the authority's port.
    void service_saysATroubleOnce()
    {
        workloads::WorkloadServiceOptions options;
        options.socket = m_authority->dir.filePath(u"service.sock"_s);
        options.authority = m_authority->address();
        options.authorityId = m_authority->serverId();
        workloads::WorkloadService service(options, *m_agent, m_authority->clock, nullptr);
        QStringList troubles;
        connect(&service, &workloads::WorkloadService::trouble, this,
                [&troubles](const Error &what) { troubles << what.message; });
        QVERIFY(service.start());
        const auto report = [&service](QLatin1StringView what) { return service.report().value(what); };
        QTRY_VERIFY_WITH_TIMEOUT(report("ready"_L1).toBool(), kPatience);

        m_server.reset();
        m_issuer.reset(); // so that all attempts are the service's
        const quint16 port = m_authority->port;
        m_authority->close();
        QTcpServer stranger;
        int attempts = 0;
        connect(&stranger, &QTcpServer::newConnection, this, [&] {
            while (QTcpSocket *socket = stranger.nextPendingConnection()) {
                ++attempts;
                socket->abort();
                socket->deleteLater();
            }
        });
        QVERIFY(stranger.listen(QHostAddress::LocalHost, port));
        QTRY_VERIFY_WITH_TIMEOUT(attempts >= 5, kPatience);
        QVERIFY(!troubles.isEmpty());
        QVERIFY(report("problem"_L1).toString().contains(u"deny list"));
        QVERIFY(report("problem"_L1).toString().contains(u"entries"));
        const QString all = troubles.join(u'\n');
        QVERIFY2(troubles.removeDuplicates() == 0, qPrintable(all));

        stranger.close();
        QVERIFY(m_authority->open());
        QTRY_VERIFY_WITH_TIMEOUT(!service.report().contains("problem"_L1), kPatience);
    }

    void manyEntries_areIssuedInBatches()
    {
        for (int i = 0; i < 20; ++i)
            QVERIFY(!add(entryOf(u"/reports-%1"_s.arg(i))).isEmpty());
        QTRY_COMPARE_WITH_TIMEOUT(m_server->counts().svids, 20, kPatience);
    }
};

QTEST_GUILESS_MAIN(TestWorkloadIssuer)
#include "tst_workload_issuer.moc"
