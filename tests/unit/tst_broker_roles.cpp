#include "broker-plugin/plugin_options.h"
#include "mqtt/broker_roles.h"

#include <QtTest>

using namespace lintel;
using namespace lintel::broker;
using namespace Qt::StringLiterals;

class TestBrokerRoles : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void roles_printAndParse();
    void parse_refuses_data();
    void parse_refuses();
    void examples_areRight();
    void options_areChecked();
};

void TestBrokerRoles::roles_printAndParse()
{
    const QByteArray text = R"({"version": 1,
      "sensors": [{"trust_domain": "building-1.smart.local", "site": "building-1", "hosts": ["gateway-1"]}],
      "edge_nodes": [{"id": "spiffe://building-1.smart.local/agent/gateway", "site": "building-1", "node": "gateway", "hosts": ["lintel-cloud"]}],
      "hosts": [{"id": "spiffe://smart-building.cloud/agent/ingestion", "host": "lintel-cloud", "sites": ["*"]}],
      "readers": [{"id": "spiffe://smart-building.cloud/operator/*", "sites": ["building-1", "building-2"]},
                  {"id": "spiffe://smart-building.cloud/agent/caller", "sites": []}]})";
    const auto roles = parseRoles(text);
    QVERIFY2(roles, roles ? "" : qPrintable(roles.error().message));
    QCOMPARE(roles->sensors.size(), 1);
    QVERIFY(roles->hosts.first().sites.all);
    QVERIFY(roles->readers.first().everybodyBelow);
    QCOMPARE(roles->readers.first().id.path(), u"/operator"_s);
    QCOMPARE(roles->readers.first().sites.names, (QStringList{u"building-1"_s, u"building-2"_s}));
    const auto again = parseRoles(printRoles(*roles));
    QVERIFY(again);
    QVERIFY(*again == *roles);
    const auto none = parseRoles(R"({"version":1})");
    QVERIFY(none && *none == BrokerRoles{});
}

void TestBrokerRoles::parse_refuses_data()
{
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<QString>("says");
    const auto row = [](const char *name, const char *text, const char *says) {
        QTest::newRow(name) << QByteArray(text) << QString::fromLatin1(says);
    };
    row("nothing", "", "JSON object");
    row("list", "[]", "JSON object");
    row("no version", "{}", "version 1");
    row("newer", R"({"version":2})", "version 1");
    row("misspelt list", R"({"version":1,"sensor":[]})", "\"sensor\" is not known");
    row("misspelt key", R"({"version":1,"hosts":[{"id":"spiffe://a/b","host":"h","sites":["*"],"site":"x"}]})",
        "hosts[0]");
    row("not a list", R"({"version":1,"hosts":{}})", "a list belongs here");
    row("not an object", R"({"version":1,"hosts":[7]})", "an object belongs here");
    row("wildcard site", R"({"version":1,"sensors":[{"trust_domain":"a","site":"+","hosts":["h"]}]})", "not allowed");
    row("star among sites", R"({"version":1,"readers":[{"id":"spiffe://a/b","sites":["*","#"]}]})", "not allowed");
    row("empty site", R"({"version":1,"sensors":[{"trust_domain":"a","site":"","hosts":["h"]}]})", "must not be empty");
    row("no host", R"({"version":1,"sensors":[{"trust_domain":"a","site":"s","hosts":[]}]})", "list of names");
    row("bad domain", R"({"version":1,"sensors":[{"trust_domain":"A","site":"s","hosts":["h"]}]})", "lower-case");
    row("whole domain", R"({"version":1,"readers":[{"id":"spiffe://a/*","sites":[]}]})", "whole trust domain");
    row("host below", R"({"version":1,"hosts":[{"id":"spiffe://a/b/*","host":"h","sites":["*"]}]})", "SPIFFE ID");
    row("no sites of a host", R"({"version":1,"hosts":[{"id":"spiffe://a/b","host":"h","sites":[]}]})",
        "list of names");
    row("two roles of one",
        R"({"version":1,"hosts":[{"id":"spiffe://a/b","host":"h","sites":["*"]}],"readers":[{"id":"spiffe://a/b","sites":[]}]})",
        "appears twice");
    row("two nodes of one name",
        R"({"version":1,"edge_nodes":[{"id":"spiffe://a/b","site":"s","node":"n","hosts":["h"]},{"id":"spiffe://a/c","site":"s","node":"n","hosts":["h"]}]})",
        "appears twice");
}

void TestBrokerRoles::parse_refuses()
{
    QFETCH(QByteArray, text);
    QFETCH(QString, says);
    const auto roles = parseRoles(text);
    QVERIFY(!roles);
    QVERIFY2(roles.error().message.contains(says), qPrintable(roles.error().message));
}

void TestBrokerRoles::examples_areRight()
{
    for (const QString &name : {u"broker-roles.json"_s, u"broker-roles-cloud.json"_s}) {
        QFile file(QStringLiteral(LINTEL_SOURCE_DIR "/resources/config/") + name);
        QVERIFY(file.open(QIODevice::ReadOnly));
        const auto roles = parseRoles(file.readAll());
        QVERIFY2(roles, roles ? "" : qPrintable(roles.error().message));
        QVERIFY(!roles->hosts.isEmpty() && !roles->readers.isEmpty());
    }
}

void TestBrokerRoles::options_areChecked()
{
    const auto good = parsePluginOptions({{u"bundles"_s, u"/b"_s}, {u"roles"_s, u"/r"_s}, {u"status"_s, u"/s"_s}});
    QVERIFY(good);
    QCOMPARE(good->bundlesDir, u"/b"_s);
    QCOMPARE(good->statusFile, u"/s"_s);
    QVERIFY(!parsePluginOptions({{u"bundles"_s, u"/b"_s}}));
    QVERIFY(!parsePluginOptions({{u"bundles"_s, u"/b"_s}, {u"roles"_s, u"/r"_s}, {u"rolls"_s, u"/x"_s}}));
    QVERIFY(!parsePluginOptions({{u"bundles"_s, u"/b"_s}, {u"roles"_s, u"/r"_s}, {u"key"_s, u"/x"_s}}));
}

QTEST_GUILESS_MAIN(TestBrokerRoles)
#include "tst_broker_roles.moc"
