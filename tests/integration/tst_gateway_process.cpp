// lintel-gateway as a process with a TPM, attested to lintel-authority: the Workload API that it serves
// to programs on its host, with rotation and revocation, its socket's life, and what it says of its trust.
#include "fakes/authority_under_test.h"
#include "fakes/mosquitto_broker.h"
#include "fakes/needs.h"
#include "fakes/software_tpm.h"
#include "grpc/grpc_channel.h"
#include "grpc/grpc_server.h"
#include "ports/system_clock.h"
#include "spire/server_methods.h"
#include "spire/wire.h"
#include "spire/workload_identity_source.h"
#include "tls/certificate_writer.h"
#include "tls/file_key_store.h"
#include "tls/x509.h"
#include "tpm/tpm_device.h"

#include "spire_entry.pb.h"
#include "spire_svid.pb.h"

#include <QElapsedTimer>
#include <QFile>
#include <QFileInfo>
#include <QProcess>
#include <QProcessEnvironment>
#include <QScopeGuard>
#include <QStandardPaths>
#include <QTest>

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
namespace method = lintel::spire::method;
namespace entryApi = ::spire::api::server::entry::v1;
namespace svidApi = ::spire::api::server::svid::v1;

namespace {

constexpr int kSlow = 60'000;
constexpr int kBuildPatience = 900'000;
constexpr int kQuick = 2'000; // what a revocation may take
const auto kProgram = u"spiffe://building-1.smart.local/reports"_s;
constexpr auto kShortLives = "lifetimes: {x509_svid: 20s}\n";

QString findTool(const QString &name)
{
    const QString pinned = QStandardPaths::findExecutable(
        name, {QStandardPaths::writableLocation(QStandardPaths::GenericCacheLocation) + u"/lintel/tools/bin"_s});
    return pinned.isEmpty() ? QStandardPaths::findExecutable(name) : pinned;
}

/// A gateway whose brokers are not there: what it does for its host it does without them.
class GatewayUnderTest
{
public:
    explicit GatewayUnderTest(AuthorityUnderTest &authority) : m_authority(authority) {}
    ~GatewayUnderTest() { kill(); }

    QString moreOfWorkloadApi;
    bool servesWorkloads = true;

    [[nodiscard]] QString socket() const { return m_dir.filePath(u"agent.sock"_s); }
    [[nodiscard]] QString stateDir() const { return m_dir.filePath(u"identity"_s); }
    [[nodiscard]] QString hash() const { return m_hash; }
    [[nodiscard]] QString endpoint() const { return u"unix://"_s + socket(); }
    [[nodiscard]] QString agentId() const
    {
        return u"spiffe://building-1.smart.local/spire/agent/lintel_tpm/"_s + m_hash;
    }
    [[nodiscard]] QString log() const
    {
        QFile file(m_dir.filePath(u"log"_s));
        return file.open(QIODevice::ReadOnly) ? QString::fromUtf8(file.readAll()) : QString();
    }

    /// Enrols the chip the first time; then the configuration is written and the process started.
    [[nodiscard]] bool start()
    {
        if (m_hash.isEmpty()) {
            const auto device = TpmDevice::open({m_tpm.tcti(), m_tpm.stateDir(), EndorsementChoice::Automatic});
            const auto endorsement = device ? (*device)->endorsement() : Result<TpmEndorsement>(device.error());
            if (!endorsement)
                return false;
            m_hash = endorsement->hash;
            if (m_authority
                    .ctl({u"enroll"_s, u"--hash"_s, m_hash, u"--name"_s, u"gateway"_s, u"--kind"_s, u"gateway"_s})
                    .exitCode
                != 0)
                return false;
            (void)m_authority.ctl({u"bundle"_s, u"show"_s, u"--out"_s, m_dir.filePath(u"bundle.json"_s)});
        }
        return writeConfig() && run({u"--config"_s, m_dir.filePath(u"gateway.yaml"_s)});
    }
    [[nodiscard]] int exitCode()
    {
        m_process.waitForFinished(kSlow);
        return m_process.state() == QProcess::NotRunning ? m_process.exitCode() : -1;
    }
    int stop()
    {
        m_process.terminate();
        return exitCode();
    }
    void kill()
    {
        if (m_process.state() == QProcess::NotRunning)
            return;
        m_process.kill();
        m_process.waitForFinished(kSlow);
    }

private:
    [[nodiscard]] bool writeConfig()
    {
        QFile file(m_dir.filePath(u"gateway.yaml"_s));
        if (!file.open(QIODevice::WriteOnly | QIODevice::Truncate))
            return false;
        const quint16 nobody = freePort();
        file.write(u"agent: {name: gateway, trust_domain: building-1.smart.local}\n"
                   "identity: {provider: embedded, authority: \"%1\", bootstrap_bundle: %2, tpm: \"%3\",\n"
                   "  state_dir: %4}\n"
                   "building: {host_id: gateway-1, groups: [building-1], broker: {host: 127.0.0.1, port: %5}}\n"
                   "cloud: {broker: {host: 127.0.0.1, port: %5, broker_id: \"spiffe://smart-building.cloud/broker\"}}\n"
                   "storage: {directory: %6}\n"_s
                       .arg(m_authority.address(), m_dir.filePath(u"bundle.json"_s), m_tpm.tcti(), stateDir())
                       .arg(nobody)
                       .arg(m_dir.filePath(u"storage"_s))
                       .toUtf8());
        if (servesWorkloads)
            file.write(u"workload_api: {socket: %1%2}\n"_s.arg(socket(), moreOfWorkloadApi).toUtf8());
        return true;
    }
    [[nodiscard]] bool run(const QStringList &arguments)
    {
        m_process.setProcessChannelMode(QProcess::MergedChannels);
        m_process.setStandardOutputFile(m_dir.filePath(u"log"_s));
        m_process.start(QStringLiteral(LINTEL_BIN_DIR "/lintel-gateway"), arguments);
        return m_process.waitForStarted(kSlow);
    }

    AuthorityUnderTest &m_authority;
    SoftwareTpm m_tpm;
    QTemporaryDir m_dir;
    QString m_hash;
    QProcess m_process;
};

/// One call on the authority's administration socket; an empty message when it failed.
template <class Answer, class Question>
Answer ask(const AuthorityUnderTest &authority, const QByteArray &path, const Question &question)
{
    grpc::Channel channel({u"unix://"_s + authority.socket(), {}});
    std::optional<Result<Answer>> answer;
    QObject context;
    channel.unary(path, lintel::spire::serialize(question), std::chrono::seconds{30}, &context,
                  [&](const grpc::Status &status, const QByteArray &message) {
                      if (!status.isOk())
                          qWarning("%s", qPrintable(status.message));
                      answer = lintel::spire::parse<Answer>(message);
                  });
    (void)QTest::qWaitFor([&] { return answer.has_value(); }, kSlow);
    return answer && *answer ? **answer : Answer();
}

/// Whoever runs as this test's user is "reports".
QString addProgram(const AuthorityUnderTest &authority, const GatewayUnderTest &gateway)
{
    entryApi::BatchCreateEntryRequest request;
    auto *entry = request.add_entries();
    lintel::spire::setSpiffeId(entry->mutable_spiffe_id(), *SpiffeId::parse(kProgram));
    lintel::spire::setSpiffeId(entry->mutable_parent_id(), *SpiffeId::parse(gateway.agentId()));
    entry->set_hint("internal");
    auto *selector = entry->add_selectors();
    selector->set_type("unix");
    selector->set_value("uid:" + std::to_string(::getuid()));
    const auto made = ask<entryApi::EntryResults>(authority, method::entry("BatchCreateEntry"), request);
    return made.results_size() == 1 ? QString::fromStdString(made.results(0).entry().id()) : QString();
}

/// A server of the same trust domain, with an SVID that an operator minted.
struct Peer {
    grpc::Server server;
    SpiffeId id = *SpiffeId::parse(u"spiffe://building-1.smart.local/peer"_s);
    quint16 port = 0;

    Peer(const AuthorityUnderTest &authority, const TrustBundles &bundles)
    {
        const auto key = *tls::newSoftwareKey();
        const auto signer = *tls::signingKeyFrom(key);
        svidApi::MintX509SVIDRequest request;
        request.set_csr(tls::makeCsr(*signer, id)->toStdString());
        const auto minted = ask<svidApi::MintX509SVIDResponse>(authority, method::svid("MintX509SVID"), request);
        const auto svid = tls::makeSvid(lintel::spire::chainOf(minted.svid()), key);
        if (!svid)
            return;
        const grpc::ServerTls tls{*svid, bundles, {}};
        if (const auto bound = server.listenTcp(u"127.0.0.1"_s, 0, [tls] { return Result<grpc::ServerTls>(tls); }))
            port = *bound;
    }
};

} // namespace

class TestGatewayProcess : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        if (QStandardPaths::findExecutable(u"swtpm"_s).isEmpty())
            LINTEL_SKIP("swtpm is not installed; run scripts/bootstrap");
    }

    void workloadApi_servesRotatesAndRevokes()
    {
        AuthorityUnderTest authority(u"building-1.smart.local"_s, QString::fromLatin1(kShortLives));
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        GatewayUnderTest gateway(authority);
        QVERIFY2(gateway.start(), qPrintable(gateway.log()));
        QTRY_VERIFY2_WITH_TIMEOUT(QFile::exists(gateway.socket()), qPrintable(gateway.log()), kSlow);
        QVERIFY(!addProgram(authority, gateway).isEmpty());

        const SpiffeId self = *SpiffeId::parse(kProgram);
        lintel::spire::WorkloadIdentitySource program(gateway.endpoint(), self);
        QTRY_VERIFY2_WITH_TIMEOUT(bool(program.current()), qPrintable(gateway.log()), kSlow);
        // What `lintelctl enroll --hash` takes stands in its log, and its state is nobody else's.
        QVERIFY2(gateway.log().contains(u"TPM (EK hash): "_s + gateway.hash()), qPrintable(gateway.log()));
        QCOMPARE(int(QFileInfo(gateway.stateDir()).permissions() & QFile::Permissions(0x0077)), 0);
        const auto first = *program.current();
        QVERIFY(
            tls::verifyPeer(first->svid.chainDer, self, first->bundles, tls::PeerRole::Client, SystemClock().now()));
        // The gateway's own identity is an entry of the same host, and nobody gets it here.
        lintel::spire::WorkloadIdentitySource thief(
            gateway.endpoint(), *SpiffeId::parse(u"spiffe://building-1.smart.local/agent/gateway"_s));
        QTRY_VERIFY_WITH_TIMEOUT((*program.current())->svid.chainDer != first->svid.chainDer, kSlow); // pushed
        QVERIFY(!thief.current());

        QElapsedTimer timer;
        timer.start();
        QCOMPARE(authority.ctl({u"device"_s, u"revoke"_s, kProgram, u"--reason"_s, u"compromised"_s}).exitCode, 0);
        QTRY_VERIFY_WITH_TIMEOUT(!program.current(), kSlow);
        qInfo() << "the workload lost its identity" << timer.elapsed() << "ms after lintelctl was started";
        QVERIFY2(timer.elapsed() < kQuick, qPrintable(QString::number(timer.elapsed())));
        QCOMPARE(program.current().error().code, Errc::Denied);

        // A new entry is a new beginning.
        QVERIFY(!addProgram(authority, gateway).isEmpty());
        QTRY_VERIFY2_WITH_TIMEOUT(bool(program.current()), qPrintable(gateway.log()), kSlow);
        QVERIFY2(gateway.log().contains(u"was given "_s + kProgram), qPrintable(gateway.log()));
        // What is left of it at the end.
        QCOMPARE(gateway.stop(), 0);
        QVERIFY(!QFile::exists(gateway.socket()));
        QTRY_VERIFY_WITH_TIMEOUT(bool(program.current()), kSlow); // it keeps what it has while it is valid
    }

    void revokedGateway_servesNobodyAnyMore()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        GatewayUnderTest gateway(authority);
        QVERIFY2(gateway.start(), qPrintable(gateway.log()));
        QTRY_VERIFY2_WITH_TIMEOUT(QFile::exists(gateway.socket()), qPrintable(gateway.log()), kSlow);
        // It is an agent only once it has attested.
        const auto isAttested = [&authority] {
            return authority.ctl({u"device"_s, u"show"_s, u"gateway"_s}).json.value("svid_expires_at"_L1).isString();
        };
        QTRY_VERIFY2_WITH_TIMEOUT(isAttested(), qPrintable(gateway.log()), kSlow);
        QVERIFY(!addProgram(authority, gateway).isEmpty());
        lintel::spire::WorkloadIdentitySource program(gateway.endpoint(), *SpiffeId::parse(kProgram));
        QTRY_VERIFY2_WITH_TIMEOUT(bool(program.current()), qPrintable(gateway.log()), kSlow);
        QElapsedTimer timer;
        timer.start();
        QCOMPARE(authority.ctl({u"device"_s, u"revoke"_s, u"gateway"_s, u"--reason"_s, u"stolen"_s}).exitCode, 0);
        QTRY_VERIFY2_WITH_TIMEOUT(!program.current(), qPrintable(gateway.log()), kSlow);
        qInfo() << "its workload lost its identity" << timer.elapsed() << "ms after lintelctl was started";
        QVERIFY2(timer.elapsed() < kQuick, qPrintable(QString::number(timer.elapsed())));
    }

    void workloadApi_socketBelongsToItsGroup()
    {
        const struct group *daemons = ::getgrnam("daemon");
        if (::getuid() != 0 || daemons == nullptr)
            QSKIP("only root may give a socket to any group");
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        GatewayUnderTest gateway(authority);
        gateway.moreOfWorkloadApi = u", mode: \"0660\", group: daemon"_s;
        QVERIFY2(gateway.start(), qPrintable(gateway.log()));
        QTRY_VERIFY2_WITH_TIMEOUT(QFile::exists(gateway.socket()), qPrintable(gateway.log()), kSlow);
        struct stat facts {
        };
        const auto isGiven = [&] {
            return ::stat(QFile::encodeName(gateway.socket()).constData(), &facts) == 0
                   && facts.st_gid == daemons->gr_gid && (facts.st_mode & 0777) == 0660;
        };
        QTRY_VERIFY_WITH_TIMEOUT(isGiven(), kSlow);
        gateway.kill(); // its file stays, and is no obstacle
        QVERIFY(QFile::exists(gateway.socket()));
        gateway.moreOfWorkloadApi = u", group: nobody-has-this-group"_s;
        QVERIFY(gateway.start());
        QCOMPARE(gateway.exitCode(), 1);
        QVERIFY2(gateway.log().contains(u"nobody-has-this-group"_s), qPrintable(gateway.log()));
    }

    void goSpiffe_seesRotationAndRevocation()
    {
        const QString go = findTool(u"go"_s);
        if (go.isEmpty())
            LINTEL_SKIP("Go is not installed; run scripts/bootstrap --test.");
        QTemporaryDir tools;
        const QString client = tools.filePath(u"workload"_s);
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        environment.insert(u"GOTOOLCHAIN"_s, u"local"_s);
        environment.insert(u"GOFLAGS"_s, u"-mod=readonly"_s);
        environment.insert(u"CGO_ENABLED"_s, u"0"_s);
        QProcess builder;
        builder.setProcessEnvironment(environment);
        builder.setWorkingDirectory(QStringLiteral(LINTEL_SOURCE_DIR "/tests/foreign/go"));
        builder.setProcessChannelMode(QProcess::MergedChannels);
        builder.start(go, {u"build"_s, u"-o"_s, client, u"./workload"_s});
        QVERIFY(builder.waitForFinished(kBuildPatience));
        QVERIFY2(builder.exitCode() == 0, builder.readAll().constData());

        AuthorityUnderTest authority(u"building-1.smart.local"_s, QString::fromLatin1(kShortLives));
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        GatewayUnderTest gateway(authority);
        QVERIFY2(gateway.start(), qPrintable(gateway.log()));
        QTRY_VERIFY2_WITH_TIMEOUT(QFile::exists(gateway.socket()), qPrintable(gateway.log()), kSlow);
        QVERIFY(!addProgram(authority, gateway).isEmpty());
        lintel::spire::WorkloadIdentitySource ours(gateway.endpoint(), *SpiffeId::parse(kProgram));
        QTRY_VERIFY2_WITH_TIMEOUT(bool(ours.current()), qPrintable(gateway.log()), kSlow);
        const Peer peer(authority, (*ours.current())->bundles);
        QVERIFY(peer.port != 0);

        QProcess theirs;
        QString output;
        environment.insert(u"SPIFFE_ENDPOINT_SOCKET"_s, gateway.endpoint());
        theirs.setProcessEnvironment(environment);
        theirs.setProcessChannelMode(QProcess::MergedChannels);
        connect(&theirs, &QProcess::readyRead, this, [&] { output += QString::fromUtf8(theirs.readAll()); });
        theirs.start(client, {u"-target"_s, u"127.0.0.1:%1"_s.arg(peer.port), u"-peer"_s, peer.id.toString(),
                              u"-until-denied"_s});
        const auto ended = qScopeGuard([&theirs] {
            theirs.kill();
            theirs.waitForFinished(kSlow);
        });
        for (const auto check : {"x509-svid"_L1, "bundles"_L1, "jwt-svid"_L1, "tls"_L1, "rotation"_L1})
            QTRY_VERIFY2_WITH_TIMEOUT(output.contains("ok "_L1 + check + u'\n'), qPrintable(output), kSlow);
        QElapsedTimer timer;
        timer.start();
        QCOMPARE(authority.ctl({u"device"_s, u"revoke"_s, kProgram, u"--reason"_s, u"compromised"_s}).exitCode, 0);
        QTRY_VERIFY2_WITH_TIMEOUT(output.contains("ok denied\n"_L1), qPrintable(output), kSlow);
        qInfo() << "go-spiffe was told" << timer.elapsed() << "ms after lintelctl was started";
        QVERIFY2(timer.elapsed() < kQuick, qPrintable(QString::number(timer.elapsed())));
    }
};

QTEST_GUILESS_MAIN(TestGatewayProcess)
#include "tst_gateway_process.moc"
