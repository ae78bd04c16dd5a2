// lintel-authority as a process and devices with software TPMs that fetch their identities over the network:
// enrolment, rotation, restarts, absence, revocation, tokens.
#include "fakes/device_under_test.h"
#include "fakes/needs.h"
#include "grpc/grpc_channel.h"
#include "spire/server_methods.h"
#include "spire/wire.h"
#include "sqlite/database.h"
#include "tls/certificate_writer.h"
#include "tls/deny_list.h"
#include "tls/file_key_store.h"
#include "tls/identity_files.h"
#include "tls/x509.h"

#include "lintel_authority.pb.h"
#include "spire_agent.pb.h"
#include "spire_entry.pb.h"

#include <QElapsedTimer>
#include <QFileInfo>
#include <QJsonArray>
#include <QStandardPaths>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
namespace method = lintel::spire::method;

namespace {

constexpr auto kShortLives = "lifetimes: {x509_svid: 10s}\n";

/// A channel to the authority with an agent's SVID.
std::unique_ptr<grpc::Channel> channelAs(const X509Svid &agent, const TrustBundles &bundles,
                                         const AuthorityUnderTest &to)
{
    const SpiffeId server = *SpiffeId::parse(u"spiffe://%1/spire/server"_s.arg(to.domain()));
    return std::make_unique<grpc::Channel>(grpc::ChannelTarget{to.address(), [=]() -> Result<grpc::ClientTls> {
                                                                   return grpc::ClientTls{agent, server, bundles, {}};
                                                               }});
}

} // namespace

class TestAuthorityProcess : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        if (QStandardPaths::findExecutable(u"swtpm"_s).isEmpty())
            LINTEL_SKIP("swtpm is not installed; run scripts/bootstrap");
    }

    void device_thatIsEnrolledByItsHashGetsItsIdentity()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        DeviceUnderTest device(u"hvac-001"_s);
        const auto enrolled = authority.ctl(device.enrolment());
        QCOMPARE(enrolled.exitCode, 0);
        QCOMPARE(enrolled.json.value("spiffe_id"_L1).toString(), device.id(authority).toString());

        QElapsedTimer timer;
        timer.start();
        auto &source = device.startOn(authority);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(source), qPrintable(sentenceOf(source)), kSlow);
        qInfo() << "first identity with a new attestation key after" << timer.elapsed() << "ms";
        const auto snapshot = *source.current();
        QCOMPARE(snapshot->svid.id, device.id(authority));
        QCOMPARE(source.status().attestation, u"lintel_tpm"_s);
        QVERIFY(source.status().isBoundToChip);
        QVERIFY(tls::verifyPeer(snapshot->svid.chainDer, snapshot->svid.id, snapshot->bundles, tls::PeerRole::Client,
                                SystemClock().now()));
        QList<qint64> trips;
        for (int i = 1; i <= 5; ++i) {
            timer.restart();
            source.hurry();
            QTRY_COMPARE_WITH_TIMEOUT(source.status().rotations, quint64(i), kSlow);
            trips.append(timer.elapsed());
        }
        std::sort(trips.begin(), trips.end());
        qInfo() << "attestation round trip (full errand), median of 5:" << trips.at(2) << "ms";
        const auto shown = authority.ctl({u"device"_s, u"show"_s, u"hvac-001"_s});
        QCOMPARE(shown.json.value("state"_L1).toString(), u"approved"_s);
        QCOMPARE(shown.json.value("attestation"_L1).toString(), u"lintel_tpm"_s);
        QVERIFY(shown.json.value("svid_expires_at"_L1).isString());

        // What its own machine can see of it, without asking anybody.
        QFile config(authority.file(u"sensor.yaml"_s));
        QVERIFY(config.open(QIODevice::WriteOnly));
        config.write("identity:\n  provider: embedded\n  state_dir: " + device.stateDir().toUtf8() + "\n");
        config.close();
        const auto own = authority.ctlPlain({u"svid"_s, u"show"_s, u"--config"_s, config.fileName()});
        QCOMPARE(own.exitCode, 0);
        QCOMPARE(own.json.value("spiffe_id"_L1).toString(), device.id(authority).toString());
        QVERIFY2(own.json.value("valid"_L1).toBool(), qPrintable(own.json.value("problem"_L1).toString()));
        QCOMPARE(own.json.value("chain"_L1).toArray().size(), source.current()->get()->svid.chainDer.size());
        // Without the bundle that it verifies with, it is not valid.
        const QString alone = authority.file(u"alone"_s);
        QVERIFY(QDir().mkpath(alone));
        QVERIFY(QFile::copy(device.stateDir() + u"/svid.pem"_s, alone + u"/svid.pem"_s));
        const auto unverified = authority.ctlPlain({u"svid"_s, u"show"_s, u"--dir"_s, alone});
        QCOMPARE(unverified.exitCode, 1);
        QVERIFY(!unverified.json.value("valid"_L1).toBool(true));

        // The trail about it, by its name or the beginning of its hash.
        const QStringList trail{u"authority"_s, u"audit"_s, u"--subject"_s};
        const auto records = authority.ctl(trail + QStringList{u"hvac-001"_s});
        QCOMPARE(records.exitCode, 0);
        QVERIFY(!records.json.value("records"_L1).toArray().isEmpty());
        QCOMPARE(authority.ctl(trail + QStringList{device.ekHash().left(8)}).json, records.json);
        QCOMPARE(authority.ctlText(trail + QStringList{u"nobody"_s}),
                 u"No records about nobody.\nThe trail's chain is whole.\n"_s);
        QCOMPARE(authority.stop(), 0);

        // Somebody rewrites history while the authority is down.
        {
            auto database = sqlite::Database::open(authority.file(u"state"_s) + u"/authority.db"_s);
            QVERIFY(database);
            QVERIFY((*database)->execute("DROP TRIGGER audit_is_fixed; UPDATE audit SET actor = 'nobody' "
                                         "WHERE number = 1"));
        }
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        const auto broken = authority.ctl(trail + QStringList{u"hvac-001"_s});
        QCOMPARE(broken.exitCode, 1);
        QVERIFY(!broken.json.value("chain_intact"_L1).toBool(true));
        QVERIFY(authority.ctlText(trail + QStringList{u"nobody"_s}).contains(u"The trail's chain is broken"_s));
    }

    void device_mayAttestAsSpiresPluginDoes_data()
    {
        QTest::addColumn<QString>("terms");
        QTest::addColumn<bool>("isMeasured");
        QTest::newRow("one challenge") << QString() << false;
        QTest::newRow("registers too") << u"attestation: {spire_tpm_quote: true}\n"_s << true;
    }

    void device_mayAttestAsSpiresPluginDoes()
    {
        QFETCH(const QString, terms);
        QFETCH(const bool, isMeasured);
        AuthorityUnderTest authority(u"building-1.smart.local"_s, terms);
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        DeviceUnderTest device(u"hvac-007"_s);
        QCOMPARE(authority.ctl(device.enrolment()).exitCode, 0);
        auto &source = device.startOn(authority, TpmAttestor::Wire::SpireTpm);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(source), qPrintable(sentenceOf(source)), kSlow);
        QCOMPARE((*source.current())->svid.id, device.id(authority));
        const auto shown = authority.ctl({u"device"_s, u"show"_s, u"hvac-007"_s});
        QCOMPARE(shown.json.value("attestation"_L1).toString(), u"tpm"_s);
        QCOMPARE(!shown.json.value("pcrs"_L1).toObject().isEmpty(), isMeasured);
    }

    void unknownChip_isRefusedWhereTheQueueIsClosed()
    {
        AuthorityUnderTest authority(u"building-1.smart.local"_s, u"attestation: {first_seen: refuse}\n"_s);
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        DeviceUnderTest device(u"hvac-009"_s);
        auto &source = device.startOn(authority);
        const QString command = u"lintelctl enroll --hash %1 --name NAME"_s.arg(device.ekHash());
        QTRY_VERIFY2_WITH_TIMEOUT(sentenceOf(source).contains(command), qPrintable(sentenceOf(source)), kSlow);
        QVERIFY(!isValid(source));
        QVERIFY(authority.ctl({u"device"_s, u"list"_s}).json.value("devices"_L1).toArray().isEmpty());
    }

    void unknownChip_waitsInTheQueueUntilItIsApproved()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        DeviceUnderTest device(u"hvac-002"_s);
        auto &source = device.startOn(authority);
        const QStringList pending{u"device"_s, u"list"_s, u"--state"_s, u"pending"_s};
        QTRY_COMPARE_WITH_TIMEOUT(authority.ctl(pending).json.value("devices"_L1).toArray().size(), 1, kSlow);
        QVERIFY(!isValid(source));
        QTRY_VERIFY2_WITH_TIMEOUT(sentenceOf(source).contains(u"approv"_s), qPrintable(sentenceOf(source)), kSlow);
        const QString hash = device.ekHash();
        const QString shown = authority.ctlText({u"device"_s, u"show"_s, hash.left(12)});
        QVERIFY2(shown.contains(u"first seen at"_s) && shown.contains(u"waits for approval"_s)
                     && !shown.contains(u"enrolled at"_s),
                 qPrintable(shown));
        const auto approved = authority.ctl({u"device"_s, u"approve"_s, hash.left(12), u"--name"_s, u"hvac-002"_s});
        QCOMPARE(approved.exitCode, 0);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(source), qPrintable(sentenceOf(source)), kSlow);
    }

    void unknownChip_thatIsRejectedWaitsNoMore()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        DeviceUnderTest device(u"hvac-002"_s);
        auto &source = device.startOn(authority);
        const QStringList pending{u"device"_s, u"list"_s, u"--state"_s, u"pending"_s};
        QTRY_COMPARE_WITH_TIMEOUT(authority.ctl(pending).json.value("devices"_L1).toArray().size(), 1, kSlow);
        const auto rejected =
            authority.ctl({u"device"_s, u"reject"_s, device.ekHash().left(12), u"--reason"_s, u"no device of ours"_s});
        QCOMPARE(rejected.exitCode, 0);
        QCOMPARE(rejected.json.value("ek_hash"_L1).toString(), device.ekHash());
        QCOMPARE(rejected.json.value("state"_L1).toString(), u"revoked"_s);
        QCOMPARE(rejected.json.value("verdict_reason"_L1).toString(), u"not let in"_s);
        QVERIFY(authority.ctl(pending).json.value("devices"_L1).toArray().isEmpty());
        QTRY_VERIFY2_WITH_TIMEOUT(sentenceOf(source).contains(u"no device of ours"_s), qPrintable(sentenceOf(source)),
                                  kSlow);
        QCOMPARE(authority.ctl({u"device"_s, u"reject"_s, device.ekHash()}).exitCode, 1);
        QVERIFY(authority.ctlText({u"device"_s, u"--help"_s}).contains(u"device reject"_s));
        QCOMPARE(authority.ctl(device.enrolment()).exitCode, 0);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(source), qPrintable(sentenceOf(source)), kSlow);
    }

    void secondChip_cannotTakeAnEnrolledName()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        DeviceUnderTest first(u"hvac-001"_s);
        DeviceUnderTest second(u"hvac-001"_s);
        QCOMPARE(authority.ctl(first.enrolment()).exitCode, 0);
        const auto refused = authority.ctl(second.enrolment());
        QCOMPARE(refused.exitCode, 1);
        QCOMPARE(refused.json.value("error"_L1).toObject().value("code"_L1).toString(), u"conflict"_s);
        auto &source = second.startOn(authority); // comes all the same, and lands in the queue without a name
        QTRY_VERIFY2_WITH_TIMEOUT(sentenceOf(source).contains(u"approv"_s), qPrintable(sentenceOf(source)), kSlow);
        QVERIFY(!isValid(source));
    }

    void identity_rotatesAndSurvivesAnAuthorityThatIsKilled()
    {
        AuthorityUnderTest authority(u"building-1.smart.local"_s, QString::fromLatin1(kShortLives));
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        DeviceUnderTest device(u"hvac-003"_s);
        QCOMPARE(authority.ctl(device.enrolment()).exitCode, 0);
        auto &source = device.startOn(authority);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(source), qPrintable(sentenceOf(source)), kSlow);
        const QByteArray first = (*source.current())->svid.chainDer.first();
        QTRY_VERIFY2_WITH_TIMEOUT(source.status().rotations >= 2, qPrintable(sentenceOf(source)), kSlow);
        QVERIFY((*source.current())->svid.chainDer.first() != first);
        const auto before = authority.ctl({u"bundle"_s, u"show"_s}).json;

        authority.kill();
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        QCOMPARE(authority.ctl({u"bundle"_s, u"show"_s}).json, before);
        const quint64 rotations = source.status().rotations;
        QTRY_VERIFY2_WITH_TIMEOUT(source.status().rotations > rotations, qPrintable(sentenceOf(source)), kSlow);

        // Away for three lives: the SVID is used until its end, and then dropped.
        authority.kill();
        QTRY_VERIFY2_WITH_TIMEOUT(source.status().state == IdentityStatus::State::Overdue,
                                  qPrintable(sentenceOf(source)), kSlow);
        QVERIFY(isValid(source));
        const Timestamp end = source.status().expiresAt;
        QTRY_VERIFY_WITH_TIMEOUT(!isValid(source), kSlow);
        QVERIFY(SystemClock().now() >= end - std::chrono::seconds{1});
        QVERIFY2(sentenceOf(source).startsWith(u"identity expired, buffering"_s), qPrintable(sentenceOf(source)));
        QTRY_VERIFY_WITH_TIMEOUT(SystemClock().now() >= end + std::chrono::seconds{20}, kSlow);
        QVERIFY(!isValid(source));
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        QElapsedTimer back;
        back.start();
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(source), qPrintable(sentenceOf(source)), kSlow);
        qInfo() << "recovered" << back.elapsed() << "ms after the authority was back";
        QVERIFY(back.elapsed() <= 10'000);
    }

    void revokedDevice_isRefusedAndOnTheDenyListWithinTwoSeconds()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        DeviceUnderTest gateway(u"gateway"_s);
        DeviceUnderTest sensor(u"hvac-004"_s);
        QCOMPARE(authority.ctl(gateway.enrolment(u"gateway"_s)).exitCode, 0);
        QCOMPARE(authority.ctl(sensor.enrolment()).exitCode, 0);
        auto &watcher = gateway.startOn(authority);
        auto &source = sensor.startOn(authority);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(watcher), qPrintable(sentenceOf(watcher)), kSlow);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(source), qPrintable(sentenceOf(source)), kSlow);

        const auto channel = channelAs(*watcher.agentSvid(), (*watcher.current())->bundles, authority);
        QList<QByteArray> lists;
        auto *call = channel->start(method::trust("WatchDenyList"));
        connect(call, &grpc::ClientCall::messageReceived, this, [&lists](const QByteArray &message) {
            const auto document = lintel::spire::parse<::lintel::authority::v1::DenyListDocument>(message);
            lists.append(document ? lintel::spire::bytesOf(document->jws()) : QByteArray());
        });
        call->send({});
        QTRY_COMPARE_WITH_TIMEOUT(lists.size(), 1, kSlow);

        const auto revoked =
            authority.ctl({u"device"_s, u"revoke"_s, u"hvac-004"_s, u"--reason"_s, u"stolen from the roof"_s});
        QElapsedTimer timer;
        timer.start();
        QCOMPARE(revoked.exitCode, 0);
        QVERIFY(revoked.json.value("revoked_at"_L1).isString());
        QTRY_COMPARE_WITH_TIMEOUT(lists.size(), 2, kSlow);
        qInfo() << "deny list" << timer.elapsed() << "ms after lintelctl had its answer";
        QVERIFY(timer.elapsed() <= 2'000);
        const TrustDomain domain = sensor.id(authority).trustDomain();
        const auto list =
            tls::verifyDenyList(lists.last(), domain, watcher.documents().value(domain).jwtAuthorities, 0);
        QVERIFY2(list, qPrintable(list ? QString() : list.error().message));
        QVERIFY(std::any_of(list->entries.begin(), list->entries.end(),
                            [&](const tls::DenyEntry &entry) { return entry.id == sensor.id(authority); }));

        source.hurry();
        QTRY_VERIFY2_WITH_TIMEOUT(sentenceOf(source).contains(u"revoked"_s), qPrintable(sentenceOf(source)), kSlow);
        const QString shown = authority.ctlText({u"device"_s, u"show"_s, u"hvac-004"_s});
        QVERIFY2(shown.contains(u"last message accepted at"_s) && shown.contains(u"stolen from the roof"_s),
                 qPrintable(shown));

        // What the broker's agent says about the last message stands there afterwards.
        ::lintel::authority::v1::ReportLastAcceptedRequest report;
        auto *item = report.add_items();
        item->set_spiffe_id(sensor.id(authority).toString().toStdString());
        item->set_at_ms(toEpochMillis(SystemClock().now()));
        std::optional<grpc::Status> reported;
        channel->unary(method::trust("ReportLastAccepted"), lintel::spire::serialize(report), std::chrono::seconds{30},
                       this, [&](const grpc::Status &status, const QByteArray &) { reported = status; });
        QTRY_VERIFY_WITH_TIMEOUT(reported, kSlow);
        QVERIFY2(reported->isOk(), qPrintable(reported->message));
        QVERIFY(authority.ctl({u"device"_s, u"show"_s, u"hvac-004"_s}).json.value("last_accepted_at"_L1).isString());

        // Only a fresh enrolment brings it back.
        QCOMPARE(authority.ctl(sensor.enrolment()).exitCode, 0);
        const quint64 rotations = source.status().rotations;
        source.hurry();
        QTRY_VERIFY2_WITH_TIMEOUT(source.status().rotations > rotations, qPrintable(sentenceOf(source)), kSlow);
    }

    void gateway_mayRenewItsBrokersCertificate()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        DeviceUnderTest gateway(u"gateway"_s);
        QCOMPARE(authority.ctl(gateway.enrolment(u"gateway"_s)).exitCode, 0);
        auto &source = gateway.startOn(authority);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(source), qPrintable(sentenceOf(source)), kSlow);
        const auto channel = channelAs(*source.agentSvid(), (*source.current())->bundles, authority);
        std::optional<::spire::api::server::entry::v1::GetAuthorizedEntriesResponse> entries;
        channel->unary(
            method::entry("GetAuthorizedEntries"), {}, std::chrono::seconds{30}, this,
            [&](const grpc::Status &, const QByteArray &bytes) {
                entries = *lintel::spire::parse<::spire::api::server::entry::v1::GetAuthorizedEntriesResponse>(bytes);
            });
        QTRY_VERIFY_WITH_TIMEOUT(entries, kSlow);
        QStringList paths;
        for (const auto &entry : entries->entries())
            paths.append(lintel::spire::textOf(entry.spiffe_id().path()));
        paths.sort();
        QCOMPARE(paths, (QStringList{u"/agent/gateway"_s, u"/broker"_s}));
    }

    void joinToken_isGoodOnceAndItsAgentRenewsAfterARestart()
    {
        AuthorityUnderTest authority(u"building-1.smart.local"_s, QString::fromLatin1(kShortLives));
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        DeviceUnderTest device(u"lobby-panel"_s, false);
        const auto token = authority.ctl({u"token"_s, u"create"_s, u"--name"_s, u"lobby-panel"_s, u"--ttl"_s, u"10m"_s,
                                          u"--out"_s, device.tokenFile()});
        QCOMPARE(token.exitCode, 0);
        QVERIFY(!token.json.contains("token"_L1));
        QVERIFY(QFileInfo(device.tokenFile()).permissions()
                == (QFile::ReadOwner | QFile::WriteOwner | QFile::ReadUser | QFile::WriteUser));
        auto *source = &device.startOn(authority);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(*source), qPrintable(sentenceOf(*source)), kSlow);
        QVERIFY(!source->status().isBoundToChip);
        QTRY_VERIFY2_WITH_TIMEOUT(source->status().rotations >= 1, qPrintable(sentenceOf(*source)), kSlow);
        // The device starts again: as the agent that it is, without the token.
        device.stop();
        QVERIFY(QFile::remove(device.tokenFile()));
        authority.kill();
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        source = &device.startOn(authority);
        QTRY_VERIFY2_WITH_TIMEOUT(isValid(*source), qPrintable(sentenceOf(*source)), kSlow);
        QTRY_VERIFY2_WITH_TIMEOUT(source->status().rotations >= 1, qPrintable(sentenceOf(*source)), kSlow);
    }

    void attestation_whoseAnswerWasLostMayBeRepeatedByTheSameKey()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        const auto created = authority.ctl({u"token"_s, u"create"_s, u"--name"_s, u"panel-1"_s});
        const QByteArray token = created.json.value("token"_L1).toString().toUtf8();
        QVERIFY(!token.isEmpty());
        const QString bundleFile = authority.file(u"bundle.json"_s);
        QCOMPARE(authority.ctl({u"bundle"_s, u"show"_s, u"--out"_s, bundleFile}).exitCode, 0);
        const auto bundle = tls::parseBundle(*tls::readWholeFile(bundleFile));
        QVERIFY(bundle);
        const SpiffeId server = *SpiffeId::parse(u"spiffe://%1/spire/server"_s.arg(authority.domain()));
        const TrustBundles roots{{server.trustDomain(), bundle->x509Authorities}};
        const auto newCsr = [] { return *tls::makeCsr(**tls::signingKeyFrom(*tls::newSoftwareKey())); };
        const auto attest = [&](const QByteArray &csr) {
            grpc::Channel channel({authority.address(), [&]() -> Result<grpc::ClientTls> {
                                       return grpc::ClientTls{std::nullopt, server, roots, {}};
                                   }});
            ::spire::api::server::agent::v1::AttestAgentRequest request;
            request.mutable_params()->mutable_data()->set_type("join_token");
            request.mutable_params()->mutable_data()->set_payload(token.toStdString());
            request.mutable_params()->mutable_params()->set_csr(csr.toStdString());
            auto *call = channel.start(method::agent("AttestAgent"));
            std::optional<bool> answered;
            connect(call, &grpc::ClientCall::messageReceived, this, [&answered] { answered = true; });
            connect(call, &grpc::ClientCall::finished, this, [&answered] { answered = answered.value_or(false); });
            call->send(lintel::spire::serialize(request));
            (void)QTest::qWaitFor([&] { return answered.has_value(); }, kSlow);
            return answered.value_or(false); // and what came is lost with the connection
        };
        const QByteArray csr = newCsr();
        QVERIFY(attest(csr));
        QVERIFY(attest(csr));
        QVERIFY(!attest(newCsr())); // whoever has read the token is not whoever has spent it
        QVERIFY(attest(csr));
    }
};

QTEST_GUILESS_MAIN(TestAuthorityProcess)
#include "tst_authority_process.moc"
