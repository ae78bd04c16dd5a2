// lintel-authority as a process and lintelctl beside it: exit codes, lists of devices, backup, where its keys lie,
// and its bundles in federation with another.
#include "fakes/device_under_test.h"
#include "fakes/needs.h"

#include <QDir>
#include <QJsonArray>
#include <QJsonDocument>
#include <QScopeGuard>
#include <QStandardPaths>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

class TestLintelctlAuthority : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        if (QStandardPaths::findExecutable(u"swtpm"_s).isEmpty())
            LINTEL_SKIP("swtpm is not installed; run scripts/bootstrap");
    }

    void bundles_ofTwoDomainsFindEachOtherAndReachDevices()
    {
        AuthorityUnderTest building(u"building-1.smart.local"_s, u"lifetimes: {refresh_hint: 1s}\n"_s);
        AuthorityUnderTest cloud(u"smart-building.cloud"_s, u"lifetimes: {refresh_hint: 1s}\n"_s);
        QVERIFY2(building.start(), qPrintable(building.log()));
        QVERIFY2(cloud.start(), qPrintable(cloud.log()));
        DeviceUnderTest device(u"gateway"_s);
        QCOMPARE(building.ctl(device.enrolment(u"gateway"_s)).exitCode, 0);
        auto &source = device.startOn(building);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(source), qPrintable(sentenceOf(source)), kSlow);
        const TrustDomain domain = *TrustDomain::parse(u"smart-building.cloud");
        QVERIFY(!(*source.current())->bundles.contains(domain));

        const QString url = u"https://127.0.0.1:%1/"_s.arg(cloud.bundlePort());
        const QString bundle = building.file(u"cloud.json"_s);
        QCOMPARE(cloud.ctl({u"bundle"_s, u"show"_s, u"--out"_s, bundle}).exitCode, 0);
        const auto state = [&building] {
            return building.ctl({u"federation"_s, u"list"_s})
                .json.value("relationships"_L1)
                .toArray()
                .first()
                .toObject();
        };
        // Somebody else than the one that was named answers: refused, and said.
        QCOMPARE(building
                     .ctl({u"federation"_s, u"set"_s, domain.name(), u"--url"_s, url, u"--endpoint-id"_s,
                           u"spiffe://smart-building.cloud/other"_s, u"--bundle"_s, bundle})
                     .exitCode,
                 0);
        QTRY_VERIFY_WITH_TIMEOUT(!state().value("problem"_L1).toString().isEmpty(), kSlow);
        QCOMPARE(building
                     .ctl({u"federation"_s, u"set"_s, domain.name(), u"--url"_s, url, u"--endpoint-id"_s,
                           u"spiffe://smart-building.cloud/spire/server"_s})
                     .exitCode,
                 0);
        QTRY_VERIFY_WITH_TIMEOUT(state().value("refreshed_at"_L1).isString(), kSlow);
        QTRY_VERIFY2_WITH_TIMEOUT(state().value("problem"_L1).toString().isEmpty(), qPrintable(building.log()), kSlow);
        source.hurry();
        QTRY_VERIFY_WITH_TIMEOUT((*source.current())->bundles.contains(domain), kSlow);

        // Without a SPIFFE ID the system's roots decide, and they do not know this server.
        const auto changed = building.ctl({u"federation"_s, u"set"_s, domain.name(), u"--url"_s, url});
        QCOMPARE(changed.exitCode, 0);
        QCOMPARE(changed.json.value("profile"_L1).toString(), u"https_web"_s);
        QCOMPARE(changed.json.value("profile_before"_L1).toString(), u"https_spiffe"_s);
        QTRY_VERIFY2_WITH_TIMEOUT(state().value("problem"_L1).toString().contains(u"not to be trusted"_s),
                                  qPrintable(building.log()), kSlow);
        QCOMPARE(building.ctl({u"federation"_s, u"delete"_s, domain.name()}).exitCode, 0);
        QCOMPARE(building.ctl({u"bundle"_s, u"show"_s, u"--trust-domain"_s, domain.name()}).exitCode, 1);
    }

    void bundleEndpoint_withAWebCertificateIsBelievedByTheSystemsRoots()
    {
        const QString openssl = QStandardPaths::findExecutable(u"openssl"_s);
        if (openssl.isEmpty())
            LINTEL_SKIP("openssl is not installed; run scripts/bootstrap");
        QTemporaryDir web;
        const QString certificate = web.filePath(u"web.pem"_s);
        const QString key = web.filePath(u"web.key"_s);
        QCOMPARE(QProcess::execute(openssl, {u"req"_s, u"-x509"_s, u"-newkey"_s, u"ec"_s, u"-pkeyopt"_s,
                                             u"ec_paramgen_curve:P-256"_s, u"-nodes"_s, u"-days"_s, u"2"_s, u"-subj"_s,
                                             u"/CN=web"_s, u"-addext"_s, u"subjectAltName=IP:127.0.0.1"_s, u"-keyout"_s,
                                             key, u"-out"_s, certificate}),
                 0);
        AuthorityUnderTest cloud(u"smart-building.cloud"_s);
        cloud.addToBundleEndpoint(u"certificate: %1, key: %2, profile: https_web"_s.arg(certificate, key));
        QVERIFY2(cloud.start(), qPrintable(cloud.log()));
        qputenv("SSL_CERT_FILE", certificate.toUtf8());
        const auto forget = qScopeGuard([] { qunsetenv("SSL_CERT_FILE"); });
        AuthorityUnderTest building;
        QVERIFY2(building.start(), qPrintable(building.log()));
        const QString url = u"https://127.0.0.1:%1/"_s.arg(cloud.bundlePort());
        const QString domain = u"smart-building.cloud"_s;
        QCOMPARE(building.ctl({u"federation"_s, u"set"_s, domain, u"--url"_s, url}).exitCode, 0);
        const QStringList show{u"bundle"_s, u"show"_s, u"--trust-domain"_s, domain};
        QTRY_VERIFY2_WITH_TIMEOUT(building.ctl(show).exitCode == 0, qPrintable(building.log()), kSlow);
        QCOMPARE(building.ctl(show).json.value("document"_L1),
                 cloud.ctl({u"bundle"_s, u"show"_s}).json.value("document"_L1));
        // The same certificate under a name that is not its own.
        QCOMPARE(building
                     .ctl({u"federation"_s, u"set"_s, domain, u"--url"_s,
                           u"https://localhost:%1/"_s.arg(cloud.bundlePort())})
                     .exitCode,
                 0);
        const auto problem = [&building] {
            const auto all = building.ctl({u"federation"_s, u"list"_s}).json.value("relationships"_L1).toArray();
            return all.first().toObject().value("problem"_L1).toString();
        };
        QTRY_VERIFY2_WITH_TIMEOUT(problem().contains(u"not to be trusted"_s), qPrintable(building.log()), kSlow);
    }

    void commands_failWithOneSentenceAndTheirExitCode()
    {
        AuthorityUnderTest authority;
        const auto absent = authority.ctl({u"authority"_s, u"status"_s});
        QCOMPARE(absent.exitCode, 4);
        QCOMPARE(absent.json.value("error"_L1).toObject().value("code"_L1).toString(), u"unavailable"_s);
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        QCOMPARE(authority.ctl({u"authority"_s, u"status"_s}).exitCode, 0);
        QCOMPARE(authority.ctl({u"device"_s, u"show"_s, u"nobody"_s}).exitCode, 1);
        QCOMPARE(authority.ctl({u"device"_s, u"show"_s}).exitCode, 2);
        QCOMPARE(authority.ctl({u"device"_s, u"vanish"_s}).exitCode, 2);
        QCOMPARE(authority.ctl({u"enroll"_s, u"--nonsense"_s}).exitCode, 2);
        const auto unknown = authority.ctlPlain({u"bogus"_s});
        QCOMPARE(unknown.exitCode, 2);
        QCOMPARE(unknown.json.value("error"_L1).toObject().value("code"_L1).toString(), u"malformed"_s);
        QFile csv(authority.file(u"list.csv"_s));
        QVERIFY(csv.open(QIODevice::WriteOnly));
        csv.write("hash,name,kind,site,space,tags\n" + QByteArray(64, 'a') + ",a-1,hvac,s,,x;y\n12,b-1,hvac,s,,\n");
        csv.close();
        const auto garbage =
            authority.ctl({u"enroll"_s, u"--certificate"_s, csv.fileName(), u"--name"_s, u"hvac-001"_s});
        QCOMPARE(garbage.exitCode, 1);
        QVERIFY(garbage.json.value("error"_L1).toObject().value("message"_L1).toString().contains(u"in PEM or DER"_s));
        const auto broken = authority.ctl({u"enroll"_s, u"--csv"_s, csv.fileName()});
        QCOMPARE(broken.exitCode, 1);
        QVERIFY(broken.json.value("error"_L1).toObject().value("message"_L1).toString().contains(u"line 3"_s));
        QVERIFY(authority.ctl({u"device"_s, u"list"_s}).json.value("devices"_L1).toArray().isEmpty());
        QVERIFY(csv.open(QIODevice::WriteOnly));
        csv.write("hash,name,kind,site,space,tags\n" + QByteArray(64, 'a') + ",a-1,hvac,s,,x;y\n");
        csv.close();
        QCOMPARE(authority.ctl({u"enroll"_s, u"--csv"_s, csv.fileName()}).json.value("enrolled"_L1).toInt(), 1);
    }

    /// Each by itself: what is wrong with one stops none of the others, and is told.
    void revocation_ofSeveralDevicesTellsOfEach()
    {
        AuthorityUnderTest authority;
        const QStringList revoke{u"device"_s, u"revoke"_s};
        const auto absent = authority.ctl(revoke + QStringList{u"a-1"_s, u"a-2"_s});
        QCOMPARE(absent.exitCode, 4);
        QCOMPARE(errorIn(absent.json), u"unavailable"_s);
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        for (int i = 1; i <= 4; ++i)
            QCOMPARE(
                authority.ctl({u"enroll"_s, u"--hash"_s, QString(64, QChar(u'0' + i)), u"--name"_s, u"a-%1"_s.arg(i)})
                    .exitCode,
                0);
        QCOMPARE(authority.ctl(revoke + QStringList{u"a-1"_s, u"a-1"_s}).exitCode, 2);
        const auto some = authority.ctl(revoke + QStringList{u"a-1"_s, u"nobody"_s, QString(16, u'3')});
        QCOMPARE(some.exitCode, 1);
        const QJsonArray told = some.json.value("devices"_L1).toArray();
        QCOMPARE(told.size(), 3);
        QCOMPARE(told.at(0).toObject().value("name"_L1).toString(), u"a-1"_s);
        QCOMPARE(told.at(0).toObject().value("state"_L1).toString(), u"revoked"_s);
        QCOMPARE(told.at(1).toObject().value("device"_L1).toString(), u"nobody"_s);
        QCOMPARE(errorIn(told.at(1).toObject()), u"not_found"_s);
        QCOMPARE(told.at(2).toObject().value("name"_L1).toString(), u"a-3"_s);
        // Of one it is what it always was: the device.
        const auto one = authority.ctl(revoke + QStringList{u"a-2"_s});
        QCOMPARE(one.exitCode, 0);
        QCOMPARE(one.json.value("name"_L1).toString(), u"a-2"_s);
        QCOMPARE(errorIn(authority.ctl(revoke + QStringList{u"a-2"_s}).json), u"conflict"_s);
        const QString text = authority.ctlText(revoke + QStringList{u"a-4"_s, u"nobody"_s});
        QVERIFY2(text.contains(u"/agent/a-4\n"_s) && text.endsWith(u"1 of 2 devices done.\n"_s), qPrintable(text));
    }

    void queue_isEmptiedByTwoCommands()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        std::vector<std::unique_ptr<DeviceUnderTest>> devices;
        for (int i = 0; i < 3; ++i) {
            devices.push_back(std::make_unique<DeviceUnderTest>(u"hvac-%1"_s.arg(i)));
            (void)devices.back()->startOn(authority);
        }
        const auto pending = [&authority] {
            return authority.ctl({u"device"_s, u"list"_s, u"--state"_s, u"pending"_s})
                .json.value("devices"_L1)
                .toArray();
        };
        QTRY_VERIFY2_WITH_TIMEOUT(pending().size() == 3, qPrintable(authority.log()), kSlow);
        for (const auto &device : devices)
            device->stop(); // whoever is let in need not come for it here
        QStringList hashes;
        for (const auto &device : pending())
            hashes.append(device.toObject().value("ek_hash"_L1).toString());

        const QStringList approve{u"device"_s, u"approve"_s, hashes.at(0), hashes.at(1), u"--kind"_s, u"hvac"_s};
        const QStringList first{u"--name"_s, u"hvac-0"_s};
        for (const QStringList &wrong : {first, first + first, QStringList()})
            QCOMPARE(authority.ctl(approve + wrong).exitCode, 2);
        QCOMPARE(pending().size(), 3);
        const auto approved = authority.ctl(approve + first + QStringList{u"--name"_s, u"hvac-1"_s});
        QVERIFY2(approved.exitCode == 0, QJsonDocument(approved.json).toJson().constData());
        for (int i = 0; i < 2; ++i) {
            const QJsonObject device = approved.json.value("devices"_L1).toArray().at(i).toObject();
            QCOMPARE(device.value("ek_hash"_L1).toString(), hashes.at(i));
            QCOMPARE(device.value("name"_L1).toString(), u"hvac-%1"_s.arg(i));
            QCOMPARE(device.value("kind"_L1).toString(), u"hvac"_s);
        }
        // One that waits, and one that does no more.
        const auto rejected =
            authority.ctl({u"device"_s, u"reject"_s, u"hvac-0"_s, hashes.at(2), u"--reason"_s, u"not of ours"_s});
        QVERIFY2(rejected.exitCode == 1, QJsonDocument(rejected.json).toJson().constData());
        const QJsonArray told = rejected.json.value("devices"_L1).toArray();
        QCOMPARE(told.size(), 2);
        QCOMPARE(errorIn(told.at(0).toObject()), u"conflict"_s);
        QCOMPARE(told.at(1).toObject().value("revoke_reason"_L1).toString(), u"not let in: not of ours"_s);
        QVERIFY(pending().isEmpty());
    }

    void backup_bringsAnAuthorityBackWithItsDevices()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        DeviceUnderTest device(u"hvac-005"_s);
        QCOMPARE(authority.ctl(device.enrolment()).exitCode, 0);
        auto *source = &device.startOn(authority);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(*source), qPrintable(sentenceOf(*source)), kSlow);
        const QString dir = authority.file(u"backup"_s);
        QCOMPARE(authority.ctl({u"authority"_s, u"backup"_s, dir}).exitCode, 0);
        // Not while it runs.
        const QStringList restore{u"authority"_s,         u"restore"_s, u"--config"_s,
                                  authority.configFile(), u"--from"_s,  dir};
        QCOMPARE(authority.ctlPlain(restore).exitCode, 1);
        QCOMPARE(authority.stop(), 0);
        QVERIFY(QDir(authority.file(u"state"_s)).removeRecursively());
        const auto restored = authority.ctlPlain(restore);
        QCOMPARE(restored.exitCode, 0);
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        const quint64 rotations = source->status().rotations;
        source->hurry();
        QTRY_VERIFY2_WITH_TIMEOUT(source->status().rotations > rotations, qPrintable(sentenceOf(*source)), kSlow);
    }

    void keys_ofTheAuthorityMayLieInATpm()
    {
        SoftwareTpm chip;
        AuthorityUnderTest authority(u"building-1.smart.local"_s,
                                     u"key_store: {provider: tpm, tcti: \"%1\"}\n"_s.arg(chip.tcti()));
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        const auto before = authority.ctl({u"bundle"_s, u"show"_s}).json;
        QVERIFY(authority.ctl({u"authority"_s, u"status"_s}).json.value("key_store"_L1).toString().contains(u"TPM"_s));
        authority.kill();
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        QCOMPARE(authority.ctl({u"bundle"_s, u"show"_s}).json, before);
        DeviceUnderTest device(u"hvac-006"_s);
        QCOMPARE(authority.ctl(device.enrolment()).exitCode, 0);
        auto &source = device.startOn(authority);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(source), qPrintable(sentenceOf(source)), kSlow);
    }

    void authority_thatRunsAlreadyIsNotStartedTwice()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        QProcess second;
        second.start(QStringLiteral(LINTEL_BIN_DIR "/lintel-authority"), {u"--config"_s, authority.configFile()});
        QVERIFY(second.waitForFinished(kSlow));
        QCOMPARE(second.exitCode(), 1);
        QVERIFY(QString::fromUtf8(second.readAllStandardError()).contains(u"runs on the state"_s));
        QCOMPARE(authority.ctlPlain({u"authority"_s, u"init"_s, u"--config"_s, authority.configFile()}).exitCode, 1);
        QCOMPARE(authority.stop(), 0);
        const auto kept = authority.ctlPlain({u"authority"_s, u"init"_s, u"--config"_s, authority.configFile()});
        QCOMPARE(kept.exitCode, 0);
        QVERIFY(!kept.json.value("created"_L1).toBool(true));
    }

private:
    static QString errorIn(const QJsonObject &json)
    {
        return json.value("error"_L1).toObject().value("code"_L1).toString();
    }
};

QTEST_GUILESS_MAIN(TestLintelctlAuthority)
#include "tst_lintelctl_authority.moc"
