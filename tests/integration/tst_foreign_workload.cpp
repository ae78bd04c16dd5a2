// Clients that we did not write, against our Workload API: go-spiffe, Python's spiffe and Rust's
// spiffe. Each fetches X.509 and JWT SVIDs and the bundles of two trust domains, talks TLS with a
// peer of each, known by its SPIFFE ID, and sees a rotation that was pushed.
#include "fakes/needs.h"
#include "fakes/workload_host.h"

#include <QProcess>
#include <QProcessEnvironment>
#include <QStandardPaths>
#include <QTest>

using namespace lintel;
using namespace lintel::test;

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

/// A TLS server with one of our identities, which believes both trust domains.
struct Peer {
    grpc::Server server;
    SpiffeId id;
    quint16 port = 0;

    Peer(const WorkloadHost &host, const WorkloadDomain &domain)
        : id(*SpiffeId::parse(u"spiffe://"_s + domain.name.name() + u"/peer"_s))
    {
        const grpc::ServerTls tls{domain.svid(id, host.clock.now()),
                                  {{host.issuer->own.name, {host.issuer->own.rootDer}},
                                   {host.issuer->partner.name, {host.issuer->partner.rootDer}}},
                                  {}};
        if (const auto bound = server.listenTcp(u"127.0.0.1"_s, 0, [tls] { return Result<grpc::ServerTls>(tls); }))
            port = *bound;
    }
    QString address() const { return u"127.0.0.1:%1"_s.arg(port); }
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
        const Peer own(host, host.issuer->own);
        const Peer partner(host, host.issuer->partner);

        Program client;
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        environment.insert(u"SPIFFE_ENDPOINT_SOCKET"_s, host.endpoint());
        client.process.setProcessEnvironment(environment);
        client.process.start(program, before
                                          + QStringList{u"-target"_s, own.address(), u"-peer"_s, own.id.toString(),
                                                        u"-partner-target"_s, partner.address(), u"-partner"_s,
                                                        partner.id.toString()});
        (void)QTest::qWaitFor([&] { return client.isOver() || client.output.contains("watching\n"_L1); }, kPatience);
        QVERIFY2(client.output.contains("watching\n"_L1), qPrintable(client.output));
        for (const auto check : {"x509-svid"_L1, "bundles"_L1, "jwt-svid"_L1, "tls"_L1, "federated-tls"_L1})
            QVERIFY2(client.output.contains("ok "_L1 + check + u'\n'), qPrintable(client.output));
        host.advance(std::chrono::minutes{40}); // of an hour: a new SVID is due
        (void)QTest::qWaitFor([&] { return client.isOver(); }, kPatience);
        QVERIFY2(client.succeeded() && client.output.contains("ok rotation\n"_L1), qPrintable(client.output));
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
