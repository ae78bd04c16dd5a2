// What SPIFFE_Workload_Endpoint.md and SPIFFE_Workload_API.md forbid a Workload API to have or to do. Each slot is
// a row of docs/spiffe-conformance.md; what it has to do is in tst_workload_api.
#include "fakes/workload_host.h"
#include "grpc/grpc_channel.h"
#include "spire/server_methods.h"
#include "spire/wire.h"

#include "workload.pb.h"

#include <QSignalSpy>
#include <QTest>

using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::test;
using lintel::grpc::StatusCode;
using lintel::spire::bytesOf;
using lintel::spire::textOf;
namespace wire = lintel::workload;

namespace {

constexpr int kPatience = 20'000;

struct Answered {
    QList<QByteArray> messages;
    std::optional<grpc::Status> status;
};

/// The numbers of the fields of a message in Protobuf's encoding, whether its class knows them or not; of the
/// messages in field `inside`, when that is given.
QSet<int> fieldsOf(const QByteArray &message, int inside = 0)
{
    QSet<int> numbers;
    qsizetype at = 0;
    const auto varint = [&] {
        quint64 value = 0;
        for (int shift = 0; at < message.size(); shift += 7) {
            const auto byte = quint8(message[at++]);
            value |= quint64(byte & 0x7f) << shift;
            if (byte < 0x80)
                break;
        }
        return value;
    };
    while (at < message.size()) {
        const quint64 tag = varint();
        const int number = int(tag >> 3);
        if ((tag & 7) != 2) // the standard's messages have only strings, bytes and messages
            return {-1};
        const auto size = qsizetype(varint());
        if (inside == 0)
            numbers += number;
        else if (number == inside)
            numbers += fieldsOf(message.sliced(at, size));
        at += size;
    }
    return numbers;
}

} // namespace

class TestWorkloadRules : public QObject
{
    Q_OBJECT

    std::unique_ptr<WorkloadHost> m_host;
    std::unique_ptr<grpc::Channel> m_channel;

    std::shared_ptr<Answered> call(const QByteArray &path, const QByteArray &request = {})
    {
        auto answered = std::make_shared<Answered>();
        grpc::ClientCall *call = m_channel->start(path, {{"workload.spiffe.io", "true"}});
        connect(call, &grpc::ClientCall::messageReceived, call,
                [answered](const QByteArray &message) { answered->messages.append(message); });
        connect(call, &grpc::ClientCall::finished, call,
                [answered](const grpc::Status &status) { answered->status = status; });
        call->send(request);
        call->closeSending();
        return answered;
    }
    /// The first message of a method of the Workload API; empty when none came.
    QByteArray firstOf(const char *name, const QByteArray &request = {})
    {
        const auto answered = call(lintel::spire::method::workload(name), request);
        (void)QTest::qWaitFor([&] { return !answered->messages.isEmpty() || answered->status; }, kPatience);
        return answered->messages.value(0);
    }
    static QByteArray tokenRequest(const QStringList &audience)
    {
        wire::JWTSVIDRequest request;
        for (const QString &one : audience)
            request.add_audience(one.toStdString());
        return lintel::spire::serialize(request);
    }

private Q_SLOTS:
    void init()
    {
        m_host = std::make_unique<WorkloadHost>();
        m_host->add(u"reports"_s);
        m_host->issuer->list[0].federatesWith = {m_host->issuer->partner.name};
        const auto started = m_host->start();
        QVERIFY2(started, started ? "" : qPrintable(started.error().message));
        m_channel = std::make_unique<grpc::Channel>(grpc::ChannelTarget{m_host->endpoint(), {}});
    }
    void cleanup()
    {
        m_channel.reset();
        m_host.reset();
    }

    /// Endpoint 7: nothing is added to the API, and nothing is served beside it, reflection included: the Protobuf
    /// runtime of a device has no descriptors, and without reflection a client has to assume just that.
    void service_otherThanTheWorkloadApi_isUnimplemented_data()
    {
        QTest::addColumn<QByteArray>("path");
        for (const char *path :
             {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
              "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/Check",
              "/spiffe.broker.API/FetchX509SVID",
              "/spire.api.agent.delegatedidentity.v1.DelegatedIdentity/FetchX509SVIDs",
              "/spire.api.server.entry.v1.Entry/ListEntries", "/lintel.authority.v1.Admin/GetStatus",
              "/spiffe.workload.SpiffeWorkloadAPI/FetchX509SVID", "/SpiffeWorkloadAPI/FetchX509SVIDs",
              "/SpiffeWorkloadAPI/ListEntries", "/SpiffeWorkloadAPI/", "/SpiffeWorkloadAPI", "/"})
            QTest::newRow(path) << QByteArray(path);
    }
    void service_otherThanTheWorkloadApi_isUnimplemented()
    {
        QFETCH(QByteArray, path);
        const auto answered = call(path);
        QTRY_VERIFY_WITH_TIMEOUT(answered->status, kPatience);
        QCOMPARE(answered->status->code, StatusCode::Unimplemented);
        QVERIFY(answered->messages.isEmpty());
        QVERIFY(!firstOf("FetchX509SVID").isEmpty()); // which is there
    }

    /// API 3: no field that the standard's own messages do not have.
    void messages_haveOnlyTheStandardsFields()
    {
        m_host->issuer->list[0].hint = u"internal"_s;
        m_host->issuer->tell();
        const QByteArray x509 = firstOf("FetchX509SVID");
        QCOMPARE(fieldsOf(x509), (QSet<int>{1, 3})); // svids, federated_bundles; crl is empty
        QCOMPARE(fieldsOf(x509, 1), (QSet<int>{1, 2, 3, 4, 5}));
        QCOMPARE(fieldsOf(firstOf("FetchX509Bundles")), QSet<int>{2});
        const QByteArray tokens = firstOf("FetchJWTSVID", tokenRequest({u"a"_s}));
        QCOMPARE(fieldsOf(tokens), QSet<int>{1});
        QCOMPARE(fieldsOf(tokens, 1), (QSet<int>{1, 2, 3}));
        QCOMPARE(fieldsOf(firstOf("FetchJWTBundles")), QSet<int>{1});
        wire::ValidateJWTSVIDRequest question;
        question.set_audience("a");
        question.set_svid(lintel::spire::parse<wire::JWTSVIDResponse>(tokens)->svids(0).svid());
        QCOMPARE(fieldsOf(firstOf("ValidateJWTSVID", lintel::spire::serialize(question))), (QSet<int>{1, 2}));
    }

    /// JWT-SVID 3.2: as narrow as whoever asks wants it, with no word of ours.
    void jwt_audienceIsJustWhatWasAsked()
    {
        const tls::JwtBundles keys{{m_host->issuer->own.name, m_host->issuer->own.bundle().jwtAuthorities}};
        for (const QStringList &audience :
             {QStringList{u"spiffe://example.org/reports"_s}, {u"b"_s, u"a"_s}, {u"b"_s}}) {
            const auto response =
                lintel::spire::parse<wire::JWTSVIDResponse>(firstOf("FetchJWTSVID", tokenRequest(audience)));
            QCOMPARE(response->svids_size(), 1);
            const auto svid =
                tls::validateJwtSvid(bytesOf(response->svids(0).svid()), audience.first(), keys, m_host->clock.now());
            QVERIFY(svid);
            QCOMPARE(QSet<QString>(svid->audience.cbegin(), svid->audience.cend()),
                     QSet<QString>(audience.cbegin(), audience.cend()));
        }
    }

    /// API 8: an authority that is not ours may have longer ones.
    void hint_ofMoreThan1024Bytes_isLeftOut()
    {
        m_host->add(u"longest"_s);
        m_host->issuer->list[0].hint = QString(513, u'ü'); // 1,026 bytes
        m_host->issuer->list[1].hint = QString(512, u'ü');
        QSignalSpy noticed(m_host->server.get(), &workloads::WorkloadServer::noticed);
        m_host->issuer->tell();
        const auto x509 = lintel::spire::parse<wire::X509SVIDResponse>(firstOf("FetchX509SVID"));
        QCOMPARE(x509->svids_size(), 2);
        QCOMPARE(textOf(x509->svids(0).hint()), QString());
        QCOMPARE(textOf(x509->svids(1).hint()), QString(512, u'ü'));
        const auto jwt = lintel::spire::parse<wire::JWTSVIDResponse>(firstOf("FetchJWTSVID", tokenRequest({u"a"_s})));
        QCOMPARE(textOf(jwt->svids(0).hint()), QString());
        QCOMPARE(noticed.size(), 1);
        QVERIFY(noticed[0][0].value<Error>().message.contains(m_host->id(u"/reports"_s).toString()));
    }
};

QTEST_GUILESS_MAIN(TestWorkloadRules)
#include "tst_workload_rules.moc"
