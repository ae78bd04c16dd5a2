// SPIFFE_Workload_Endpoint.md section 4: how the address of a Workload API is written, and where a program takes
// it from. Each slot is a row of docs/spiffe-conformance.md.
#include "domain/workload_endpoint.h"
#include "process/service_main.h"

#include <QScopeGuard>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

constexpr const char *kVariable = "SPIFFE_ENDPOINT_SOCKET";

CommonConfig askingAWorkloadApi(const QString &endpoint = {})
{
    CommonConfig config;
    config.identity.provider = IdentityConfig::Provider::Spiffe;
    config.identity.spiffeEndpoint = endpoint;
    return config;
}

} // namespace

class TestWorkloadEndpoint : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init() { qunsetenv(kVariable); }
    void cleanup() { qunsetenv(kVariable); }

    void unix_isAnAbsolutePath_data()
    {
        QTest::addColumn<QString>("text");
        QTest::addColumn<QString>("path");
        QTest::newRow("as the standard writes it") << u"unix:///run/agent.sock"_s << u"/run/agent.sock"_s;
        QTest::newRow("no authority at all") << u"unix:/run/agent.sock"_s << u"/run/agent.sock"_s;
        QTest::newRow("a scheme has no case (RFC 3986)") << u"UNIX:///run/agent.sock"_s << u"/run/agent.sock"_s;
        QTest::newRow("percent-encoding") << u"unix:///run/a%20b%25.sock"_s << u"/run/a b%.sock"_s;
        QTest::newRow("107 bytes") << u"unix:///"_s + QString(106, u'a') << u'/' + QString(106, u'a');
    }
    void unix_isAnAbsolutePath()
    {
        QFETCH(QString, text);
        QFETCH(QString, path);
        const auto endpoint = WorkloadEndpoint::parse(text);
        QVERIFY2(endpoint, endpoint ? "" : qPrintable(endpoint.error().message));
        QVERIFY(endpoint->isLocalSocket());
        QCOMPARE(endpoint->socketPath(), path);
        QCOMPARE(endpoint->tcpAddress(), QString());
        // And so it is what a program asks.
        QVERIFY(service::checkIdentity(askingAWorkloadApi(text)));
        QCOMPARE(service::workloadEndpoint(askingAWorkloadApi(text).identity), u"unix://"_s + path);
    }

    void tcp_isAnAddressAndAPort_data()
    {
        QTest::addColumn<QString>("text");
        QTest::addColumn<QString>("address");
        QTest::newRow("IPv4") << u"tcp://127.0.0.1:8000"_s << u"127.0.0.1:8000"_s;
        QTest::newRow("IPv6") << u"tcp://[::1]:65535"_s << u"[::1]:65535"_s;
    }
    /// It is understood, and none of our programs asks it: keys would travel in clear text.
    void tcp_isAnAddressAndAPort()
    {
        QFETCH(QString, text);
        QFETCH(QString, address);
        const auto endpoint = WorkloadEndpoint::parse(text);
        QVERIFY2(endpoint, endpoint ? "" : qPrintable(endpoint.error().message));
        QVERIFY(!endpoint->isLocalSocket());
        QCOMPARE(endpoint->tcpAddress(), address);
        QCOMPARE(service::checkIdentity(askingAWorkloadApi(text)).error().code, Errc::Unsupported);
    }

    void anythingElse_isRefusedInOneSentence_data()
    {
        QTest::addColumn<QString>("text");
        QTest::addColumn<QString>("why");
        const auto row = [](const char *name, const QString &text, const QString &why) {
            QTest::newRow(name) << text << why;
        };
        row("no scheme", u"/run/agent.sock"_s, u"begins neither with"_s);
        row("nothing", u" "_s, u"begins neither with"_s);
        row("http", u"http://127.0.0.1:8000"_s, u"begins neither with"_s);
        row("file", u"file:///run/agent.sock"_s, u"begins neither with"_s);
        row("unixx", u"unixx:///run/agent.sock"_s, u"begins neither with"_s);
        row("unix, query", u"unix:///run/agent.sock?a=b"_s, u"query"_s);
        row("unix, empty query", u"unix:///run/agent.sock?"_s, u"query"_s);
        row("unix, fragment", u"unix:///run/agent.sock#a"_s, u"fragment"_s);
        row("unix, host", u"unix://run/agent.sock"_s, u"\"run\" stands where a host would"_s);
        row("unix, user", u"unix://me@/run/agent.sock"_s, u"\"me@\" stands where a host would"_s);
        row("unix, port", u"unix://:80/run/agent.sock"_s, u"\":80\" stands where a host would"_s);
        row("unix, relative", u"unix:run/agent.sock"_s, u"no absolute path"_s);
        row("unix, no path", u"unix:"_s, u"no absolute path"_s);
        row("unix, no path after slashes", u"unix://"_s, u"no absolute path"_s);
        row("unix, a folder", u"unix:///run/"_s, u"no absolute path"_s);
        row("unix, root", u"unix:///"_s, u"no absolute path"_s);
        row("unix, half a percent", u"unix:///run/a%2"_s, u"percent-encoding"_s);
        row("unix, no percent", u"unix:///run/a%zz.sock"_s, u"percent-encoding"_s);
        row("unix, NUL", u"unix:///run/a%00.sock"_s, u"control characters"_s);
        row("unix, too long", u"unix:///"_s + QString(107, u'a'), u"107 bytes"_s);
        row("tcp, name", u"tcp://localhost:8000"_s, u"an IP address"_s);
        row("tcp, no host", u"tcp://:8000"_s, u"an IP address"_s);
        row("tcp, half an IPv6", u"tcp://[::1:8000"_s, u"an IP address"_s);
        row("tcp, IPv6 without brackets", u"tcp://::1:8000"_s, u"an IP address"_s);
        row("tcp, no port", u"tcp://127.0.0.1"_s, u"no port"_s);
        row("tcp, empty port", u"tcp://127.0.0.1:"_s, u"no port"_s);
        row("tcp, port 0", u"tcp://127.0.0.1:0"_s, u"no port"_s);
        row("tcp, port too high", u"tcp://127.0.0.1:65536"_s, u"no port"_s);
        row("tcp, port with a sign", u"tcp://127.0.0.1:+80"_s, u"no port"_s);
        row("tcp, path", u"tcp://127.0.0.1:8000/foo"_s, u"no path"_s);
        row("tcp, empty path", u"tcp://127.0.0.1:8000/"_s, u"no path"_s);
        row("tcp, user", u"tcp://me@127.0.0.1:8000"_s, u"after \"tcp://\""_s);
        row("tcp, query", u"tcp://127.0.0.1:8000?x"_s, u"query"_s);
        row("tcp, fragment", u"tcp://127.0.0.1:8000#x"_s, u"fragment"_s);
        row("tcp, no slashes", u"tcp:127.0.0.1:8000"_s, u"after \"tcp://\""_s);
    }
    void anythingElse_isRefusedInOneSentence()
    {
        QFETCH(QString, text);
        QFETCH(QString, why);
        const auto endpoint = WorkloadEndpoint::parse(text);
        QVERIFY(!endpoint);
        QCOMPARE(endpoint.error().code, Errc::Malformed);
        QVERIFY2(endpoint.error().message.contains(why), qPrintable(endpoint.error().message));
        QVERIFY2(endpoint.error().message.contains(text), qPrintable(endpoint.error().message));
        QVERIFY2(endpoint.error().message.endsWith("write unix:///path/of/socket."_L1),
                 qPrintable(endpoint.error().message));
        // The program says where it read that, be it its configuration or the environment.
        const auto configured = service::checkIdentity(askingAWorkloadApi(text));
        QVERIFY(!configured);
        QCOMPARE(configured.error().message, u"identity.spiffe_endpoint: "_s + endpoint.error().message);
        qputenv(kVariable, text.toUtf8());
        const auto inherited = service::checkIdentity(askingAWorkloadApi());
        QVERIFY(!inherited);
        QCOMPARE(inherited.error().message, u"SPIFFE_ENDPOINT_SOCKET: "_s + endpoint.error().message);
    }

    void environment_countsWhereNothingIsConfigured()
    {
        QCOMPARE(service::checkIdentity(askingAWorkloadApi()).error().code, Errc::NotFound);
        QCOMPARE(service::workloadEndpoint(askingAWorkloadApi().identity), QString());
        qputenv(kVariable, "unix:///run/from-environment.sock");
        QVERIFY(service::checkIdentity(askingAWorkloadApi()));
        QCOMPARE(service::workloadEndpoint(askingAWorkloadApi().identity), u"unix:///run/from-environment.sock"_s);
        QCOMPARE(service::workloadEndpoint(askingAWorkloadApi(u"unix:///run/configured.sock"_s).identity),
                 u"unix:///run/configured.sock"_s);
    }
};

QTEST_APPLESS_MAIN(TestWorkloadEndpoint)
#include "tst_workload_endpoint.moc"
