#include "adapters/yaml/common_config.h"
#include "sensor/sensor_config.h"

#include <QTemporaryDir>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

QString refusal(const QByteArray &yaml)
{
    const auto document = config::parseConfig(yaml, u"a.yaml"_s);
    return document ? QString() : document.error().message;
}

/// What the sensor says about a file; empty when it is fine.
QString sensorProblems(const QByteArray &yaml)
{
    const auto document = config::parseConfig(yaml, u"a.yaml"_s);
    if (!document)
        return document.error().message;
    const auto config = sensorConfigFrom(*document);
    return config ? QString() : config.error().message;
}

const QByteArray minimal = "agent: {name: s1, trust_domain: building-1.example.org}\n";

} // namespace

class TestConfig : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void parse_keepsLinesAndQuotes();
    void parse_refuses_data();
    void parse_refuses();
    void parse_refusesDeepNesting();
    void parse_refusesMoreThanOneMebibyte();
    void reader_readsEveryKindOfValue();
    void reader_saysFileLineAndWhatWasExpected_data();
    void reader_saysFileLineAndWhatWasExpected();
    void reader_collectsAllProblemsInOrder();
    void sensor_loadsTheEdgeExampleUnchanged();
    void sensor_fillsDefaults();
    void identity_readsEveryProvider();
    void broker_needsAnEmbeddedIdentity();
    void sensor_readsAReplayWithItsMap();
    void sensor_refusesAnUnknownPointInSampling();
    void sensor_readsWhichOfTwoDevicesIsMeant();
    void sensor_readsHowOftenItSends();
    void sensor_refusesACapabilityItDoesNotHave();
    void shippedMapsAndExamples_load();
};

void TestConfig::parse_keepsLinesAndQuotes()
{
    const auto document = config::parseConfig("a: 1\nb:\n  c: \"2\"\n  d: [x, ~]\n", u"a.yaml"_s);
    QVERIFY(document);
    const config::Node *b = document->root.find(u"b");
    QVERIFY(b);
    QCOMPARE(b->find(u"c")->line, 3);
    QVERIFY(b->find(u"c")->quoted);
    QCOMPARE(b->find(u"d")->items.size(), 2);
    QCOMPARE(b->find(u"d")->items[1].type, config::Node::Type::Null);
}

void TestConfig::parse_refuses_data()
{
    QTest::addColumn<QByteArray>("yaml");
    QTest::addColumn<QString>("message");
    QTest::newRow("duplicate key") << "a: 1\nb: 2\na: 3\n"_ba
                                   << u"a.yaml:3: \"a\" stands here again; it was given in line 1 already."_s;
    QTest::newRow("alias bomb")
        << "a: &x [1,1]\nb: [*x,*x]\n"_ba
        << u"a.yaml:1: anchors (&name) and tags (!name) are not supported; write the value out."_s;
    QTest::newRow("unknown alias") << "a: *x\n"_ba
                                   << u"a.yaml:1: aliases (*name) are not supported; write the value out."_s;
    QTest::newRow("tag") << "a: !!python/object x\n"_ba
                         << u"a.yaml:1: anchors (&name) and tags (!name) are not supported; write the value out."_s;
    QTest::newRow("two documents") << "a: 1\n---\nb: 1\n"_ba
                                   << u"a.yaml:2: a second document begins here; a configuration file has one."_s;
    QTest::newRow("a list") << "- a\n"_ba << u"a.yaml:1: expected sections such as \"agent:\", found a list."_s;
}

void TestConfig::parse_refuses()
{
    QFETCH(QByteArray, yaml);
    QFETCH(QString, message);
    QCOMPARE(refusal(yaml), message);
}

void TestConfig::parse_refusesDeepNesting()
{
    QVERIFY(refusal("a: " + QByteArray(200, '[') + QByteArray(200, ']')).contains(u"nested deeper"_s));
    QVERIFY(refusal("a: [" + QByteArray("1,").repeated(30'000) + "1]").contains(u"more than"_s));
}

void TestConfig::parse_refusesMoreThanOneMebibyte()
{
    QVERIFY(refusal(QByteArray(1024 * 1024 + 1, '#')).contains(u"at most"_s));
}

void TestConfig::reader_readsEveryKindOfValue()
{
    const auto document =
        config::parseConfig("t: words here\nf: on\nn: 2.5\ni: 7\nd1: 60\nd2: 5m\nd3: 500ms\ns: 64MiB\n"
                            "c: fast\nl: [a, b]\nid: spiffe://x.org/a\ntd: x.org\n",
                            u"a.yaml"_s);
    QVERIFY(document);
    config::Problems problems;
    config::Section root(*document, problems);
    QString text;
    bool flag = false;
    double number = 0;
    int integer = 0;
    Millis d1{};
    std::chrono::seconds d2{};
    Millis d3{};
    qint64 size = 0;
    int choice = 0;
    QStringList list;
    SpiffeId id;
    TrustDomain domain;
    root.text(u"t", text);
    root.flag(u"f", flag);
    root.number(u"n", number);
    root.integer(u"i", integer, 0, 10);
    root.duration(u"d1", d1, 0ms, 1h);
    root.duration(u"d2", d2, 0ms, 1h);
    root.duration(u"d3", d3, 0ms, 1h);
    root.size(u"s", size, 0, 1LL << 40);
    root.choice<int>(u"c", choice, {{u"slow", 1}, {u"fast", 2}});
    root.texts(u"l", list);
    root.spiffeId(u"id", id);
    root.trustDomain(u"td", domain);
    root.finish();
    QCOMPARE(problems.messages(), QStringList());
    QCOMPARE(text, u"words here"_s);
    QVERIFY(flag);
    QCOMPARE(number, 2.5);
    QCOMPARE(integer, 7);
    QCOMPARE(d1, Millis{60s});
    QCOMPARE(d2, 300s);
    QCOMPARE(d3, Millis{500});
    QCOMPARE(size, 64 * 1024 * 1024);
    QCOMPARE(choice, 2);
    QCOMPARE(list, (QStringList{u"a"_s, u"b"_s}));
    QCOMPARE(id.toString(), u"spiffe://x.org/a"_s);
    QCOMPARE(domain.name(), u"x.org"_s);
}

void TestConfig::reader_saysFileLineAndWhatWasExpected_data()
{
    QTest::addColumn<QByteArray>("yaml");
    QTest::addColumn<QString>("message");
    const auto row = [](const char *name, const QByteArray &section, const QString &message) {
        QTest::newRow(name) << minimal + section << message;
    };
    row("authority missing", "identity: {provider: embedded, bootstrap_bundle: /b}\n",
        u"a.yaml:2: identity.authority: this must be given with provider \"embedded\": host:port of the authority."_s);
    row("bootstrap bundle missing", "identity: {provider: embedded, authority: \"a:1\"}\n",
        u"a.yaml:2: identity.bootstrap_bundle: this must be given with provider \"embedded\": the file with the "
        "authority's trust bundle."_s);
    row("authority without a port", "identity: {provider: embedded, authority: a, bootstrap_bundle: /b}\n",
        u"a.yaml:2: identity.authority: expected host:port, such as authority.local:8081, found \"a\"."_s);
    row("authority of another domain",
        "identity: {provider: embedded, authority: \"a:1\", bootstrap_bundle: /b,\n"
        "  authority_id: spiffe://elsewhere.example/spire/server}\n",
        u"a.yaml:3: identity.authority_id: expected an ID in the trust domain building-1.example.org, found "
        "\"spiffe://elsewhere.example/spire/server\"."_s);
    row("join token missing",
        "identity: {provider: embedded, authority: \"a:1\", bootstrap_bundle: /b, attestor: join_token}\n",
        u"a.yaml:2: identity.join_token_file: this must be given with attestor \"join_token\": the file with the token."_s);
    row("tcti", "identity: {provider: embedded, authority: \"a:1\", bootstrap_bundle: /b, tpm: /dev/tpm0}\n",
        u"a.yaml:2: identity.tpm: expected device:/dev/tpmrm0, or swtpm:path=/run/tpm.sock, found \"/dev/tpm0\"."_s);
    row("tls version", "transport:\n  tls_min_version: \"1.2\"\n",
        u"a.yaml:3: transport.tls_min_version: expected \"1.3\", found \"1.2\"."_s);
    row("unknown key", "transport:\n  tls: x\n",
        u"a.yaml:3: transport.tls: unknown key; expected one of tls_min_version, connection_reuse, keepalive_interval."_s);
    row("range", "mqtt: {port: 70000}\n",
        u"a.yaml:2: mqtt.port: expected a whole number from 1 to 65535, found \"70000\"."_s);
    row("wrong type", "mqtt: {host: [a]}\n", u"a.yaml:2: mqtt.host: expected a text, found a list."_s);
    row("not a group", "mqtt: 5\n", u"a.yaml:2: mqtt: expected a group of keys, found \"5\"."_s);
    row("duration", "sampling: {period: fast}\n",
        u"a.yaml:2: sampling.period: expected a duration from 100 ms to 24 h, such as 60s, 5m or 1h (a plain number is seconds), found \"fast\"."_s);
    row("enumeration", "observability: {logging: {level: LOUD}}\n",
        u"a.yaml:2: observability.logging.level: expected one of \"DEBUG\", \"INFO\", \"WARNING\", \"ERROR\", \"CRITICAL\", found \"LOUD\"."_s);
    row("size", "spool: {max_bytes: 1 KB}\n",
        u"a.yaml:2: spool.max_bytes: expected a size from 1 MiB to 1024 GiB, such as 64MiB, found \"1 KB\"."_s);
    row("quoted number", "mqtt: {port: \"8883\"}\n",
        u"a.yaml:2: mqtt.port: expected a whole number from 1 to 65535, found \"8883\"."_s);
}

void TestConfig::reader_saysFileLineAndWhatWasExpected()
{
    QFETCH(QByteArray, yaml);
    QFETCH(QString, message);
    QCOMPARE(sensorProblems(yaml), message);
}

void TestConfig::reader_collectsAllProblemsInOrder()
{
    const QStringList problems = sensorProblems("mqtt: {port: x}\nfoo: 1\nserver:\n  port: -1\n").split(u'\n');
    QCOMPARE(problems.size(), 4);
    QVERIFY(problems[0].startsWith(u"a.yaml:1:"_s) && problems[1].startsWith(u"a.yaml:1:"_s));
    QVERIFY(problems[2].startsWith(u"a.yaml:2: foo: unknown key"_s));
    QVERIFY(problems[3].startsWith(u"a.yaml:4: server.port"_s));
}

void TestConfig::sensor_loadsTheEdgeExampleUnchanged()
{
    const auto config = readSensorConfig(QStringLiteral(LINTEL_SOURCE_DIR "/tests/fixtures/config/hvac_sensor.yaml"));
    QVERIFY2(config, config ? "" : qPrintable(config.error().message));
    QCOMPARE(config->common.agent.name, u"hvac-sensor-001"_s);
    QCOMPARE(config->common.agent.spiffeId.toString(), u"spiffe://building-1.smart.local/agent/hvac-sensor-001"_s);
    QCOMPARE(config->common.agent.calls(), QStringList({u"read_sensors"_s, u"sync_buffered"_s}));
    QCOMPARE(config->common.agent.capabilities.first().description, u"Read temperature, humidity, fan status"_s);
    QCOMPARE(config->common.identity.provider, IdentityConfig::Provider::Spiffe);
    QCOMPARE(config->common.identity.spiffeEndpoint, u"unix:///var/run/spire/agent.sock"_s);
    QVERIFY(config->common.identity.lightweight);
    QCOMPARE(config->common.identity.bundleRefreshInterval, 3600s);
    QCOMPARE(config->common.authorization.provider, AuthorizationConfig::Provider::Opa);
    QCOMPARE(config->common.authorization.policyCacheTtl, 300s);
    QCOMPARE(config->mqtt.keepAlive, 60s);
    QCOMPARE(config->mqtt.reconnectMax, 30s);
    QCOMPARE(config->common.server.port, quint16(8443));
    QCOMPARE(config->common.observability.level, ObservabilityConfig::Level::Warning);
    QCOMPARE(config->common.observability.destination, ObservabilityConfig::Destination::Syslog);
    QVERIFY(config->settings.callsNeedPolicy);
}

void TestConfig::identity_readsEveryProvider()
{
    const auto identity = [](const QByteArray &section) {
        const auto document = config::parseConfig(minimal + section, u"a.yaml"_s);
        const auto config = sensorConfigFrom(*document);
        return config ? config->common.identity : IdentityConfig{};
    };
    using Provider = IdentityConfig::Provider;
    const IdentityConfig least =
        identity("identity: {provider: embedded, authority: \"authority:8081\", bootstrap_bundle: /b.pem}\n");
    QCOMPARE(least.provider, Provider::Embedded);
    QCOMPARE(least.authority, u"authority:8081"_s);
    QCOMPARE(least.authorityId.toString(), u"spiffe://building-1.example.org/spire/server"_s);
    QCOMPARE(least.attestor, IdentityConfig::Attestor::LintelTpm);
    QCOMPARE(least.tpm, u"device:/dev/tpmrm0"_s);
    QCOMPARE(least.stateDir, u"/var/lib/lintel/s1/identity"_s);
    QCOMPARE(least.renewAt, 0.5);
    const IdentityConfig most = identity("identity:\n  provider: embedded\n  authority: \"[::1]:8081\"\n"
                                         "  authority_id: spiffe://building-1.example.org/other\n"
                                         "  attestor: join_token\n  tpm: \"swtpm:path=/run/tpm.sock\"\n"
                                         "  state_dir: /s\n  bootstrap_bundle: /b.pem\n"
                                         "  join_token_file: /t\n  renew_at: 0.7\n");
    QCOMPARE(most.authority, u"[::1]:8081"_s);
    QCOMPARE(most.authorityId.path(), u"/other"_s);
    QCOMPARE(most.attestor, IdentityConfig::Attestor::JoinToken);
    QCOMPARE(most.tpm, u"swtpm:path=/run/tpm.sock"_s);
    QCOMPARE(most.stateDir, u"/s"_s);
    QCOMPARE(most.joinTokenFile, u"/t"_s);
    QCOMPARE(most.renewAt, 0.7);
    QCOMPARE(identity("identity: {provider: spiffe}\n").provider, Provider::Spiffe); // SPIFFE_ENDPOINT_SOCKET
    QCOMPARE(identity("identity: {directory: /d}\n").provider, Provider::Files);
}

void TestConfig::broker_needsAnEmbeddedIdentity()
{
    const auto broker = [](const QByteArray &text, QString *problem) {
        const auto document = config::parseConfig(text, u"a.yaml"_s);
        config::Problems problems;
        BrokerFilesConfig files;
        {
            config::Section root(*document, problems);
            const CommonConfig common = readCommon(root);
            files = readBrokerFiles(root.section(u"broker"), common);
        }
        *problem = problems.messages().join(u'\n');
        return files;
    };
    QString problem;
    const QByteArray embedded =
        minimal + "identity: {provider: embedded, authority: \"a:1\", bootstrap_bundle: /b.pem}\n";
    const BrokerFilesConfig files = broker(embedded + "broker: {directory: /var/lib/lintel/broker}\n", &problem);
    QCOMPARE(problem, QString());
    QCOMPARE(files.id.toString(), u"spiffe://building-1.example.org/broker"_s);
    QCOMPARE(files.status, u"/var/lib/lintel/broker/status.json"_s);
    QCOMPARE(files.identityFile(), u"/var/lib/lintel/broker/broker.pem"_s);
    QVERIFY(broker(embedded, &problem).directory.isEmpty());
    QCOMPARE(problem, QString());
    (void)broker(minimal + "identity: {directory: /d}\nbroker: {directory: /x}\n", &problem);
    QCOMPARE(problem,
             u"a.yaml:3: broker.directory: a broker's files are kept with identity.provider \"embedded\" only; "
             "remove this section, or correct identity.provider."_s);
    (void)broker(embedded + "broker: {id: spiffe://elsewhere.example/broker}\n", &problem);
    QVERIFY2(problem.contains(u"a.yaml:3: broker.directory"_s), qPrintable(problem));
    QVERIFY2(problem.contains(u"broker.id: expected an ID in the trust domain building-1.example.org"_s),
             qPrintable(problem));
}

void TestConfig::sensor_fillsDefaults()
{
    const auto document = config::parseConfig(minimal, u"a.yaml"_s);
    QVERIFY(document);
    const auto config = sensorConfigFrom(*document);
    QVERIFY(config);
    QCOMPARE(config->settings.period, Millis{60s});
    QCOMPARE(config->sparkplug.group, u"building-1"_s);
    QCOMPARE(config->mqtt.brokerId.toString(), u"spiffe://building-1.example.org/broker"_s);
    QCOMPARE(config->spool.path, u"/var/lib/lintel/s1/spool.db"_s);
    QCOMPARE(config->stateFile, u"/var/lib/lintel/s1/state.db"_s);
    QCOMPARE(config->driver.driver.index(), size_t(0));
}

void TestConfig::sensor_readsAReplayWithItsMap()
{
    const QTemporaryDir folder;
    QFile map(folder.filePath(u"map.yaml"_s));
    QVERIFY(map.open(QIODevice::WriteOnly));
    map.write(
        "time: {column: date, zone: Nowhere/Land}\npoints:\n  - {column: T, id: temp, unit: celsius}\n  - {column: T, id: temp}\n");
    map.close();
    QFile file(folder.filePath(u"sensor.yaml"_s));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(minimal + "driver: {type: replay, file: x.csv, map: map.yaml, pace: as_acknowledged}\n");
    file.close();
    const auto refused = readSensorConfig(file.fileName());
    QVERIFY(!refused);
    QVERIFY(refused.error().message.contains(u"map.yaml:1: time.format: \"Nowhere/Land\" is no time zone"_s));
    QVERIFY(refused.error().message.contains(u"has the id \"temp\" of a point before it"_s));

    QVERIFY(map.open(QIODevice::WriteOnly | QIODevice::Truncate));
    map.write("time: {column: date}\npoints:\n  - {column: T, id: temp, unit: celsius}\n");
    map.close();
    const auto config = readSensorConfig(file.fileName());
    QVERIFY2(config, config ? "" : qPrintable(config.error().message));
    const auto &replay = std::get<ReplayConfig>(config->driver.driver);
    QCOMPARE(replay.file, folder.filePath(u"x.csv"_s));
    QCOMPARE(replay.map.columns.size(), 1);
    QCOMPARE(replay.map.columns[0].point.siteRef, u"building-1"_s);
}

void TestConfig::sensor_refusesAnUnknownPointInSampling()
{
    const QString problems = sensorProblems(
        minimal
        + "driver: {type: hwmon, points: [{id: a, device: x, channel: temp1}]}\nsampling: {points: {b: {deadband: 1}}}\n");
    QCOMPARE(problems, u"a.yaml:3: sampling: there is no point \"b\"; the driver has a."_s);
}

void TestConfig::sensor_readsWhichOfTwoDevicesIsMeant()
{
    const auto configOf = [](const char *path) {
        const auto document = config::parseConfig(
            minimal + "driver: {type: iio, points: [{id: a, device: x, channel: in_temp, path: " + path + "}]}\n",
            u"a.yaml"_s);
        return document ? sensorConfigFrom(*document) : Result<SensorConfig>(document.error());
    };
    for (const char *path : {"1-0076", "i2c-1/1-0076", "'iio:device0'"}) {
        const auto config = configOf(path);
        QVERIFY2(config, config ? "" : qPrintable(config.error().message));
        QCOMPARE(std::get<SysfsConfig>(config->driver.driver).channels.first().path,
                 QString::fromLatin1(path).remove(u'\''));
    }
    for (const char *path : {"/1-0076", "1-0076/", "../x", "a//b", "."}) {
        const auto config = configOf(path);
        QVERIFY2(!config, path);
        QVERIFY2(config.error().message.contains(u"part of where the device is below /sys/devices"),
                 qPrintable(config.error().message));
    }
}

void TestConfig::sensor_readsHowOftenItSends()
{
    const auto sendEvery = [](const char *sampling) -> std::optional<Millis> {
        const auto document = config::parseConfig(minimal + sampling, u"a.yaml"_s);
        const auto config = document ? sensorConfigFrom(*document) : Result<SensorConfig>(document.error());
        return config ? std::optional(config->settings.sendEvery) : std::nullopt;
    };
    QCOMPARE(sendEvery(""), std::optional(Millis{0}));
    QCOMPARE(sendEvery("sampling: {send_every: 0s}\n"), std::optional(Millis{0}));
    QCOMPARE(sendEvery("sampling: {send_every: 60s}\n"), std::optional(Millis{60s}));
    QCOMPARE(sendEvery("sampling: {send_every: 1h}\n"), std::optional(Millis{1h}));
    QVERIFY(sensorProblems(minimal + "sampling: {send_every: 2h}\n").contains(u"sampling.send_every"_s));
}

void TestConfig::sensor_refusesACapabilityItDoesNotHave()
{
    QVERIFY(sensorProblems("agent: {name: s, trust_domain: x.org, capabilities: [{name: fly}]}\n")
                .contains(u"does not offer the capability \"fly\""_s));
}

void TestConfig::shippedMapsAndExamples_load()
{
    const QDir folder(QStringLiteral(LINTEL_SOURCE_DIR "/resources/config"));
    const QStringList maps = folder.entryList({u"replay-*.yaml"_s});
    QVERIFY(maps.size() >= 4);
    for (const QString &name : maps) {
        const auto document = config::readConfigFile(folder.filePath(name));
        QVERIFY2(document, qPrintable(name));
        config::Problems problems;
        config::Section root(*document, problems);
        const ColumnMap map = readColumnMap(root, {u"site"_s, {}, {}});
        root.finish();
        QVERIFY2(problems.isEmpty(), qPrintable(problems.messages().join(u'\n')));
        QVERIFY(!map.columns.isEmpty());
    }
    const auto example = readSensorConfig(folder.filePath(u"sensor.yaml"_s));
    QVERIFY2(example, example ? "" : qPrintable(example.error().message));
}

QTEST_GUILESS_MAIN(TestConfig)
#include "tst_config.moc"
