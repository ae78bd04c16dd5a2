// The real `lintelctl pki`: what it makes is what agents load, and what the standard asks of it.
#include "ports/system_clock.h"
#include "tls/file_identity_source.h"
#include "tls/identity_files.h"
#include "tls/x509.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <memory>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

const QString kGateway = u"spiffe://building-1.smart.local/agent/gateway"_s;
const QString kCloudBroker = u"spiffe://smart-building.cloud/broker"_s;

struct Outcome {
    int exitCode = -1;
    QString output;
    QString errors;
};

Outcome runProgram(const QString &program, const QStringList &arguments)
{
    QProcess process;
    process.start(program, arguments);
    if (!process.waitForFinished(30'000)) {
        process.kill();
        process.waitForFinished();
        return {};
    }
    return {process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1,
            QString::fromUtf8(process.readAllStandardOutput()), QString::fromUtf8(process.readAllStandardError())};
}

Outcome pki(const QStringList &arguments)
{
    return runProgram(QStringLiteral(LINTEL_BIN_DIR "/lintelctl"), QStringList{u"pki"_s} + arguments);
}

QJsonObject jsonOf(const Outcome &outcome)
{
    return QJsonDocument::fromJson(outcome.output.toUtf8()).object();
}

QByteArray contentOf(const QString &path)
{
    const auto bytes = tls::readWholeFile(path);
    return bytes ? *bytes : QByteArray();
}

} // namespace

class TestPkiCommand : public QObject
{
    Q_OBJECT

    std::unique_ptr<QTemporaryDir> m_dir;

    QString in(const QString &name) const { return m_dir->filePath(name); }

    /// As an agent loads it, whether it is `id` with that lifetime, trusted by `roots` domains, and as
    /// X509-SVID.md has it.
    void checkIdentity(const QString &directory, const QString &id, std::chrono::seconds ttl, int roots) const
    {
        const tls::FileIdentitySource source(directory);
        const auto current = source.current();
        QVERIFY2(current, current ? "" : qPrintable(current.error().message));
        const auto &[svid, bundles] = **current;
        QCOMPARE(svid.id.toString(), id);
        QCOMPARE(bundles.size(), roots);
        const Timestamp now = SystemClock().now();
        const auto left = svid.notAfter - now;
        QVERIFY(left <= ttl && left > ttl - std::chrono::minutes{5});
        QVERIFY(svid.notBefore < now);
        for (const auto role : {tls::PeerRole::Server, tls::PeerRole::Client}) {
            const auto verified = tls::verifyPeer(svid.chainDer, svid.id, bundles, role, now);
            QVERIFY2(verified, verified ? "" : qPrintable(verified.error().message));
        }
        QCOMPARE(QFileInfo(directory + u"/svid.key"_s).permissions() & QFileDevice::Permissions(0x77),
                 QFileDevice::Permissions());

        const QString text =
            runProgram(u"openssl"_s, {u"x509"_s, u"-in"_s, directory + u"/svid.pem"_s, u"-noout"_s, u"-text"_s}).output;
        QVERIFY2(text.contains(u"NIST CURVE: P-256"_s), qPrintable(text));
        QVERIFY2(text.contains(u"URI:"_s + id + u'\n'), qPrintable(text));
        QCOMPARE(text.count(u"URI:"_s), 1);
        QVERIFY2(text.contains(u"X509v3 Key Usage: critical\n                Digital Signature\n"_s), qPrintable(text));
        QVERIFY2(text.contains(u"X509v3 Basic Constraints: critical\n                CA:FALSE"_s), qPrintable(text));
    }

private Q_SLOTS:
    void init() { m_dir = std::make_unique<QTemporaryDir>(); }

    void init_makesRootsAndIdentitiesThatAgentsLoad()
    {
        const Outcome outcome = pki({u"init"_s, u"--dir"_s, in(u"pki"_s), u"--id"_s, kGateway, u"--id"_s, kCloudBroker,
                                     u"--out"_s, in(u"identities"_s)});
        QVERIFY2(outcome.exitCode == 0, qPrintable(outcome.errors));
        const QString gateway = in(u"identities/building-1.smart.local/agent/gateway"_s);
        const QString broker = in(u"identities/smart-building.cloud/broker"_s);
        checkIdentity(gateway, kGateway, std::chrono::hours{1}, 2);
        checkIdentity(broker, kCloudBroker, std::chrono::hours{1}, 2);
        for (const QString &told : {u"building-1.smart.local: root made"_s, u"smart-building.cloud: root made"_s,
                                    kGateway + u": valid until"_s, u", in "_s + gateway, u", in "_s + broker})
            QVERIFY2(outcome.output.contains(told), qPrintable(outcome.output));
    }

    void issue_makesOneMoreByTheRootThatThereIs()
    {
        QCOMPARE(pki({u"init"_s, u"--dir"_s, in(u"pki"_s)}).exitCode, 0);
        const Outcome outcome = pki({u"issue"_s, u"--dir"_s, in(u"pki"_s), u"--id"_s, kGateway, u"--out"_s,
                                     in(u"gateway"_s), u"--ttl"_s, u"24h"_s, u"--json"_s});
        QVERIFY2(outcome.exitCode == 0, qPrintable(outcome.errors));
        checkIdentity(in(u"gateway"_s), kGateway, std::chrono::hours{24}, 2);
        const QJsonObject told = jsonOf(outcome);
        QCOMPARE(told.value("spiffe_id"_L1).toString(), kGateway);
        QCOMPARE(told.value("directory"_L1).toString(), in(u"gateway"_s));
        QVERIFY(!told.value("serial"_L1).toString().isEmpty());
        QVERIFY(timestampFromIso8601(told.value("not_after"_L1).toString()));
    }

    void init_keepsTheRootsThatThereAre()
    {
        const QStringList once{u"init"_s, u"--dir"_s, in(u"pki"_s), u"--trust-domain"_s, u"a.local"_s};
        QCOMPARE(pki(once).exitCode, 0);
        const QByteArray root = contentOf(in(u"pki/a.local/root.pem"_s));
        const QByteArray key = contentOf(in(u"pki/a.local/root.key"_s));
        QVERIFY(!root.isEmpty() && !key.isEmpty());
        const QStringList again = once + QStringList{u"--trust-domain"_s,           u"b.local"_s, u"--id"_s,
                                                     u"spiffe://a.local/agent/x"_s, u"--out"_s,   in(u"out"_s)};
        const Outcome second = pki(again);
        QVERIFY2(second.exitCode == 0, qPrintable(second.errors));
        QVERIFY2(second.output.contains(u"a.local: kept, valid until"_s), qPrintable(second.output));
        QVERIFY2(second.output.contains(u"b.local: root made, valid until"_s), qPrintable(second.output));
        QCOMPARE(contentOf(in(u"pki/a.local/root.pem"_s)), root);
        QCOMPARE(contentOf(in(u"pki/a.local/root.key"_s)), key);
        QCOMPARE(contentOf(in(u"out/a.local/agent/x/a.local.pem"_s)), root);
        checkIdentity(in(u"out/a.local/agent/x"_s), u"spiffe://a.local/agent/x"_s, std::chrono::hours{1}, 2);
    }

    void init_tellsInJsonWhatItDid()
    {
        const QStringList arguments{u"init"_s,
                                    u"--dir"_s,
                                    in(u"pki"_s),
                                    u"--trust-domain"_s,
                                    u"a.local"_s,
                                    u"--id"_s,
                                    u"spiffe://a.local/x"_s,
                                    u"--out"_s,
                                    in(u"out"_s),
                                    u"--ttl"_s,
                                    u"90m"_s,
                                    u"--json"_s};
        for (const bool isFirst : {true, false}) {
            const Outcome outcome = pki(arguments);
            QVERIFY2(outcome.exitCode == 0, qPrintable(outcome.errors));
            QVERIFY2(outcome.errors.isEmpty(), qPrintable(outcome.errors));
            const QJsonArray roots = jsonOf(outcome).value("roots"_L1).toArray();
            QCOMPARE(roots.size(), 1);
            QCOMPARE(roots[0].toObject().value("trust_domain"_L1).toString(), u"a.local"_s);
            QCOMPARE(roots[0].toObject().value("created"_L1).toBool(), isFirst);
            QVERIFY(timestampFromIso8601(roots[0].toObject().value("not_after"_L1).toString()));
            const QJsonArray svids = jsonOf(outcome).value("svids"_L1).toArray();
            QCOMPARE(svids.size(), 1);
            QCOMPARE(svids[0].toObject().value("spiffe_id"_L1).toString(), u"spiffe://a.local/x"_s);
            QCOMPARE(svids[0].toObject().value("directory"_L1).toString(), in(u"out/a.local/x"_s));
            checkIdentity(in(u"out/a.local/x"_s), u"spiffe://a.local/x"_s, std::chrono::minutes{90}, 1);
        }
    }

    void init_thatRefusesHasMadeNothing_data()
    {
        QTest::addColumn<QStringList>("arguments");
        QTest::addColumn<QString>("sentence");
        const QStringList out{u"--out"_s, u"@/out"_s};
        QTest::addRow("an ID that is none") << QStringList{u"--id"_s, u"foo"_s} + out << u"foo"_s;
        QTest::addRow("an ID without a path")
            << QStringList{u"--id"_s, u"spiffe://building-1.smart.local"_s} + out << u"a SPIFFE ID with a path"_s;
        QTest::addRow("an ID without a root")
            << QStringList{u"--id"_s, u"spiffe://elsewhere.local/x"_s} + out << u"add --trust-domain elsewhere.local"_s;
        QTest::addRow("too short a life")
            << QStringList{u"--id"_s, kGateway, u"--ttl"_s, u"59m"_s} + out << u"1 to 24 hours"_s;
        QTest::addRow("too long a life") << QStringList{u"--id"_s, kGateway, u"--ttl"_s, u"25h"_s} + out
                                         << u"1 to 24 hours"_s;
        QTest::addRow("no place for SVIDs") << QStringList{u"--id"_s, kGateway} << u"--out"_s;
        QTest::addRow("a life without an SVID") << QStringList{u"--ttl"_s, u"5h"_s} << u"--ttl is for SVIDs"_s;
        QTest::addRow("a trust domain that is none")
            << QStringList{u"--trust-domain"_s, u"Not A Domain"_s} << u"Not A Domain"_s;
    }

    void init_thatRefusesHasMadeNothing()
    {
        QFETCH(QStringList, arguments);
        QFETCH(QString, sentence);
        arguments.replaceInStrings(u"@"_s, m_dir->path());
        const QStringList all = QStringList{u"init"_s, u"--dir"_s, in(u"pki"_s)} + arguments;
        const Outcome outcome = pki(all);
        QCOMPARE(outcome.exitCode, 2);
        QVERIFY2(outcome.errors.contains(sentence), qPrintable(outcome.errors));
        QCOMPARE(outcome.errors.count(u'\n'), 1);
        QVERIFY(QDir(m_dir->path()).isEmpty());
        const Outcome json = pki(all + QStringList{u"--json"_s});
        QCOMPARE(json.exitCode, 2);
        QVERIFY2(json.errors.isEmpty(), qPrintable(json.errors));
        QVERIFY2(jsonOf(json).value("error"_L1).toObject().value("message"_L1).toString().contains(sentence),
                 qPrintable(json.output));
    }
};

QTEST_GUILESS_MAIN(TestPkiCommand)
#include "tst_pki_command.moc"
