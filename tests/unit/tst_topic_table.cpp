#include "broker-plugin/topic_filter.h"
#include "broker-plugin/topic_table.h"
#include "domain/principal.h"

#include <QRandomGenerator>
#include <QtTest>

using namespace lintel;
using namespace lintel::broker;
using namespace Qt::StringLiterals;

namespace {
SpiffeId spiffe(const QString &text)
{
    const auto id = SpiffeId::parse(text);
    return id ? *id : SpiffeId{};
}

const auto kSensor = u"spiffe://building-1.smart.local/agent/hvac-001"_s;
const auto kGateway = u"spiffe://building-1.smart.local/agent/gateway"_s;
const auto kHistorian = u"spiffe://smart-building.cloud/agent/ingestion"_s;
const auto kOperator = u"spiffe://smart-building.cloud/operator/demo"_s;
const auto kChief = u"spiffe://smart-building.cloud/operator/chief"_s;
const auto kCaller = u"spiffe://smart-building.cloud/agent/caller"_s;

BrokerRoles buildingRoles()
{
    BrokerRoles roles;
    roles.sensors = {{*TrustDomain::parse(u"building-1.smart.local"), u"building-1"_s, {u"gateway-1"_s}}};
    roles.hosts = {{spiffe(kGateway), u"gateway-1"_s, {false, {u"building-1"_s}}}};
    roles.readers = {{spiffe(u"spiffe://smart-building.cloud/operator"_s), true, {false, {u"building-1"_s}}},
                     {spiffe(kChief), false, {true, {}}},
                     {spiffe(kCaller), false, {}}};
    return roles;
}

BrokerRoles cloudRoles()
{
    BrokerRoles roles;
    roles.edgeNodes = {{spiffe(kGateway), u"building-1"_s, u"gateway"_s, {u"lintel-cloud"_s}}};
    roles.hosts = {{spiffe(kHistorian), u"lintel-cloud"_s, {true, {}}}};
    roles.readers = {{spiffe(kOperator), false, {false, {u"building-1"_s, u"building-2"_s}}}};
    return roles;
}

QString principal(const QString &id)
{
    return Principal(spiffe(id)).toString();
}

/// P stands for the client's own principal, Q for somebody else's.
std::string topic(const char *text, const QString &id)
{
    return QString::fromUtf8(text)
        .replace(u"<P>"_s, principal(id))
        .replace(u"<Q>"_s, principal(u"spiffe://building-1.smart.local/agent/other"_s))
        .toStdString();
}
} // namespace

class TestTopicTable : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void names_areChecked();
    void filters_areChecked();
    void matching_followsMqtt_data();
    void matching_followsMqtt();
    void covering_isAboutEveryTopic_data();
    void covering_isAboutEveryTopic();
    void covering_agreesWithMatchingOnRandomTopics();
    void table_data();
    void table();
    void everybodyElse_hasNothing_data();
    void everybodyElse_hasNothing();
    void lastWords_areTheOwnDeathOnly();
    void sensor_cannotTakeAGatewaysName();
};

void TestTopicTable::names_areChecked()
{
    for (const char *good : {"a", "spBv1.0/B/NDATA/S", "a/b c/ü", "spBv1.0/g/NDATA/$sys"})
        QVERIFY2(isTopicName(good), good);
    for (const char *bad :
         {"", "/a", "a/", "a//b", "a/+", "a/#", "#", "a+b", "$SYS/broker", "$CONTROL/x", "$share/g/a", "$"})
        QVERIFY2(!isTopicName(bad), bad);
    QVERIFY(!isTopicName(std::string_view("a\0b", 3)));
    QVERIFY(isTopicName(std::string(65'535, 'a')));
    QVERIFY(!isTopicName(std::string(65'536, 'a')));
}

void TestTopicTable::filters_areChecked()
{
    for (const char *good : {"a", "+", "#", "a/+/b", "a/#", "+/+/#", "spBv1.0/#"})
        QVERIFY2(isTopicFilter(good), good);
    for (const char *bad : {"", "a/#/b", "a#", "a/b#", "a+", "+a/b", "##", "a//#", "/#", "a/", "$SYS/#",
                            "$share/g/spBv1.0/#", "$share/g/lintel/v1/req/x/#", "$CONTROL/#", "$queue/a"})
        QVERIFY2(!isTopicFilter(bad), bad);
}

void TestTopicTable::matching_followsMqtt_data()
{
    QTest::addColumn<QByteArray>("filter");
    QTest::addColumn<QByteArray>("name");
    QTest::addColumn<bool>("expected");
    const auto row = [](const char *filter, const char *name, bool expected) {
        QTest::addRow("%s | %s", filter, name) << QByteArray(filter) << QByteArray(name) << expected;
    };
    row("a/b", "a/b", true);
    row("a/b", "a/bc", false);
    row("a/b", "a", false);
    row("a/b", "a/b/c", false);
    row("a/+", "a/b", true);
    row("a/+", "a", false);
    row("a/+", "a/b/c", false);
    row("a/#", "a", true);
    row("a/#", "a/b/c", true);
    row("a/#", "ab", false);
    row("+/b/#", "a/b", true);
    row("+/b/#", "a/c", false);
    row("+", "a/b", false);
    row("#", "a/b/c", true);
}

void TestTopicTable::matching_followsMqtt()
{
    QFETCH(QByteArray, filter);
    QFETCH(QByteArray, name);
    QFETCH(bool, expected);
    QCOMPARE(matches(filter.toStdString(), name.toStdString()), expected);
}

void TestTopicTable::covering_isAboutEveryTopic_data()
{
    QTest::addColumn<QByteArray>("allowed");
    QTest::addColumn<QByteArray>("wanted");
    QTest::addColumn<bool>("expected");
    const auto row = [](const char *allowed, const char *wanted, bool expected) {
        QTest::addRow("%s covers %s", allowed, wanted) << QByteArray(allowed) << QByteArray(wanted) << expected;
    };
    row("a/b", "a/b", true);
    row("a/b", "a/+", false);
    row("a/b", "a/#", false);
    row("a/b", "+/b", false);
    row("a/b", "#", false);
    row("a/b", "a/b/#", false); // would also hear a/b/c
    row("a/+", "a/b", true);
    row("a/+", "a/+", true);
    row("a/+", "a/#", false); // would also hear a and a/b/c
    row("a/+", "a/b/#", false);
    row("a/+", "+/b", false);
    row("a/+", "a", false);
    row("a/#", "a", true);
    row("a/#", "a/#", true);
    row("a/#", "a/+", true);
    row("a/#", "a/b/+/#", true);
    row("a/#", "#", false);
    row("a/#", "+/#", false);
    row("a/#", "+", false);
    row("a/#", "ab/#", false);
    row("a/+/#", "a/#", false); // a/# also hears a
    row("a/+/#", "a/+/#", true);
    row("a/+/#", "a/b", true);
    row("a/+/c", "a/b/c", true);
    row("a/+/c", "a/+/+", false);
    row("a/+/c", "a/b/#", false);
    row("+/+", "a/b", true);
    row("+/+", "+/b", true);
    row("+/+", "+", false);
    row("+/+", "#", false);
    row("#", "#", true);
    row("#", "+/+/a/#", true);
}

void TestTopicTable::covering_isAboutEveryTopic()
{
    QFETCH(QByteArray, allowed);
    QFETCH(QByteArray, wanted);
    QFETCH(bool, expected);
    QCOMPARE(covers(allowed.toStdString(), wanted.toStdString()), expected);
}

void TestTopicTable::covering_agreesWithMatchingOnRandomTopics()
{
    // The definition itself, over all filters and topics of up to three levels of two names.
    const std::vector<std::string> words{"a", "b", "+", "#"};
    std::vector<std::string> all;
    for (const std::string &one : words) {
        all.push_back(one);
        for (const std::string &two : words) {
            all.push_back(one + '/' + two);
            for (const std::string &three : words)
                all.push_back(one + '/' + two + '/' + three);
        }
    }
    std::vector<std::string> topics;
    for (const std::string &text : all)
        if (isTopicName(text))
            for (const char *tail : {"", "/c", "/c/c"})
                topics.push_back(text + tail);
    topics.push_back("c");
    topics.push_back("c/c");
    topics.push_back("a/c/b");
    topics.push_back("c/c/c");
    topics.push_back("c/a");
    topics.push_back("c/b/a");
    topics.push_back("c/a/b");
    topics.push_back("c/c/a");
    topics.push_back("c/c/b");
    int checked = 0;
    for (const std::string &allowed : all) {
        for (const std::string &wanted : all) {
            if (!isTopicFilter(allowed) || !isTopicFilter(wanted))
                continue;
            if (allowed == "+/#" && wanted == "#")
                continue; // the same by another name; no granted filter begins with a wildcard
            const bool really = std::all_of(topics.begin(), topics.end(), [&](const std::string &name) {
                return !matches(wanted, name) || matches(allowed, name);
            });
            QVERIFY2(covers(allowed, wanted) == really, (allowed + " covers " + wanted).c_str());
            ++checked;
        }
    }
    QVERIFY(checked > 1'000);
}

void TestTopicTable::table_data()
{
    QTest::addColumn<bool>("cloud");
    QTest::addColumn<QString>("id");
    QTest::addColumn<QByteArray>("action"); // p publish, s subscribe, r receive
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<bool>("allowed");
    const auto row = [](bool cloud, const QString &id, const char *action, const char *text, bool allowed) {
        QTest::addRow("%s: %s %s %s %s", cloud ? "cloud" : "building", qPrintable(id.mid(9)), action, text,
                      allowed ? "yes" : "no")
            << cloud << id << QByteArray(action) << QByteArray(text) << allowed;
    };
    const auto calls = [&row](bool cloud, const QString &id) {
        row(cloud, id, "p", "lintel/v1/req/<Q>/<P>/status", true);
        row(cloud, id, "p", "lintel/v1/rsp/<Q>/<P>/4711", true);
        row(cloud, id, "s", "lintel/v1/req/<P>/#", true);
        row(cloud, id, "s", "lintel/v1/req/<P>/+/status", true);
        row(cloud, id, "s", "lintel/v1/rsp/<P>/#", true);
        row(cloud, id, "r", "lintel/v1/req/<P>/<Q>/status", true);
        // in another's name, to another's ears
        row(cloud, id, "p", "lintel/v1/req/<P>/<Q>/status", false);
        row(cloud, id, "p", "lintel/v1/rsp/<P>/<Q>/4711", false);
        row(cloud, id, "p", "lintel/v1/req/<Q>/<P>", false);
        row(cloud, id, "p", "lintel/v1/req/<Q>/<P>/status/more", false);
        row(cloud, id, "p", "lintel/v2/req/<Q>/<P>/status", false);
        row(cloud, id, "s", "lintel/v1/req/<Q>/#", false);
        row(cloud, id, "s", "lintel/v1/req/+/#", false);
        row(cloud, id, "s", "lintel/v1/#", false);
        row(cloud, id, "s", "lintel/v1/+/<P>/#", false);
        row(cloud, id, "s", "$share/g/lintel/v1/req/<P>/#", false);
        row(cloud, id, "r", "lintel/v1/req/<Q>/<P>/status", false);
        row(cloud, id, "r", "$SYS/broker/uptime", false);
        row(cloud, id, "s", "$SYS/#", false);
        row(cloud, id, "p", "$CONTROL/dynamic-security/v1", false);
        row(cloud, id, "s", "#", false);
        row(cloud, id, "s", "+/#", false);
    };
    for (const QString &id : {kSensor, kGateway, kOperator, kChief, kCaller})
        calls(false, id);
    for (const QString &id : {kGateway, kHistorian, kOperator})
        calls(true, id);

    const auto edgeNode = [&row](bool cloud, const QString &id, const char *node, const char *host) {
        const auto own = [node](const char *verb) { return QByteArray("spBv1.0/building-1/") + verb + '/' + node; };
        for (const char *verb : {"NBIRTH", "NDATA", "NDEATH"})
            row(cloud, id, "p", own(verb), true);
        for (const char *verb : {"DBIRTH", "DDATA", "DDEATH"}) {
            row(cloud, id, "p", own(verb) + "/fan", true);
            row(cloud, id, "p", own(verb), false);
        }
        row(cloud, id, "s", own("NCMD"), true);
        row(cloud, id, "s", own("DCMD") + "/+", true);
        row(cloud, id, "s", own("NCMD") + "/#", true);
        row(cloud, id, "s", own("DCMD") + "/#", true);
        row(cloud, id, "s", "spBv1.0/building-1/NCMD/#", false);
        row(cloud, id, "s", QByteArray("spBv1.0/STATE/") + host, true);
        row(cloud, id, "r", own("NCMD"), true);
        row(cloud, id, "r", own("DCMD") + "/fan", true);
        // acknowledgements and commands are a host's, birth and data another's
        row(cloud, id, "p", own("NCMD"), false);
        row(cloud, id, "p", own("DCMD") + "/fan", false);
        row(cloud, id, "p", "spBv1.0/building-1/NDATA/hvac-002", false);
        row(cloud, id, "p", "spBv1.0/building-1/NDEATH/hvac-002", false);
        row(cloud, id, "p", "spBv1.0/building-1/NCMD/hvac-002", false);
        row(cloud, id, "p", "spBv1.0/building-1/DDATA/hvac-002/fan", false);
        row(cloud, id, "p", "spBv1.0/building-2/NDATA/hvac-001", false);
        row(cloud, id, "p", own("NDATA") + "/fan", false);
        row(cloud, id, "p", own("DDATA") + "/fan/x", false);
        row(cloud, id, "p", QByteArray("spBv1.0/STATE/") + host, false);
        row(cloud, id, "p", QByteArray("spBv1.0/STATE/") + node, false);
        row(cloud, id, "s", "spBv1.0/building-1/#", false);
        row(cloud, id, "s", "spBv1.0/building-1/NCMD/+", false);
        row(cloud, id, "s", "spBv1.0/building-1/NCMD/hvac-002", false);
        row(cloud, id, "s", own("NDATA"), false);
        row(cloud, id, "s", "spBv1.0/STATE/+", false);
        row(cloud, id, "s", "spBv1.0/+/NCMD/hvac-001", false);
        row(cloud, id, "r", "spBv1.0/building-1/NDATA/hvac-002", false);
    };
    edgeNode(false, kSensor, "hvac-001", "gateway-1");
    edgeNode(true, kGateway, "gateway", "lintel-cloud");

    row(false, kGateway, "p", "spBv1.0/STATE/gateway-1", true);
    row(false, kGateway, "p", "spBv1.0/STATE/gateway-2", false);
    row(false, kGateway, "p", "spBv1.0/building-1/NCMD/hvac-001", true);
    row(false, kGateway, "p", "spBv1.0/building-1/DCMD/hvac-001/fan", true);
    row(false, kGateway, "p", "spBv1.0/building-2/NCMD/hvac-001", false);
    row(false, kGateway, "p", "spBv1.0/building-1/NDATA/hvac-001", false);
    row(false, kGateway, "p", "spBv1.0/building-1/NDATA/gateway", false);
    row(false, kGateway, "p", "spBv1.0/building-1/NCMD/hvac-001/fan", false);
    row(false, kGateway, "s", "spBv1.0/building-1/#", true);
    row(false, kGateway, "s", "spBv1.0/STATE/gateway-1", true);
    row(false, kGateway, "s", "spBv1.0/STATE/+", true);
    row(false, kGateway, "s", "spBv1.0/building-2/#", false);
    row(false, kGateway, "s", "spBv1.0/#", false);
    row(false, kGateway, "s", "spBv1.0/+/NDATA/+", false);

    row(true, kHistorian, "p", "spBv1.0/STATE/lintel-cloud", true);
    row(true, kHistorian, "p", "spBv1.0/STATE/gateway-1", false);
    row(true, kHistorian, "p", "spBv1.0/building-7/NCMD/gateway", true);
    row(true, kHistorian, "p", "spBv1.0/building-7/DCMD/gateway/hvac-001", true);
    row(true, kHistorian, "p", "spBv1.0/building-7/NDATA/gateway", false);
    row(true, kHistorian, "p", "spBv1.0/building-7/NBIRTH/gateway", false);
    row(true, kHistorian, "s", "spBv1.0/#", true);
    row(true, kHistorian, "s", "spBv1.0/STATE/lintel-cloud", true);

    for (const QString &id : {kOperator, kChief, kCaller}) {
        row(false, id, "p", "spBv1.0/building-1/NDATA/hvac-001", false);
        row(false, id, "p", "spBv1.0/building-1/NCMD/hvac-001", false);
        row(false, id, "p", "spBv1.0/STATE/gateway-1", false);
    }
    row(false, kOperator, "s", "spBv1.0/building-1/#", true);
    row(false, kOperator, "s", "spBv1.0/building-1/NDATA/+", true);
    row(false, kOperator, "s", "spBv1.0/building-2/#", false);
    row(false, kOperator, "s", "spBv1.0/#", false);
    row(false, kOperator, "s", "spBv1.0/STATE/gateway-1", false);
    row(false, kOperator, "r", "spBv1.0/building-2/NDATA/x", false);
    row(true, kOperator, "s", "spBv1.0/building-2/#", true);
    row(true, kOperator, "s", "spBv1.0/+/NDATA/x", false);
    row(false, kChief, "s", "spBv1.0/#", true);
    row(false, kCaller, "s", "spBv1.0/building-1/#", false);
}

void TestTopicTable::table()
{
    QFETCH(bool, cloud);
    QFETCH(QString, id);
    QFETCH(QByteArray, action);
    QFETCH(QByteArray, text);
    QFETCH(bool, allowed);
    const auto grants = grantsFor(spiffe(id), cloud ? cloudRoles() : buildingRoles());
    QVERIFY(grants);
    const std::string full = topic(text.constData(), id);
    const bool answer = action == "p"   ? mayPublish(*grants, full)
                        : action == "s" ? maySubscribe(*grants, full)
                                        : mayReceive(*grants, full);
    QCOMPARE(answer, allowed);
}

void TestTopicTable::everybodyElse_hasNothing_data()
{
    QTest::addColumn<bool>("cloud");
    QTest::addColumn<QString>("id");
    QTest::newRow("foreign sensor") << false << u"spiffe://building-2.smart.local/agent/hvac-001"_s;
    QTest::newRow("the broker") << false << u"spiffe://building-1.smart.local/broker"_s;
    QTest::newRow("below an agent") << false << u"spiffe://building-1.smart.local/agent/floor-1/hvac-001"_s;
    QTest::newRow("agent without a name") << false << u"spiffe://building-1.smart.local/agent"_s;
    QTest::newRow("another kind") << false << u"spiffe://building-1.smart.local/spire/agent/tpm/00ff"_s;
    QTest::newRow("Sparkplug's own word") << false << u"spiffe://building-1.smart.local/agent/STATE"_s;
    QTest::newRow("beside the operators") << false << u"spiffe://smart-building.cloud/operators/demo"_s;
    QTest::newRow("the operators themselves") << false << u"spiffe://smart-building.cloud/operator"_s;
    QTest::newRow("sensor in the cloud") << true << kSensor;
}

void TestTopicTable::everybodyElse_hasNothing()
{
    QFETCH(bool, cloud);
    QFETCH(QString, id);
    QVERIFY(!spiffe(id).isEmpty());
    QVERIFY(!grantsFor(spiffe(id), cloud ? cloudRoles() : buildingRoles()));
}

void TestTopicTable::lastWords_areTheOwnDeathOnly()
{
    const auto sensor = grantsFor(spiffe(kSensor), buildingRoles());
    QVERIFY(sensor && isLastWord(*sensor, "spBv1.0/building-1/NDEATH/hvac-001"));
    QVERIFY(!isLastWord(*sensor, "spBv1.0/building-1/NDATA/hvac-001"));
    QVERIFY(!isLastWord(*sensor, "spBv1.0/building-1/NDEATH/hvac-002"));
    const auto host = grantsFor(spiffe(kGateway), buildingRoles());
    QVERIFY(host && isLastWord(*host, "spBv1.0/STATE/gateway-1"));
    QVERIFY(!isLastWord(*host, "spBv1.0/building-1/NCMD/hvac-001"));
    const auto reader = grantsFor(spiffe(kOperator), buildingRoles());
    QVERIFY(reader && reader->lastWords.empty());
}

void TestTopicTable::sensor_cannotTakeAGatewaysName()
{
    BrokerRoles roles = buildingRoles();
    roles.hosts.clear();
    roles.edgeNodes = {
        {spiffe(u"spiffe://smart-building.cloud/agent/bridge"_s), u"building-1"_s, u"gateway"_s, {u"h"_s}}};
    QVERIFY(!grantsFor(spiffe(kGateway), roles));
    QVERIFY(grantsFor(spiffe(kSensor), roles));
}

QTEST_GUILESS_MAIN(TestTopicTable)
#include "tst_topic_table.moc"
