// Who waits for approval, as the agent of a broker hears it from a real authority: who may ask, what is told,
// how much of it, and what stays when the authority is away.
#include "fakes/live_authority.h"
#include "grpc/grpc_channel.h"
#include "spire/deny_list_watch.h"
#include "spire/server_methods.h"
#include "spire/waiting_devices.h"
#include "spire/wire.h"
#include "tls/certificate_writer.h"

#include "lintel_authority.pb.h"

#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace method = lintel::spire::method;
namespace wire = ::lintel::authority::v1;

namespace {

constexpr int kPatience = 30'000;

QString hashOf(int i)
{
    return u"%1"_s.arg(i, 64, 16, QLatin1Char('0'));
}

/// A chip that nobody has enrolled proves itself.
Error comes(LiveAuthority &to, const QString &ekHash, const QString &from = u"192.0.2.7"_s, const QString &maker = {})
{
    const auto key = tls::newSoftwareKey();
    const auto signer = key ? tls::signingKeyFrom(*key) : Result<std::shared_ptr<SigningKey>>(key.error());
    const auto csr = signer ? tls::makeCsr(**signer) : Result<QByteArray>(signer.error());
    if (!csr)
        return csr.error();
    authority::AttestedNode node;
    node.type = u"lintel_tpm"_s;
    node.ekHash = ekHash;
    node.vendor = maker;
    node.address = from;
    node.csrDer = *csr;
    const auto attested = to.authority->attest(node);
    return attested ? Error{Errc::Conflict, u"it was let in"_s} : attested.error();
}

struct Answer {
    grpc::Status status{grpc::StatusCode::Unknown, u"no answer"_s, {}};
    wire::ListWaitingResponse response;
};

Answer ask(const LiveAuthority &authority, const std::function<Result<grpc::ClientTls>()> &as)
{
    grpc::Channel channel({authority.address(), as});
    QObject context;
    std::optional<Answer> answer;
    channel.unary(method::trust("ListWaiting"), {}, 10s, &context,
                  [&answer](const grpc::Status &status, const QByteArray &message) {
                      const auto response = lintel::spire::parse<wire::ListWaitingResponse>(message);
                      answer = Answer{status, response ? *response : wire::ListWaitingResponse()};
                  });
    (void)QTest::qWaitFor([&answer] { return answer.has_value(); }, kPatience);
    return answer.value_or(Answer{});
}

Answer askAs(const LiveAuthority &authority, const lintel::spire::EmbeddedIdentitySource &agent)
{
    return ask(authority, [&] { return lintel::spire::tlsAsAgent(agent, authority.serverId()); });
}

} // namespace

class TestWaitingDevices : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void list_isForTheAgentOfABrokerOnly()
    {
        LiveAuthority authority{1h};
        QVERIFY(authority.open());
        const auto gateway = authority.joiner(u"gateway"_s, u"gateway"_s);
        const auto sensor = authority.joiner(u"hvac-001"_s, u"hvac"_s);
        QVERIFY(gateway && sensor);
        QTRY_VERIFY_WITH_TIMEOUT(gateway->agentSvid() && sensor->agentSvid(), kPatience);
        QCOMPARE(comes(authority, hashOf(7), u"192.0.2.7"_s, u"IFX"_s).code, Errc::Unavailable);

        const Answer refused = askAs(authority, *sensor);
        QCOMPARE(refused.status.code, grpc::StatusCode::PermissionDenied);
        QVERIFY2(refused.status.message.contains(u"agent of a broker"_s), qPrintable(refused.status.message));
        QCOMPARE(refused.response.devices_size(), 0);
        // Nobody at all, and an identity that is no agent's.
        const Answer nameless = ask(authority, [&]() -> Result<grpc::ClientTls> {
            auto tls = lintel::spire::tlsAsAgent(*gateway, authority.serverId());
            if (tls)
                tls->own.reset();
            return tls;
        });
        QVERIFY(!nameless.status.isOk());
        QCOMPARE(nameless.response.devices_size(), 0);
        const Answer workload = ask(authority, [&]() -> Result<grpc::ClientTls> {
            auto tls = lintel::spire::tlsAsAgent(*gateway, authority.serverId());
            const auto current = gateway->current();
            if (tls && current)
                tls->own = (*current)->svid;
            return tls;
        });
        QVERIFY(!workload.status.isOk());

        const Answer told = askAs(authority, *gateway);
        QVERIFY2(told.status.isOk(), qPrintable(told.status.message));
        QCOMPARE(told.response.devices_size(), 1);
        QCOMPARE(told.response.total(), 1);
        const auto &device = told.response.devices(0);
        QCOMPARE(QString::fromStdString(device.ek_hash()), hashOf(7));
        QCOMPARE(QString::fromStdString(device.ek_issuer()), u"IFX"_s);
        QCOMPARE(QString::fromStdString(device.address()), u"192.0.2.7"_s);
        QCOMPARE(device.attempts(), 1);
        QVERIFY(device.first_seen_at_ms() > 0 && device.last_seen_at_ms() >= device.first_seen_at_ms());
    }

    void list_countsAttemptsAndForgetsWhoIsApproved()
    {
        LiveAuthority authority{1h};
        QVERIFY(authority.open());
        (void)comes(authority, hashOf(1), u"192.0.2.1"_s);
        (void)comes(authority, hashOf(2), u"192.0.2.2"_s);
        QTest::qSleep(2); // so that the next one is later
        QCOMPARE(comes(authority, hashOf(1), u"192.0.2.99"_s).code, Errc::Unavailable);
        auto waiting = authority.authority->waiting(100);
        QVERIFY(waiting);
        QCOMPARE(waiting->total, 2);
        QCOMPARE(waiting->latest.first().ekHash, hashOf(1)); // it came last
        QCOMPARE(waiting->latest.first().attempts, 2);
        QCOMPARE(waiting->latest.first().address, u"192.0.2.99"_s);
        QVERIFY(waiting->latest.first().lastAt > waiting->latest.first().firstAt);

        QVERIFY(authority.authority->approve(hashOf(1), {u"hvac-001"_s, u"hvac"_s, {}, {}, {}}, authority.actor));
        QVERIFY(authority.authority->revoke(hashOf(2), u"nobody knows it"_s, authority.actor));
        waiting = authority.authority->waiting(100);
        QVERIFY(waiting);
        QCOMPARE(waiting->total, 0);
        QVERIFY(waiting->latest.isEmpty());
    }

    void list_isBounded()
    {
        LiveAuthority authority{1h};
        QVERIFY(authority.open());
        const auto gateway = authority.joiner(u"gateway"_s, u"gateway"_s);
        QVERIFY(gateway);
        for (int i = 1; i <= 130; ++i)
            QCOMPARE(comes(authority, hashOf(i)).code, Errc::Unavailable);
        QTRY_VERIFY_WITH_TIMEOUT(gateway->agentSvid(), kPatience);
        const Answer told = askAs(authority, *gateway);
        QVERIFY2(told.status.isOk(), qPrintable(told.status.message));
        QCOMPARE(told.response.devices_size(), 100);
        QCOMPARE(told.response.total(), 130);
    }

    void answer_leavesOutWhatIsNoDevice()
    {
        wire::ListWaitingResponse response;
        response.add_devices()->set_ek_hash("../../etc/passwd");
        response.add_devices()->set_ek_hash(hashOf(1).toUpper().replace(u'0', u'F').toStdString());
        auto *good = response.add_devices();
        good->set_ek_hash(hashOf(3).toStdString());
        good->set_ek_issuer("a\nmaker");
        good->set_attempts(-4);
        response.set_total(-1);
        const auto read = lintel::spire::readWaitingDevices(lintel::spire::serialize(response), Timestamp{});
        QVERIFY(read);
        QCOMPARE(read->latest.size(), 1);
        QCOMPARE(read->latest.first().maker, u"a maker"_s);
        QCOMPARE(read->latest.first().attempts, 0u);
        QVERIFY(!read->latest.first().lastSeen);
        QCOMPARE(read->total, 1u);
        QVERIFY(!lintel::spire::readWaitingDevices("\x0a\xff", Timestamp{}));
    }

    void watch_keepsTheLastAnswerWhileTheAuthorityIsAway()
    {
        LiveAuthority authority{1h};
        QVERIFY(authority.open());
        const auto gateway = authority.joiner(u"gateway"_s, u"gateway"_s);
        QVERIFY(gateway);
        (void)comes(authority, hashOf(5));
        grpc::Channel channel(
            {authority.address(), [&] { return lintel::spire::tlsAsAgent(*gateway, authority.serverId()); }});
        const lintel::spire::WaitingDevicesWatch watch(channel, *gateway);
        QVERIFY(!watch.latest());
        QTRY_VERIFY_WITH_TIMEOUT(watch.latest(), kPatience);
        QCOMPARE(watch.latest()->latest.value(0).ekHash, hashOf(5));
        QVERIFY(watch.problem().isEmpty());

        authority.close();
        QTRY_VERIFY_WITH_TIMEOUT(!watch.problem().isEmpty(), kPatience);
        const Timestamp asOf = watch.latest()->asOf;
        QCOMPARE(watch.latest()->total, 1u);
        QVERIFY(authority.open());
        QTRY_VERIFY_WITH_TIMEOUT(watch.problem().isEmpty(), kPatience);
        QVERIFY(watch.latest()->asOf > asOf);
        QCOMPARE(watch.latest()->total, 1u); // the queue is on disk
        QVERIFY(!watch.latest()->latest.first().lastSeen);
    }
};

QTEST_GUILESS_MAIN(TestWaitingDevices)
#include "tst_waiting_devices.moc"
