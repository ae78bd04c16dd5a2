// The Workload API by the letter of SPIFFE_Workload_API.md and SPIFFE_Workload_Endpoint.md, called
// over its socket by this process itself.
#include "fakes/workload_host.h"
#include "grpc/grpc_channel.h"
#include "spire/server_methods.h"
#include "spire/wire.h"

#include "workload.pb.h"

#include <QCryptographicHash>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QScopeGuard>
#include <QSignalSpy>
#include <QTest>

#include <algorithm>
#include <vector>

using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::test;
using lintel::grpc::StatusCode;
using lintel::spire::bytesOf;
using lintel::spire::stringOf;
using lintel::spire::textOf;
namespace wire = lintel::workload;

namespace {

constexpr int kPatience = 20'000;
const grpc::Metadata kHeader{{"workload.spiffe.io", "true"}};

struct Answered {
    QList<QByteArray> messages;
    std::optional<grpc::Status> status;

    [[nodiscard]] StatusCode code() const { return status ? status->code : StatusCode::Ok; }
    template <class Message>
    [[nodiscard]] Message last() const
    {
        return *lintel::spire::parse<Message>(messages.last());
    }
};

wire::JWTSVIDRequest tokenRequest(const QStringList &audience, const QString &id = {})
{
    wire::JWTSVIDRequest request;
    for (const QString &one : audience)
        request.add_audience(one.toStdString());
    request.set_spiffe_id(id.toStdString());
    return request;
}

wire::ValidateJWTSVIDRequest validation(const QString &audience, const QByteArray &token)
{
    wire::ValidateJWTSVIDRequest request;
    request.set_audience(audience.toStdString());
    request.set_svid(stringOf(token));
    return request;
}

/// A request with which each method would succeed.
QByteArray goodRequest(const char *name)
{
    if (qstrcmp(name, "FetchJWTSVID") == 0)
        return lintel::spire::serialize(tokenRequest({u"audience"_s}));
    if (qstrcmp(name, "ValidateJWTSVID") == 0)
        return lintel::spire::serialize(validation(u"audience"_s, "x.y.z"));
    return {};
}

} // namespace

class TestWorkloadApi : public QObject
{
    Q_OBJECT

    std::unique_ptr<WorkloadHost> m_host;
    std::unique_ptr<grpc::Channel> m_channel;

    std::shared_ptr<Answered> call(const char *name, const QByteArray &request, const grpc::Metadata &header = kHeader)
    {
        auto answered = std::make_shared<Answered>();
        grpc::ClientCall *call = m_channel->start(lintel::spire::method::workload(name), header);
        connect(call, &grpc::ClientCall::messageReceived, call,
                [answered](const QByteArray &message) { answered->messages.append(message); });
        connect(call, &grpc::ClientCall::finished, call,
                [answered](const grpc::Status &status) { answered->status = status; });
        call->send(request);
        call->closeSending();
        return answered;
    }
    std::shared_ptr<Answered> call(const char *name) { return call(name, goodRequest(name)); }
    std::shared_ptr<Answered> fetchToken(const QString &audience)
    {
        return call("FetchJWTSVID", lintel::spire::serialize(tokenRequest({audience})));
    }
    template <class Message>
    std::shared_ptr<Answered> ask(const char *name, const Message &request)
    {
        auto answered = call(name, lintel::spire::serialize(request));
        (void)QTest::qWaitFor([&] { return answered->status.has_value(); }, kPatience);
        return answered;
    }
    void methods()
    {
        QTest::addColumn<QByteArray>("name");
        for (const char *name :
             {"FetchX509SVID", "FetchX509Bundles", "FetchJWTBundles", "FetchJWTSVID", "ValidateJWTSVID"})
            QTest::newRow(name) << QByteArray(name);
    }

private Q_SLOTS:
    void init()
    {
        m_host = std::make_unique<WorkloadHost>();
        m_host->options.patience = 60s;
        m_host->add(u"reports"_s);
        const auto started = m_host->start();
        QVERIFY2(started, started ? "" : qPrintable(started.error().message));
        m_channel = std::make_unique<grpc::Channel>(grpc::ChannelTarget{m_host->endpoint(), {}});
    }
    void cleanup()
    {
        m_channel.reset();
        m_host->issuer->held.clear();
        m_host.reset();
    }

    // --- Every call -------------------------------------------------------------------------------

    void call_withoutTheSecurityHeader_isInvalidArgument_data() { methods(); }
    void call_withoutTheSecurityHeader_isInvalidArgument()
    {
        QFETCH(QByteArray, name);
        for (const grpc::Metadata &header :
             {grpc::Metadata{}, grpc::Metadata{{"workload.spiffe.io", "false"}}, grpc::Metadata{{"x", "true"}}}) {
            const auto answered = call(name.constData(), goodRequest(name.constData()), header);
            QTRY_VERIFY_WITH_TIMEOUT(answered->status, kPatience);
            QCOMPARE(answered->code(), StatusCode::InvalidArgument);
            QVERIFY(answered->messages.isEmpty());
        }
    }

    void call_withoutAnIdentity_isPermissionDenied_data() { methods(); }
    void call_withoutAnIdentity_isPermissionDenied()
    {
        QFETCH(QByteArray, name);
        m_host->issuer->list = {m_host->entry(u"other"_s, {u"unix:uid:4294000000"_s})};
        m_host->issuer->tell();
        QSignalSpy noticed(m_host->server.get(), &workloads::WorkloadServer::noticed);
        const auto answered = call(name.constData());
        QTRY_VERIFY_WITH_TIMEOUT(answered->status, kPatience);
        QCOMPARE(answered->code(), StatusCode::PermissionDenied);
        QVERIFY(answered->messages.isEmpty());
        QCOMPARE(noticed.size(), 1);
        QVERIFY(noticed[0][0].value<Error>().message.contains(WorkloadHost::ownUid()));
    }

    void call_withAMessageOfAnotherType_isInvalidArgument_data() { methods(); }
    void call_withAMessageOfAnotherType_isInvalidArgument()
    {
        QFETCH(QByteArray, name);
        const auto answered = call(name.constData(), QByteArray("\x0a\xff", 2));
        QTRY_VERIFY_WITH_TIMEOUT(answered->status, kPatience);
        QCOMPARE(answered->code(), StatusCode::InvalidArgument);
    }

    void call_whileTheAuthorityIsUnknown_isUnavailableInTheEnd_data() { methods(); }
    void call_whileTheAuthorityIsUnknown_isUnavailableInTheEnd()
    {
        QFETCH(QByteArray, name);
        m_host->options.patience = 100ms;
        m_host->issuer->isReady = false;
        QVERIFY(m_host->start());
        const auto answered = call(name.constData());
        QTRY_VERIFY_WITH_TIMEOUT(answered->status, kPatience);
        QCOMPARE(answered->code(), StatusCode::Unavailable);
    }

    void methodThatIsNotOurs_isUnimplemented_data()
    {
        QTest::addColumn<QByteArray>("name");
        QTest::newRow("WIT-SVIDs") << QByteArray("FetchWITSVID");
        QTest::newRow("WIT bundles") << QByteArray("FetchWITBundles");
    }
    void methodThatIsNotOurs_isUnimplemented()
    {
        QFETCH(QByteArray, name);
        const auto answered = call(name.constData(), {});
        QTRY_VERIFY_WITH_TIMEOUT(answered->status, kPatience);
        QCOMPARE(answered->code(), StatusCode::Unimplemented);
    }

    void socket_isForEveryUser()
    {
        const auto rights = QFile::permissions(m_host->socketPath());
        QVERIFY(rights.testFlag(QFile::WriteOther));
    }

    void ownIdentities_areNeverHandedOut()
    {
        m_host->options.excluded = {m_host->id(u"/reports"_s)};
        QVERIFY(m_host->start());
        const auto answered = call("FetchX509SVID");
        QTRY_VERIFY_WITH_TIMEOUT(answered->status, kPatience);
        QCOMPARE(answered->code(), StatusCode::PermissionDenied);
    }

    void entryWithoutSelectors_isForNobody()
    {
        m_host->issuer->list = {m_host->entry(u"open"_s, {})};
        m_host->issuer->tell();
        const auto answered = call("FetchX509SVID");
        QTRY_VERIFY_WITH_TIMEOUT(answered->status, kPatience);
        QCOMPARE(answered->code(), StatusCode::PermissionDenied);
    }

    void entryForSomethingElseThanPrograms_isNotEvenIssued()
    {
        m_host->issuer->list = {m_host->entry(u"broker"_s, {u"lintel:broker"_s})};
        QVERIFY(m_host->start());
        m_host->issuer->x509Count = 0;
        m_host->issuer->tell();
        QCOMPARE(m_host->server->counts().entries, 0);
        QCOMPARE(m_host->issuer->x509Count, 0);
    }

    // --- X.509 ------------------------------------------------------------------------------------

    void x509_hasChainKeyAndBundles()
    {
        auto &list = m_host->issuer->list;
        list[0].federatesWith = {m_host->issuer->partner.name};
        list[0].hint = u"internal"_s;
        m_host->add(u"newer"_s);
        m_host->issuer->tell();
        const auto answered = call("FetchX509SVID");
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 1, kPatience);
        const auto response = answered->last<wire::X509SVIDResponse>();
        QCOMPARE(response.svids_size(), 2);
        const auto &svid = response.svids(0); // the older entry is the default
        QCOMPARE(textOf(svid.spiffe_id()), u"spiffe://building-1.smart.local/reports"_s);
        QCOMPARE(textOf(svid.hint()), u"internal"_s);
        const auto chain = tls::certificatesFromDer(bytesOf(svid.x509_svid()));
        QVERIFY(chain);
        const auto key = tls::privateKeyFromDer(bytesOf(svid.x509_svid_key()));
        QVERIFY(key);
        const auto made = tls::makeSvid(*chain, *key);
        QVERIFY2(made, made ? "" : qPrintable(made.error().message));
        QCOMPARE(*tls::certificatesFromDer(bytesOf(svid.bundle())), QList{m_host->issuer->own.rootDer});
        QCOMPARE(response.federated_bundles_size(), 1);
        QCOMPARE(bytesOf(response.federated_bundles().at("spiffe://partner.example")), m_host->issuer->partner.rootDer);
        QVERIFY(response.svids(1).x509_svid_key() != svid.x509_svid_key());
    }

    void x509_isSentAgainAtHalfLifeWithAFreshKey()
    {
        const auto answered = call("FetchX509SVID");
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 1, kPatience);
        m_host->advance(20min); // of an hour
        QTest::qWait(50);
        QCOMPARE(answered->messages.size(), 1);
        m_host->advance(20min);
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 2, kPatience);
        const auto first = lintel::spire::parse<wire::X509SVIDResponse>(answered->messages[0]);
        const auto second = lintel::spire::parse<wire::X509SVIDResponse>(answered->messages[1]);
        QVERIFY(first->svids(0).x509_svid_key() != second->svids(0).x509_svid_key());
        QVERIFY(tls::makeSvid(*tls::certificatesFromDer(bytesOf(second->svids(0).x509_svid())),
                              *tls::privateKeyFromDer(bytesOf(second->svids(0).x509_svid_key()))));
    }

    void x509_staysWhileTheAuthorityCannotRenewAndEndsWithItsLife()
    {
        const auto answered = call("FetchX509SVID");
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 1, kPatience);
        m_host->issuer->failure = Error{Errc::Unavailable, u"The network is down."_s};
        m_host->advance(50min);
        QTRY_COMPARE_WITH_TIMEOUT(m_host->issuer->x509Count, 2, kPatience);
        const auto late = call("FetchX509SVID");
        QTRY_COMPARE_WITH_TIMEOUT(late->messages.size(), 1, kPatience);
        QCOMPARE(late->messages, answered->messages);
        m_host->advance(11min);
        QTRY_VERIFY_WITH_TIMEOUT(answered->status && late->status, kPatience);
        QCOMPARE(answered->code(), StatusCode::Unavailable);
        QVERIFY(answered->status->message.contains("The network is down."_L1));
    }

    void x509_whichIsStillToComeIsWaitedFor()
    {
        m_host->issuer->failure = Error{Errc::Unavailable, u"The network is down."_s};
        m_host->add(u"slow"_s);
        m_host->issuer->tell();
        const auto answered = call("FetchX509SVID");
        QTRY_VERIFY_WITH_TIMEOUT(m_host->issuer->x509Count >= 2, kPatience);
        QVERIFY(answered->messages.isEmpty());
        m_host->issuer->failure.reset();
        m_host->advance(40s);
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 1, kPatience);
        QCOMPARE(answered->last<wire::X509SVIDResponse>().svids_size(), 2);
    }

    void x509_isReplacedWhenItsRootLeavesTheBundle()
    {
        const auto answered = call("FetchX509SVID");
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 1, kPatience);
        m_host->issuer->own.newRoot();
        m_host->issuer->tell();
        QTRY_VERIFY_WITH_TIMEOUT(m_host->issuer->x509Count == 2 && !answered->messages.isEmpty(), kPatience);
        const auto verifies = [&] {
            const auto svid = answered->last<wire::X509SVIDResponse>().svids(0);
            return bool(tls::verifyPeer(*tls::certificatesFromDer(bytesOf(svid.x509_svid())), m_host->id(u"/reports"_s),
                                        {{m_host->issuer->own.name, {m_host->issuer->own.rootDer}}},
                                        tls::PeerRole::Client, m_host->clock.now()));
        };
        QTRY_VERIFY_WITH_TIMEOUT(verifies(), kPatience);
    }

    void streams_areSentAgainWhenAndOnlyWhenSomethingChanged_data()
    {
        QTest::addColumn<QByteArray>("name");
        for (const char *name : {"FetchX509SVID", "FetchX509Bundles", "FetchJWTBundles"})
            QTest::newRow(name) << QByteArray(name);
    }
    void streams_areSentAgainWhenAndOnlyWhenSomethingChanged()
    {
        QFETCH(QByteArray, name);
        m_host->issuer->list[0].federatesWith = {m_host->issuer->partner.name};
        m_host->issuer->tell();
        const auto answered = call(name.constData());
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 1, kPatience);
        for (int i = 0; i < 20; ++i) {
            m_host->issuer->tell();
            QTest::qWait(2);
        }
        QCOMPARE(answered->messages.size(), 1);
        // The bundle of another domain changes, then it goes.
        m_host->issuer->partner.newRoot();
        m_host->issuer->partner.newJwtKey(u"key-2"_s);
        m_host->issuer->tell();
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 2, kPatience);
        QVERIFY(answered->messages[1].contains("partner.example"));
        m_host->issuer->knowsPartner = false;
        m_host->issuer->tell();
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 3, kPatience);
        QVERIFY(!answered->messages[2].contains("partner.example"));
        QVERIFY(!answered->status);
    }

    void stream_endsWhenTheEntryGoesAndComesWithIt()
    {
        const auto answered = call("FetchX509SVID");
        const auto bundles = call("FetchX509Bundles");
        const auto keys = call("FetchJWTBundles");
        QTRY_VERIFY_WITH_TIMEOUT(
            answered->messages.size() == 1 && bundles->messages.size() == 1 && keys->messages.size() == 1, kPatience);
        const auto list = std::exchange(m_host->issuer->list, {});
        m_host->issuer->tell();
        QTRY_VERIFY_WITH_TIMEOUT(answered->status && bundles->status && keys->status, kPatience);
        QCOMPARE(answered->code(), StatusCode::PermissionDenied);
        QCOMPARE(bundles->code(), StatusCode::PermissionDenied);
        QCOMPARE(keys->code(), StatusCode::PermissionDenied);
        m_host->issuer->list = list;
        m_host->issuer->tell();
        const auto again = call("FetchX509SVID");
        QTRY_COMPARE_WITH_TIMEOUT(again->messages.size(), 1, kPatience);
        QVERIFY(again->messages[0] != answered->messages[0]);
    }

    void stream_hasOneIdentityMoreOrLessWithTheEntries()
    {
        const auto answered = call("FetchX509SVID");
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 1, kPatience);
        m_host->add(u"second"_s);
        m_host->issuer->tell();
        QTRY_VERIFY_WITH_TIMEOUT(answered->last<wire::X509SVIDResponse>().svids_size() == 2, kPatience);
        m_host->issuer->list.removeFirst();
        m_host->issuer->tell();
        QTRY_VERIFY_WITH_TIMEOUT(answered->last<wire::X509SVIDResponse>().svids_size() == 1, kPatience);
        QCOMPARE(textOf(answered->last<wire::X509SVIDResponse>().svids(0).spiffe_id()),
                 u"spiffe://building-1.smart.local/second"_s);
        QVERIFY(!answered->status);
    }

    // --- Revocation -------------------------------------------------------------------------------

    void revokedIdentity_losesItsStreamsAndTokensAtOnce()
    {
        m_host->add(u"innocent"_s);
        m_host->issuer->tell();
        const auto x509 = call("FetchX509SVID");
        QTRY_COMPARE_WITH_TIMEOUT(x509->messages.size(), 1, kPatience);
        const auto token = ask("FetchJWTSVID", tokenRequest({u"audience"_s}))->last<wire::JWTSVIDResponse>();
        QCOMPARE(token.svids_size(), 2);

        m_host->server->setDenyList(m_host->denying(m_host->id(u"/reports"_s)));
        QTRY_COMPARE_WITH_TIMEOUT(x509->messages.size(), 2, 2'000);
        const auto left = x509->last<wire::X509SVIDResponse>();
        QCOMPARE(left.svids_size(), 1);
        QCOMPARE(textOf(left.svids(0).spiffe_id()), u"spiffe://building-1.smart.local/innocent"_s);
        QCOMPARE(ask("FetchJWTSVID", tokenRequest({u"audience"_s}, m_host->id(u"/reports"_s).toString()))->code(),
                 StatusCode::PermissionDenied);
        QCOMPARE(ask("ValidateJWTSVID", validation(u"audience"_s, bytesOf(token.svids(0).svid())))->code(),
                 StatusCode::InvalidArgument);
        QCOMPARE(ask("ValidateJWTSVID", validation(u"audience"_s, bytesOf(token.svids(1).svid())))->code(),
                 StatusCode::Ok);

        auto both = m_host->denying(m_host->id(u"/reports"_s));
        both.entries += m_host->denying(m_host->id(u"/innocent"_s)).entries;
        m_host->server->setDenyList(both);
        QTRY_VERIFY_WITH_TIMEOUT(x509->status, 2'000);
        QCOMPARE(x509->code(), StatusCode::PermissionDenied);
        const auto anew = call("FetchX509SVID");
        QTRY_VERIFY_WITH_TIMEOUT(anew->status, kPatience);
        QCOMPARE(anew->code(), StatusCode::PermissionDenied);
    }

    void revokedSerial_isReplacedByAnotherSvid()
    {
        const auto answered = call("FetchX509SVID");
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 1, kPatience);
        const auto leaf =
            tls::certificatesFromDer(bytesOf(answered->last<wire::X509SVIDResponse>().svids(0).x509_svid()))->first();
        tls::DenyList list = m_host->denying({});
        list.entries[0].id.reset();
        list.entries[0].serial = tls::describeCertificate(leaf)->serial;
        m_host->server->setDenyList(list);
        const auto again = call("FetchX509SVID");
        QTRY_COMPARE_WITH_TIMEOUT(again->messages.size(), 1, kPatience);
        QVERIFY(tls::certificatesFromDer(bytesOf(again->last<wire::X509SVIDResponse>().svids(0).x509_svid()))->first()
                != leaf);
    }

    // --- JWT --------------------------------------------------------------------------------------

    void jwt_withAWrongQuestionIsRefused_data()
    {
        QTest::addColumn<QStringList>("audience");
        QTest::addColumn<QString>("id");
        QTest::addColumn<StatusCode>("code");
        QTest::newRow("no audience") << QStringList{} << QString() << StatusCode::InvalidArgument;
        QTest::newRow("an empty audience") << QStringList{u"a"_s, u""_s} << QString() << StatusCode::InvalidArgument;
        QTest::newRow("too many") << QStringList(17, u"a"_s) << QString() << StatusCode::InvalidArgument;
        QTest::newRow("no SPIFFE ID") << QStringList{u"a"_s} << u"reports"_s << StatusCode::InvalidArgument;
        QTest::newRow("of somebody else")
            << QStringList{u"a"_s} << u"spiffe://building-1.smart.local/other"_s << StatusCode::PermissionDenied;
    }
    void jwt_withAWrongQuestionIsRefused()
    {
        QFETCH(QStringList, audience);
        QFETCH(QString, id);
        QFETCH(StatusCode, code);
        const auto answered = ask("FetchJWTSVID", tokenRequest(audience, id));
        QCOMPARE(answered->code(), code);
        QVERIFY(answered->messages.isEmpty());
    }

    /// SPIFFE_Workload_API.md sections 5.2.1 and 6.2.1.
    void hint_thatTwoEntriesHaveIsKeptByTheOlderOne()
    {
        m_host->add(u"newer"_s);
        m_host->add(u"alone"_s);
        auto &list = m_host->issuer->list;
        list[0].hint = u"internal"_s;
        list[0].createdAt = 50; // not by their order in the list
        list[1].hint = u"internal"_s;
        list[1].createdAt = 7;
        list[2].hint = u"external"_s;
        QSignalSpy noticed(m_host->server.get(), &workloads::WorkloadServer::noticed);
        m_host->issuer->tell();
        const auto hintsOf = [](const auto &response) {
            QMap<QString, QString> hints;
            for (const auto &svid : response.svids())
                hints.insert(textOf(svid.spiffe_id()).section(u'/', -1), textOf(svid.hint()));
            return hints;
        };
        const QMap<QString, QString> wanted{
            {u"reports"_s, QString()}, {u"newer"_s, u"internal"_s}, {u"alone"_s, u"external"_s}};
        const auto answered = call("FetchX509SVID");
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 1, kPatience);
        QCOMPARE(hintsOf(answered->last<wire::X509SVIDResponse>()), wanted);
        QCOMPARE(hintsOf(ask("FetchJWTSVID", tokenRequest({u"a"_s}))->last<wire::JWTSVIDResponse>()), wanted);
        // Also alone in its response it has none: a hint means the same identity everywhere.
        const auto one = ask("FetchJWTSVID", tokenRequest({u"a"_s}, m_host->id(u"/reports"_s).toString()));
        QCOMPARE(textOf(one->last<wire::JWTSVIDResponse>().svids(0).hint()), QString());
        QCOMPARE(noticed.size(), 1); // once, however often it is asked
        QVERIFY(noticed[0][0].value<Error>().message.contains(u"\"internal\""_s));
    }

    void jwt_namesAllIdentitiesOrTheOneThatWasAsked()
    {
        m_host->add(u"second"_s);
        m_host->issuer->list[1].hint = u"external"_s;
        m_host->issuer->tell();
        const auto all = ask("FetchJWTSVID", tokenRequest({u"a"_s, u"b"_s}))->last<wire::JWTSVIDResponse>();
        QCOMPARE(all.svids_size(), 2);
        QCOMPARE(textOf(all.svids(1).hint()), u"external"_s);
        const auto one = ask("FetchJWTSVID", tokenRequest({u"a"_s}, m_host->id(u"/second"_s).toString()))
                             ->last<wire::JWTSVIDResponse>();
        QCOMPARE(one.svids_size(), 1);
        QCOMPARE(textOf(one.svids(0).spiffe_id()), u"spiffe://building-1.smart.local/second"_s);
        const auto valid = tls::validateJwtSvid(
            bytesOf(one.svids(0).svid()), u"a"_s,
            {{m_host->issuer->own.name, m_host->issuer->own.bundle().jwtAuthorities}}, m_host->clock.now());
        QVERIFY(valid);
        QCOMPARE(valid->id, m_host->id(u"/second"_s));
    }

    void jwt_isKeptUntilHalfOfItsLife()
    {
        const auto fetch = [&](const QStringList &audience) {
            return ask("FetchJWTSVID", tokenRequest(audience))->last<wire::JWTSVIDResponse>().svids(0).svid();
        };
        const auto first = fetch({u"a"_s, u"b"_s});
        QCOMPARE(fetch({u"b"_s, u"a"_s}), first);
        QCOMPARE(m_host->issuer->jwtCount, 1);
        QVERIFY(fetch({u"a"_s}) != first);
        m_host->clock.advance(3min); // of five
        QVERIFY(fetch({u"a"_s, u"b"_s}) != first);
        QCOMPARE(m_host->issuer->jwtCount, 3);
        // A key that left the bundle signs nothing that is believed.
        m_host->issuer->own.newJwtKey(u"key-2"_s);
        m_host->issuer->tell();
        const auto moved = fetch({u"a"_s, u"b"_s});
        QCOMPARE(m_host->issuer->jwtCount, 4);
        QCOMPARE(ask("ValidateJWTSVID", validation(u"a"_s, bytesOf(moved)))->code(), StatusCode::Ok);
    }

    void jwt_whichTheAuthorityRefusesHasItsReason()
    {
        m_host->issuer->failure = Error{Errc::Unavailable, u"The network is down."_s};
        const auto answered = ask("FetchJWTSVID", tokenRequest({u"a"_s}));
        QCOMPARE(answered->code(), StatusCode::Unavailable);
        QCOMPARE(answered->status->message, u"The network is down."_s);
    }

    void jwtBundles_areKeySetsWithoutUse()
    {
        m_host->issuer->list[0].federatesWith = {m_host->issuer->partner.name};
        m_host->issuer->tell();
        const auto answered = call("FetchJWTBundles");
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 1, kPatience);
        const auto response = answered->last<wire::JWTBundlesResponse>();
        QCOMPARE(response.bundles_size(), 2);
        for (const char *domain : {"spiffe://building-1.smart.local", "spiffe://partner.example"}) {
            const auto keys =
                QJsonDocument::fromJson(bytesOf(response.bundles().at(domain))).object().value("keys"_L1).toArray();
            QCOMPARE(keys.size(), 1);
            QCOMPARE(keys[0].toObject().value("kid"_L1).toString(), u"key-1"_s);
            QVERIFY(keys[0].toObject().value("use"_L1).toString() != "x509-svid"_L1);
        }
    }

    void x509Bundles_areOnlyThoseOfTheCallersEntries()
    {
        const auto answered = call("FetchX509Bundles");
        QTRY_COMPARE_WITH_TIMEOUT(answered->messages.size(), 1, kPatience);
        const auto response = answered->last<wire::X509BundlesResponse>();
        QCOMPARE(response.bundles_size(), 1);
        QCOMPARE(bytesOf(response.bundles().at("spiffe://building-1.smart.local")), m_host->issuer->own.rootDer);
    }

    void validation_answersIdAndClaims()
    {
        m_host->issuer->list[0].federatesWith = {m_host->issuer->partner.name};
        m_host->issuer->tell();
        const auto now = m_host->clock.now();
        const auto foreign = *SpiffeId::parse(u"spiffe://partner.example/billing");
        for (const auto &[id, domain] : {std::pair{m_host->id(u"/reports"_s), &m_host->issuer->own},
                                         std::pair{foreign, &m_host->issuer->partner}}) {
            const auto token = domain->token(id, {u"a"_s, u"b"_s}, now, 5min);
            const auto answered = ask("ValidateJWTSVID", validation(u"b"_s, token.token));
            QCOMPARE(answered->code(), StatusCode::Ok);
            const auto response = answered->last<wire::ValidateJWTSVIDResponse>();
            QCOMPARE(textOf(response.spiffe_id()), id.toString());
            const auto &claims = response.claims().fields();
            QCOMPARE(textOf(claims.at("sub").string_value()), id.toString());
            QCOMPARE(claims.at("aud").list_value().values_size(), 2);
            QCOMPARE(qint64(claims.at("exp").number_value()) * 1'000, toEpochMillis(token.expiresAt));
        }
    }

    /// While the authority is slow, a program that asks for ever new audiences blocks only its own user.
    void tokens_ofOneUserLeaveRoomForOthers()
    {
        m_host->issuer->isSlow = true;
        QList<std::shared_ptr<Answered>> asked;
        std::vector<std::unique_ptr<grpc::Channel>> more; // a connection may have few calls
        for (int i = 0; i < 8 + 64 + 1; ++i) {
            if (i > 0 && i % 8 == 0) {
                QTRY_COMPARE_WITH_TIMEOUT(m_host->issuer->held.size(), 8, kPatience);
                more.push_back(std::exchange(
                    m_channel, std::make_unique<grpc::Channel>(grpc::ChannelTarget{m_host->endpoint(), {}})));
            }
            asked.append(fetchToken(u"audience-%1"_s.arg(i)));
        }
        const auto refused = [&] {
            return std::count_if(asked.cbegin(), asked.cend(), [](const auto &one) { return one->status.has_value(); });
        };
        QTRY_COMPARE_WITH_TIMEOUT(refused(), 1, kPatience);
        QVERIFY(std::any_of(asked.cbegin(), asked.cend(),
                            [](const auto &one) { return one->code() == StatusCode::ResourceExhausted; }));
        QCOMPARE(m_host->issuer->held.size(), 8);
        QVERIFY(!asked.first()->status);

        if (::geteuid() == 0) {
            constexpr uid_t kSomebody = 65'534;
            m_host->issuer->list.append(m_host->entry(u"others"_s, {u"unix:uid:%1"_s.arg(kSomebody)}));
            m_host->issuer->tell();
            m_host->issuer->isSlow = false;
            QVERIFY(QFile::setPermissions(m_host->dir.path(), QFile::Permissions(0x7055)));
            const auto ownAgain = qScopeGuard([] { (void)::seteuid(0); });
            QCOMPARE(::seteuid(kSomebody), 0);
            const auto own =
                std::exchange(m_channel, std::make_unique<grpc::Channel>(grpc::ChannelTarget{m_host->endpoint(), {}}));
            const auto other = ask("FetchJWTSVID", tokenRequest({u"audience"_s}));
            QVERIFY(other->status);
            QVERIFY2(other->status->isOk(), qPrintable(other->status->message));
            QCOMPARE(::seteuid(0), 0);
            m_channel.reset();
            for (const auto &answer : std::exchange(m_host->issuer->held, {}))
                answer();
            QTRY_VERIFY_WITH_TIMEOUT(asked.first()->status && asked.first()->status->isOk(), kPatience);
        } else {
            m_host->issuer->isSlow = false;
            for (const auto &answer : std::exchange(m_host->issuer->held, {}))
                answer();
            QTRY_VERIFY_WITH_TIMEOUT(asked.first()->status && asked.first()->status->isOk(), kPatience);
        }
    }

    /// Programs of one user, such as root's in containers, know nothing of each other.
    void tokens_whichAreKeptWaitForNoOther()
    {
        QVERIFY(ask("FetchJWTSVID", tokenRequest({u"kept"_s}))->status->isOk());
        m_host->issuer->isSlow = true;
        QList<std::shared_ptr<Answered>> asked;
        for (int i = 0; i < 9; ++i)
            asked.append(fetchToken(u"audience-%1"_s.arg(i)));
        QTRY_COMPARE_WITH_TIMEOUT(m_host->issuer->held.size(), 8, kPatience);
        const auto kept = ask("FetchJWTSVID", tokenRequest({u"kept"_s}));
        QVERIFY2(kept->status && kept->status->isOk(), kept->status ? qPrintable(kept->status->message) : "nothing");
        QVERIFY(!asked.first()->status);
        QVERIFY(!asked.last()->status);
    }

    void tokens_theNinthCallOfAUserWaitsItsTurn()
    {
        m_host->issuer->isSlow = true;
        QList<std::shared_ptr<Answered>> asked;
        for (int i = 0; i < 10; ++i)
            asked.append(fetchToken(u"audience-%1"_s.arg(i)));
        asked.append(fetchToken(u"audience-0"_s)); // as the first one, which will have fetched it
        QTRY_COMPARE_WITH_TIMEOUT(m_host->issuer->held.size(), 8, kPatience);
        const auto answerOne = [&] { m_host->issuer->held.takeFirst()(); };
        answerOne();
        QTRY_VERIFY_WITH_TIMEOUT(asked[0]->status && asked[0]->status->isOk(), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(m_host->issuer->jwtCount, 9, kPatience);
        answerOne();
        QTRY_COMPARE_WITH_TIMEOUT(m_host->issuer->jwtCount, 10, kPatience);
        while (!m_host->issuer->held.isEmpty())
            answerOne();
        for (const auto &one : asked) {
            QTRY_VERIFY_WITH_TIMEOUT(one->status, kPatience);
            QVERIFY2(one->status->isOk(), qPrintable(one->status->message));
        }
        QCOMPARE(m_host->issuer->jwtCount, 10);
    }

    void tokens_waitNoLongerThanTheServersPatience()
    {
        m_host->options.patience = 100ms;
        QVERIFY(m_host->start());
        m_host->issuer->isSlow = true;
        QList<std::shared_ptr<Answered>> asked;
        for (int i = 0; i < 9; ++i)
            asked.append(fetchToken(u"audience-%1"_s.arg(i)));
        QTRY_VERIFY_WITH_TIMEOUT(asked.last()->status, kPatience);
        QCOMPARE(asked.last()->code(), StatusCode::Unavailable);
        QVERIFY(!asked.first()->status);
        // One that waited and gave up keeps no place, and is not asked for.
        for (const auto &answer : std::exchange(m_host->issuer->held, {}))
            answer();
        QTRY_VERIFY_WITH_TIMEOUT(asked.first()->status && asked.first()->status->isOk(), kPatience);
        QTest::qWait(20);
        QCOMPARE(m_host->issuer->jwtCount, 8);
    }

    void tokens_ofAnEntryThatWentMeanwhileAreNotFetched()
    {
        m_host->issuer->isSlow = true;
        QList<std::shared_ptr<Answered>> asked;
        for (int i = 0; i < 9; ++i)
            asked.append(fetchToken(u"audience-%1"_s.arg(i)));
        QTRY_COMPARE_WITH_TIMEOUT(m_host->issuer->held.size(), 8, kPatience);
        QTest::qWait(50); // the ninth has come, too
        m_host->issuer->list.clear();
        m_host->issuer->tell();
        m_host->issuer->held.takeFirst()();
        QTRY_VERIFY_WITH_TIMEOUT(asked.last()->status, kPatience);
        QCOMPARE(asked.last()->code(), StatusCode::PermissionDenied);
        QCOMPARE(m_host->issuer->jwtCount, 8);
    }

    /// Whoever has asked for many leaves the others theirs, also when the authority is away then.
    void tokens_ofManyAudiencesDoNotDriveOutThoseOfOthers()
    {
        workloads::JwtCache cache;
        const Timestamp now = m_host->clock.now();
        const auto token = [&] { return m_host->issuer->own.token(m_host->id(u"/x"_s), {u"a"_s}, now, 5min); };
        const workloads::IssuedToken one = token();
        cache.keep(u"modest"_s, {u"a"_s}, one, now);
        for (int i = 0; i < 2'000; ++i)
            cache.keep(u"greedy"_s, {u"audience-%1"_s.arg(i)}, one, now);
        QVERIFY(cache.find(u"modest"_s, {u"a"_s}, now));
        QVERIFY(cache.find(u"greedy"_s, {u"audience-1999"_s}, now));
    }

    void hashOfTheExecutable_isWaitedForByEveryCall_data() { methods(); }
    void hashOfTheExecutable_isWaitedForByEveryCall()
    {
        QFETCH(QByteArray, name);
        QFile program(QCoreApplication::applicationFilePath());
        QCryptographicHash hash(QCryptographicHash::Sha256);
        QVERIFY(program.open(QIODevice::ReadOnly) && hash.addData(&program));
        m_host->issuer->list = {
            m_host->entry(u"reports"_s, {u"unix:sha256:"_s + QString::fromLatin1(hash.result().toHex())})};
        QVERIFY(m_host->start());
        QByteArray request = goodRequest(name.constData());
        if (name == "ValidateJWTSVID")
            request = lintel::spire::serialize(validation(
                u"a"_s,
                m_host->issuer->own.token(m_host->id(u"/reports"_s), {u"a"_s}, m_host->clock.now(), 5min).token));
        const auto answered = call(name.constData(), request);
        QTRY_VERIFY_WITH_TIMEOUT(!answered->messages.isEmpty(), kPatience);
        // Another one's hash: nobody's.
        m_host->issuer->list = {m_host->entry(u"other"_s, {u"unix:sha256:"_s + QString(64, u'0')})};
        m_host->issuer->tell();
        const auto refused = call(name.constData(), request);
        QTRY_VERIFY_WITH_TIMEOUT(refused->status, kPatience);
        QCOMPARE(refused->code(), StatusCode::PermissionDenied);
    }

    void validation_refusesAWrongToken()
    {
        const auto &own = m_host->issuer->own;
        const auto &partner = m_host->issuer->partner;
        const auto now = m_host->clock.now();
        const auto id = m_host->id(u"/reports"_s);
        const auto foreign = *SpiffeId::parse(u"spiffe://partner.example/billing");
        const QByteArray good = own.token(id, {u"a"_s}, now, 5min).token;
        QByteArray broken = good;
        broken[broken.size() - 10] = broken[broken.size() - 10] == 'A' ? 'B' : 'A';
        for (const auto &[audience, token] :
             {std::pair{u""_s, good}, std::pair{u"a"_s, QByteArray()}, std::pair{u"other"_s, good},
              std::pair{u"a"_s, broken}, std::pair{u"a"_s, QByteArray("x.y.z")},
              std::pair{u"a"_s, own.token(id, {u"a"_s}, now - 1h, 5min).token},
              // Signed by another domain's key, and of a domain that the caller does not federate with.
              std::pair{u"a"_s, partner.token(id, {u"a"_s}, now, 5min).token},
              std::pair{u"a"_s, partner.token(foreign, {u"a"_s}, now, 5min).token}}) {
            const auto answered = ask("ValidateJWTSVID", validation(audience, token));
            QCOMPARE(answered->code(), StatusCode::InvalidArgument);
        }
    }
};

QTEST_GUILESS_MAIN(TestWorkloadApi)
#include "tst_workload_api.moc"
