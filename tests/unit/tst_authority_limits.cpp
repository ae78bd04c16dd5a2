// What the authority's services say of its health and give to strangers, and which secrets the program takes.
#include "authority/authority_process.h"
#include "authority/key_stores.h"
#include "fakes/attested_agent.h"
#include "fakes/faulty_vfs.h"
#include "fakes/odd_certificate.h"
#include "grpc/grpc_channel.h"
#include "spire/server_methods.h"
#include "spire/wire.h"
#include "tls/identity_files.h"

#include "grpc_health.pb.h"
#include "spire_bundle.pb.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace method = lintel::spire::method;
namespace health = ::lintel::grpc::wire;

namespace {

constexpr int kSlow = 60'000;

int statusIn(const QByteArray &message)
{
    const auto response = lintel::spire::parse<health::HealthCheckResponse>(message);
    return response ? int(response->status()) : -1;
}

/// Its answer, or the status that it was refused with.
Result<QByteArray> ask(grpc::Channel &channel, const QByteArray &path, QObject *context)
{
    std::optional<Result<QByteArray>> answer;
    channel.unary(path, {}, 60s, context, [&answer](const grpc::Status &status, const QByteArray &bytes) {
        answer = status.isOk() ? Result<QByteArray>(bytes) : Result<QByteArray>(Error{Errc::Denied, status.message});
        if (status.code == grpc::StatusCode::ResourceExhausted)
            answer = Result<QByteArray>(Error{Errc::Full, status.message});
    });
    (void)QTest::qWaitFor([&answer] { return answer.has_value(); }, kSlow);
    return answer.value_or(Error{Errc::Unavailable, u"no answer"_s});
}

} // namespace

class TestAuthorityLimits : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void health_isWhatTheLastTickSays()
    {
        FaultyVfs disk;
        AuthorityFixture f;
        f.config.vfs = disk.name();
        f.config.issuingLifetime = 24h;
        VERIFY_OK(f.open());
        AttestationTerms terms;
        terms.clock = &f.clock;
        auto service = std::make_unique<AuthorityService>(*f.authority, terms, u"test"_s);
        const QString socket = f.dir.filePath(u"admin.sock"_s);
        VERIFY_OK(service->listenForAdministration(socket, 0600));
        grpc::Channel channel({u"unix://"_s + socket, {}});
        const auto check = [&] {
            const auto answer = ask(channel, method::health("Check"), this);
            return answer ? statusIn(*answer) : -1;
        };
        QList<int> seen;
        auto *watch = channel.start(method::health("Watch"));
        connect(watch, &grpc::ClientCall::messageReceived, this,
                [&seen](const QByteArray &message) { seen.append(statusIn(message)); });
        watch->send({});
        const QList<int> serving{health::HealthCheckResponse::SERVING};
        const QList<int> full = serving + QList<int>{health::HealthCheckResponse::NOT_SERVING};
        QTRY_COMPARE_WITH_TIMEOUT(seen, serving, kSlow);
        QCOMPARE(check(), int(health::HealthCheckResponse::SERVING));

        disk.setRoom(0); // nothing else has to be written than that it is alive
        QTRY_VERIFY_WITH_TIMEOUT((f.clock.advance(1min), !f.authority->tick()), kSlow);
        QTRY_COMPARE_WITH_TIMEOUT(seen, full, kSlow);
        QCOMPARE(check(), int(health::HealthCheckResponse::NOT_SERVING));
        QVERIFY(!f.authority->tick());
        disk.setRoom(std::nullopt);
        VERIFY_OK(f.authority->tick());
        QTRY_COMPARE_WITH_TIMEOUT(seen, full + serving, kSlow);
        QCOMPARE(check(), int(health::HealthCheckResponse::SERVING));

        f.clock.advance(f.config.issuingLifetime * 2); // nobody ticked, and nothing can be signed
        QCOMPARE(check(), int(health::HealthCheckResponse::NOT_SERVING));
        VERIFY_OK(f.authority->tick());
        QCOMPARE(check(), int(health::HealthCheckResponse::SERVING));
        watch->cancel();
        service.reset();
        f.authority.reset();
    }
    void bundle_isGivenToStrangersAtAnEasyPace_andToAgentsAsOftenAsTheyLike()
    {
        AuthorityFixture f;
        f.clock.setNow(fromEpochMillis(QDateTime::currentMSecsSinceEpoch()));
        VERIFY_OK(f.open());
        const Attested a(f);
        AttestationTerms terms;
        terms.clock = &f.clock;
        AuthorityService service(*f.authority, terms, u"test"_s);
        const auto port = service.listenForAgents(u"127.0.0.1"_s, 0);
        VERIFY_OK(port);
        const TrustBundles roots{{f.config.domain, f.authority->bundle()->x509Authorities}};
        const auto issued = f.authority->attest(f.node(ekHashOf(1), a.key));
        VERIFY_OK(issued);
        const auto channelAs = [&](const std::optional<X509Svid> &own) {
            return std::make_unique<grpc::Channel>(
                grpc::ChannelTarget{u"127.0.0.1:%1"_s.arg(*port), [&f, roots, own]() -> Result<grpc::ClientTls> {
                                        return grpc::ClientTls{own, f.id(u"/spire/server"_s), roots, {}};
                                    }});
        };
        const auto stranger = channelAs(std::nullopt);
        int given = 0;
        int refused = 0;
        for (int i = 0; i < 30; ++i) {
            const auto answer = ask(*stranger, method::bundle("GetBundle"), this);
            given += bool(answer);
            refused += !answer && answer.error().code == Errc::Full;
        }
        QCOMPARE(given + refused, 30);
        QCOMPARE(given, 10); // the clock stands still
        const auto agent = channelAs(
            X509Svid{issued->svid.id, issued->svid.chainDer, a.key.key, issued->svid.notBefore, issued->svid.notAfter});
        for (int i = 0; i < 30; ++i)
            VERIFY_OK(ask(*agent, method::bundle("GetBundle"), this));
    }
    void secrets_thatOthersMayReadAreRefused()
    {
        const QTemporaryDir dir;
        ProgramConfig config;
        config.authority.domain = *TrustDomain::parse(u"building-1.smart.local");
        config.authority.stateDir = dir.filePath(u"state"_s);
        config.keys.provider = KeyStoreConfig::Provider::Pkcs11;
        config.keys.module = u"/nowhere.so"_s;
        config.keys.token = u"lintel"_s;
        config.keys.pinFile = dir.filePath(u"pin"_s);
        VERIFY_OK(tls::writePublicFile(config.keys.pinFile, "1234\n"));
        const auto open = openKeyStore(config);
        VERIFY_ERROR(open, Errc::Denied);
        QVERIFY(open.error().message.contains(u"chmod 600 "_s + config.keys.pinFile));
        VERIFY_OK(tls::writePrivateFile(config.keys.pinFile, "1234\n"));
        VERIFY_ERROR(openKeyStore(config), Errc::NotFound); // as far as the module

        config.keys = {};
        config.host = config.bundles.host = u"127.0.0.1"_s;
        config.port = config.bundles.port = 0;
        config.adminSocket = dir.filePath(u"admin.sock"_s);
        config.bundles.isEnabled = config.bundles.isWeb = true;
        config.bundles.certificate = dir.filePath(u"web.pem"_s);
        config.bundles.key = dir.filePath(u"web.key"_s);
        const auto certificate = makeCertificate(rootOf("web"));
        VERIFY_OK(tls::writePublicFile(config.bundles.certificate, tls::certificatesToPem({certificate.der})));
        VERIFY_OK(tls::writePublicFile(config.bundles.key, *tls::privateKeyToPem(**tls::newSoftwareKey())));
        const FakeClock clock;
        const auto process = AuthorityProcess::open(config, clock, u"test"_s);
        VERIFY_ERROR(process, Errc::Denied);
        QVERIFY(process.error().message.contains(u"chmod 600 "_s + config.bundles.key));
        QVERIFY(QFile::setPermissions(config.bundles.key, QFile::ReadOwner | QFile::WriteOwner));
        VERIFY_OK(AuthorityProcess::open(config, clock, u"test"_s));
    }
};

QTEST_GUILESS_MAIN(TestAuthorityLimits)
#include "tst_authority_limits.moc"
