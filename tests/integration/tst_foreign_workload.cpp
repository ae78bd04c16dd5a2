// Clients that we did not write, against our Workload API: go-spiffe, Python's spiffe and Rust's
// spiffe. Each fetches X.509 and JWT SVIDs and the bundles of two trust domains, talks TLS with a
// peer of each, known by its SPIFFE ID, and sees a rotation that was pushed. Once with an issuer that the
// test has in its hand, and once with real authorities, whose chains have an issuing CA, and which know
// each other by their bundle endpoints.
#include "authority/federation_client.h"
#include "fakes/live_authority.h"
#include "fakes/needs.h"
#include "fakes/workload_host.h"
#include "spire/deny_list_watch.h"
#include "tls/certificate_writer.h"
#include "workload-api/spire_workload_issuer.h"

#include <QProcess>
#include <QProcessEnvironment>
#include <QStandardPaths>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace std::chrono_literals;

namespace {

constexpr int kPatience = 180'000;
constexpr int kBuildPatience = 900'000;

QString toolsDir()
{
    return QStandardPaths::writableLocation(QStandardPaths::GenericCacheLocation) + "/lintel/tools"_L1;
}

/// As scripts/bootstrap --test installed it, or as the machine has it.
QString findTool(const QString &name)
{
    const QString pinned = QStandardPaths::findExecutable(name, {toolsDir() + "/bin"_L1});
    return pinned.isEmpty() ? QStandardPaths::findExecutable(name) : pinned;
}

QString sourceDir(const QString &language)
{
    return QStringLiteral(LINTEL_SOURCE_DIR "/tests/foreign/") + language;
}

/// Ends its program when it goes, whatever happened.
struct Program {
    QProcess process;
    QString output;

    Program()
    {
        process.setProcessChannelMode(QProcess::MergedChannels);
        QObject::connect(&process, &QProcess::readyRead, &process,
                         [this] { output += QString::fromUtf8(process.readAll()); });
    }
    ~Program()
    {
        if (process.state() != QProcess::NotRunning) {
            process.kill();
            process.waitForFinished(5'000);
        }
    }
    bool isOver() const { return process.state() == QProcess::NotRunning; }
    bool succeeded() const
    {
        return isOver() && process.exitStatus() == QProcess::NormalExit && process.exitCode() == 0;
    }
};

/// A TLS server with an identity.
struct Peer {
    grpc::Server server;
    SpiffeId id;
    quint16 port = 0;

    Peer(const X509Svid &svid, const TrustBundles &bundles) : id(svid.id)
    {
        const grpc::ServerTls tls{svid, bundles, {}};
        if (const auto bound = server.listenTcp(u"127.0.0.1"_s, 0, [tls] { return Result<grpc::ServerTls>(tls); }))
            port = *bound;
    }
    QString address() const { return u"127.0.0.1:%1"_s.arg(port); }
};

/// Two authorities with bundle endpoints, a federation between them, and the Workload API of a host.
struct AuthorityHost {
    LiveAuthority own{1h};
    LiveAuthority partner{1h, u"partner.example"_s};
    std::unique_ptr<authority::FederationClient> federation;
    std::unique_ptr<lintel::spire::EmbeddedIdentitySource> agent;
    std::unique_ptr<workloads::SpireWorkloadIssuer> issuer;
    std::unique_ptr<workloads::WorkloadServer> server;

    QString socketPath() const { return own.dir.filePath(u"api.sock"_s); }
    TrustBundles bundles() const
    {
        return {{own.config.domain, own.authority->bundle()->x509Authorities},
                {partner.config.domain, partner.authority->bundle()->x509Authorities}};
    }
    /// Empty, or what went wrong.
    QString start(bool withNameConstraints)
    {
        for (LiveAuthority *one : {&own, &partner}) {
            one->servesBundles = true;
            one->config.nameConstraint = withNameConstraints;
            if (const auto opened = one->open(); !opened)
                return opened.error().message;
        }
        authority::FederationRelationship relationship;
        relationship.domain = partner.config.domain;
        relationship.url = u"https://127.0.0.1:%1/"_s.arg(partner.bundlePort);
        relationship.endpointId = partner.serverId();
        auto first = *partner.authority->bundle();
        const quint64 number = *first.sequence;
        first.sequence = 1; // carried there by hand once; the endpoint's own is a later one
        if (!own.authority->setFederatedBundle(partner.config.domain, first, own.actor)
            || !own.authority->setRelationship(relationship, own.actor))
            return u"the federation cannot be made"_s;
        federation =
            std::make_unique<authority::FederationClient>(*own.authority, own.clock, authority::FederationPace{});
        federation->start();
        const auto fetched = [&] {
            return (*own.authority->federatedBundle(partner.config.domain))->sequence == number;
        };
        if (!QTest::qWaitFor(fetched, kPatience))
            return u"the partner's bundle does not come"_s;
        agent = own.joiner(u"gateway"_s, u"gateway"_s);
        if (!agent || !QTest::qWaitFor([this] { return bool(agent->current()); }, kPatience))
            return u"the host has no identity"_s;

        authority::Entry entry;
        entry.spiffeId = own.id(u"/reports"_s);
        entry.parentId = agent->agentSvid()->id;
        entry.selectors = {{u"unix"_s, u"uid:%1"_s.arg(::getuid())}};
        entry.federatesWith = {partner.config.domain};
        entry.hint = u"internal"_s;
        entry.x509Ttl = 20s; // so that it rotates while the client watches
        if (const auto made = own.authority->createEntry(entry, own.actor); !made)
            return made.error().message;
        workloads::SpireIssuerOptions options;
        options.authority = own.address();
        options.domain = own.config.domain;
        options.tls = [this] { return lintel::spire::tlsAsAgent(*agent, own.serverId()); };
        issuer = std::make_unique<workloads::SpireWorkloadIssuer>(options);
        workloads::WorkloadServerOptions terms;
        terms.excluded = {own.id(u"/agent/gateway"_s)};
        server = std::make_unique<workloads::WorkloadServer>(*issuer, terms, own.clock);
        const auto listening = server->listen(socketPath());
        return listening ? QString() : listening.error().message;
    }
    static X509Svid mint(const LiveAuthority &by)
    {
        const auto key = *tls::newSoftwareKey();
        const auto csr = *tls::makeCsr(**tls::signingKeyFrom(key), by.id(u"/peer"_s));
        return *tls::makeSvid(by.authority->mintX509(csr, 1h, by.actor)->chainDer, key);
    }
    ~AuthorityHost()
    {
        server.reset();
        issuer.reset();
        agent.reset();
        federation.reset();
    }
};

} // namespace

class ForeignWorkload : public QObject
{
    Q_OBJECT

    QTemporaryDir m_dir;

    /// Builds while nobody waits for us.
    static QString build(const QString &program, const QStringList &arguments, const QString &folder,
                         const QProcessEnvironment &environment)
    {
        Program builder;
        builder.process.setProcessEnvironment(environment);
        builder.process.setWorkingDirectory(folder);
        builder.process.start(program, arguments);
        (void)QTest::qWaitFor([&] { return builder.isOver(); }, kBuildPatience);
        return builder.succeeded() ? QString() : u"It cannot be built: "_s + builder.output;
    }

    /// What every client does; `rotate` makes a new SVID due.
    static void converse(const QString &program, const QStringList &before, const QString &endpoint, const Peer &own,
                         const Peer &partner, const std::function<void()> &rotate)
    {
        Program client;
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        environment.insert(u"SPIFFE_ENDPOINT_SOCKET"_s, endpoint);
        client.process.setProcessEnvironment(environment);
        client.process.start(program, before
                                          + QStringList{u"-target"_s, own.address(), u"-peer"_s, own.id.toString(),
                                                        u"-partner-target"_s, partner.address(), u"-partner"_s,
                                                        partner.id.toString()});
        (void)QTest::qWaitFor([&] { return client.isOver() || client.output.contains("watching\n"_L1); }, kPatience);
        QVERIFY2(client.output.contains("watching\n"_L1), qPrintable(client.output));
        for (const auto check : {"x509-svid"_L1, "bundles"_L1, "jwt-svid"_L1, "tls"_L1, "federated-tls"_L1})
            QVERIFY2(client.output.contains("ok "_L1 + check + u'\n'), qPrintable(client.output));
        rotate();
        (void)QTest::qWaitFor([&] { return client.isOver(); }, kPatience);
        QVERIFY2(client.succeeded() && client.output.contains("ok rotation\n"_L1), qPrintable(client.output));
    }

    static void speak(const QString &program, const QStringList &before, bool withNameConstraints = true)
    {
        WorkloadHost host;
        for (WorkloadDomain *domain : {&host.issuer->own, &host.issuer->partner}) {
            domain->hasNameConstraint = withNameConstraints;
            domain->newRoot();
        }
        host.add(u"reports"_s);
        host.issuer->list[0].federatesWith = {host.issuer->partner.name};
        host.issuer->list[0].hint = u"internal"_s;
        const auto started = host.start();
        QVERIFY2(started, started ? "" : qPrintable(started.error().message));
        const auto peerOf = [&host](const WorkloadDomain &domain) {
            const auto id = *SpiffeId::parse(u"spiffe://"_s + domain.name.name() + u"/peer"_s);
            return domain.svid(id, host.clock.now());
        };
        const TrustBundles bundles{{host.issuer->own.name, {host.issuer->own.rootDer}},
                                   {host.issuer->partner.name, {host.issuer->partner.rootDer}}};
        const Peer own(peerOf(host.issuer->own), bundles);
        const Peer partner(peerOf(host.issuer->partner), bundles);
        converse(program, before, host.endpoint(), own, partner,
                 [&host] { host.advance(std::chrono::minutes{40}); }); // of an hour: a new SVID is due
        if (QTest::currentTestFailed())
            return;

        AuthorityHost real;
        const QString problem = real.start(withNameConstraints);
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const Peer realOwn(AuthorityHost::mint(real.own), real.bundles());
        const Peer realPartner(AuthorityHost::mint(real.partner), real.bundles());
        converse(program, before, u"unix://"_s + real.socketPath(), realOwn, realPartner, [] {}); // at half of 20 s
    }

private Q_SLOTS:
    void goSpiffe_getsItsIdentityFromUs()
    {
        const QString go = findTool(u"go"_s);
        if (go.isEmpty())
            LINTEL_SKIP("Go is not installed; run scripts/bootstrap --test.");
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        environment.insert(u"GOTOOLCHAIN"_s, u"local"_s);
        environment.insert(u"GOFLAGS"_s, u"-mod=readonly"_s);
        environment.insert(u"CGO_ENABLED"_s, u"0"_s);
        const QString program = m_dir.filePath(u"workload"_s);
        const QString problem =
            build(go, {u"build"_s, u"-o"_s, program, u"./workload"_s}, sourceDir(u"go"_s), environment);
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        speak(program, {});
    }

    void pythonSpiffe_getsItsIdentityFromUs()
    {
        const QString python = toolsDir() + "/python/bin/python3"_L1;
        if (!QFile::exists(python))
            LINTEL_SKIP("The Python package spiffe is not installed; run scripts/bootstrap --test.");
        speak(python, {sourceDir(u"python"_s) + "/workload.py"_L1});
    }

    void rustSpiffe_getsItsIdentityFromUs()
    {
        const QString named = qEnvironmentVariable("LINTEL_CARGO");
        const QString cargo = named.isEmpty() ? findTool(u"cargo"_s) : named;
        if (cargo.isEmpty() || !QFile::exists(toolsDir() + "/rust"_L1))
            LINTEL_SKIP("Rust 1.88 and the crates are not installed; run scripts/bootstrap --test, or name a cargo "
                        "in LINTEL_CARGO.");
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        const QString target = toolsDir() + "/rust"_L1; // shared, since it takes minutes to fill
        environment.insert(u"CARGO_TARGET_DIR"_s, target);
        const QString problem =
            build(cargo, {u"build"_s, u"--locked"_s, u"--offline"_s}, sourceDir(u"rust"_s), environment);
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        // rustls refuses every chain whose root limits URI names, since it cannot check that.
        speak(target + "/debug/workload"_L1, {}, false);
    }
};

QTEST_GUILESS_MAIN(ForeignWorkload)
#include "tst_foreign_workload.moc"
