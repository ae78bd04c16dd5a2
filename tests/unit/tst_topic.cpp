#include "domain/topic.h"

#include <QRandomGenerator>
#include <QtTest>

using namespace lintel;

class TestTopic : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void parse_printsBack_data();
    void parse_printsBack();
    void parse_readsEachPart();
    void parse_refusesWhatIsNotInTheTable_data();
    void parse_refusesWhatIsNotInTheTable();
    void parse_printsBackForArbitraryText();
    void filters_areBuiltFromIds();
    void sparkplugId_isChecked();
};

void TestTopic::parse_printsBack_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<int>("kind");
    const auto good = [](const char *text, int kind) { QTest::newRow(text) << QString::fromUtf8(text) << kind; };
    for (const char *verb : {"NBIRTH", "NDATA", "NDEATH", "NCMD"})
        good(qPrintable(QStringLiteral("spBv1.0/building-1/%1/hvac-001").arg(QLatin1StringView(verb))), 0);
    for (const char *verb : {"DBIRTH", "DDATA", "DDEATH", "DCMD"})
        good(qPrintable(QStringLiteral("spBv1.0/building-1/%1/gateway/hvac-001").arg(QLatin1StringView(verb))), 0);
    good("spBv1.0/Gebäude 1/NDATA/Knoten ü", 0);
    good("spBv1.0/g/NDATA/NDATA", 0);
    good("spBv1.0/NDATA/NDATA/n", 0);
    good("spBv1.0/g/NDATA/$sys", 0);
    good("spBv1.0/STATE/lintel-cloud", 1);
    good("lintel/v1/req/building-1~smart~local:agent:gateway/smart-building~cloud:operator:demo/read_births", 2);
    good("lintel/v1/req/a/b/x.y-Z_9", 2);
    good("lintel/v1/rsp/a~b:c/d:e/0bbec001-1dca-4f68-afed-054e7c1788cf", 3);
}

void TestTopic::parse_printsBack()
{
    QFETCH(QString, text);
    QFETCH(int, kind);
    const auto topic = parseTopic(text);
    QVERIFY2(topic, topic ? "" : qPrintable(topic.error().message));
    QCOMPARE(int(topic->index()), kind);
    QCOMPARE(toString(*topic), text);
}

void TestTopic::parse_readsEachPart()
{
    const auto data = parseTopic(u"spBv1.0/building-1/DDATA/gateway/hvac-001");
    QVERIFY(data);
    const SparkplugTopic expected{QStringLiteral("building-1"), SparkplugVerb::DData, QStringLiteral("gateway"),
                                  QStringLiteral("hvac-001")};
    QVERIFY(std::get<SparkplugTopic>(*data) == expected);
    const auto request = parseTopic(u"lintel/v1/req/callee/caller/status");
    QVERIFY(request);
    QCOMPARE(std::get<RequestTopic>(*request).callee.toString(), QStringLiteral("callee"));
    QCOMPARE(std::get<RequestTopic>(*request).caller.toString(), QStringLiteral("caller"));
    const auto response = parseTopic(u"lintel/v1/rsp/caller/callee/c-1");
    QVERIFY(response);
    QCOMPARE(std::get<ResponseTopic>(*response).callee.toString(), QStringLiteral("callee"));
    QCOMPARE(std::get<ResponseTopic>(*response).caller.toString(), QStringLiteral("caller"));
    QCOMPARE(std::get<ResponseTopic>(*response).correlation, QStringLiteral("c-1"));
}

void TestTopic::parse_refusesWhatIsNotInTheTable_data()
{
    QTest::addColumn<QString>("text");
    for (const char *text : {"",
                             "/",
                             "spBv1.0",
                             "spBv1.0/",
                             "spBv1.0//NDATA/n",
                             "spBv1.0/g/NDATA/",
                             "spBv1.0/g/NDATA",
                             "/spBv1.0/g/NDATA/n",
                             "spBv1.0/g/NDATA/n/",
                             "spBv1.0/g/NDATA/n/d",
                             "spBv1.0/g/DDATA/n",
                             "spBv1.0/g/DDATA/n/",
                             "spBv1.0/g/DDATA/n/d/x",
                             "spBv1.0/g/DDATA//d",
                             "spBv1.0/g/ndata/n",
                             "spBv1.0/g/NFOO/n",
                             "spBv1.0/g/+/n",
                             "spBv1.0/+/NDATA/n",
                             "spBv1.0/g/NDATA/#",
                             "spBv1.0/g/NDATA/a+b",
                             "spBv1.0/g/NDATA/a\nb",
                             "spBv1.0/g/NDATA/a\u0085b",
                             "spBv1.0/STATE",
                             "spBv1.0/STATE/",
                             "spBv1.0/STATE/h/x",
                             "spBv1.0/STATE/#",
                             "spBv1.0/STATE/NDATA/n",
                             "spBv1.0/g/STATE/n",
                             "spBv1.0/g/NDATA/STATE",
                             "STATE/h",
                             "spAv1.0/g/NDATA/n",
                             "spbv1.0/g/NDATA/n",
                             "lintel",
                             "lintel/v1",
                             "lintel/v1/req",
                             "lintel/v1/req/a/b",
                             "lintel/v1/req/a/b/",
                             "lintel/v1/req/a/b/m/x",
                             "lintel/v1/req//b/m",
                             "lintel/v2/req/a/b/m",
                             "lintel/v1/sub/a/b/m",
                             "lintel/v1/req/A/b/m",
                             "lintel/v1/req/a.b/c/m",
                             "lintel/v1/req/+/b/m",
                             "lintel/v1/req/a/b/#",
                             "lintel/v1/req/a/b/m m",
                             "lintel/v1/req/a/b/mé",
                             "lintel/v1/rsp/a/b/",
                             "lintel/v1/rsp/a/b/c_d",
                             "lintel/v1/rsp/a/b/c.d",
                             "$SYS/broker/uptime"})
        QTest::newRow(text) << QString::fromUtf8(text);
    QTest::newRow("NUL") << QStringLiteral("spBv1.0/g/NDATA/a") + QChar(0);
    QTest::newRow("half a surrogate pair") << QStringLiteral("spBv1.0/g/NDATA/a") + QChar(0xdc00);
    QTest::newRow("longer than MQTT allows") << QStringLiteral("spBv1.0/g/NDATA/") + QString(65'535 - 15, u'a');
    QTest::newRow("longer than MQTT allows in UTF-8") << QStringLiteral("spBv1.0/g/NDATA/") + QString(40'000, u'ü');
    QTest::newRow("method of 65") << QStringLiteral("lintel/v1/req/a/b/") + QString(65, u'm');
    QTest::newRow("correlation of 65") << QStringLiteral("lintel/v1/rsp/a/b/") + QString(65, u'c');
}

void TestTopic::parse_refusesWhatIsNotInTheTable()
{
    QFETCH(QString, text);
    const auto topic = parseTopic(text);
    QVERIFY(!topic);
    QCOMPARE(topic.error().code, Errc::Malformed);
    QVERIFY(!topic.error().message.isEmpty());
}

void TestTopic::parse_printsBackForArbitraryText()
{
    QRandomGenerator random(6);
    const QStringList words{QStringLiteral("spBv1.0"),
                            QStringLiteral("STATE"),
                            QStringLiteral("NDATA"),
                            QStringLiteral("DCMD"),
                            QStringLiteral("lintel"),
                            QStringLiteral("v1"),
                            QStringLiteral("req"),
                            QStringLiteral("rsp"),
                            QStringLiteral("a~b:c"),
                            QStringLiteral("x"),
                            QStringLiteral("ü"),
                            QStringLiteral("+"),
                            QString()};
    const QStringList roots{QStringLiteral("spBv1.0"), QStringLiteral("lintel/v1/req"), QStringLiteral("lintel/v1/rsp"),
                            QStringLiteral("lintel/v1")};
    int parsed = 0;
    for (int i = 0; i < 50'000; ++i) {
        QString text = roots[random.bounded(int(roots.size()))];
        for (int n = random.bounded(6); n > 0; --n)
            text += u'/' + words[random.bounded(int(words.size()))];
        const auto topic = parseTopic(text);
        if (!topic)
            continue;
        ++parsed;
        QCOMPARE(toString(*topic), text);
    }
    QVERIFY2(parsed > 500, "the generator reaches good topics");
}

void TestTopic::filters_areBuiltFromIds()
{
    const QString g = QStringLiteral("building-1");
    const QString n = QStringLiteral("gateway");
    const Principal p = *Principal::parse(u"a~b:c");
    QCOMPARE(filter::nodeCommands(g, n), QStringLiteral("spBv1.0/building-1/NCMD/gateway"));
    QCOMPARE(filter::deviceCommands(g, n), QStringLiteral("spBv1.0/building-1/DCMD/gateway/+"));
    QCOMPARE(filter::group(g), QStringLiteral("spBv1.0/building-1/#"));
    QCOMPARE(filter::everything(), QStringLiteral("spBv1.0/#"));
    QCOMPARE(filter::requestsTo(p), QStringLiteral("lintel/v1/req/a~b:c/#"));
    QCOMPARE(filter::responsesTo(p), QStringLiteral("lintel/v1/rsp/a~b:c/#"));
}

void TestTopic::sparkplugId_isChecked()
{
    QVERIFY(validateSparkplugId(u"hvac-001"));
    QVERIFY(validateSparkplugId(u"Lüftung 1"));
    QVERIFY(validateSparkplugId(u"State"));
    for (const QString &bad : {QString(), QStringLiteral("STATE"), QStringLiteral("a/b"), QStringLiteral("+"),
                               QStringLiteral("a#"), QStringLiteral("a\tb")})
        QVERIFY2(!validateSparkplugId(bad), qPrintable(bad));
}

QTEST_GUILESS_MAIN(TestTopic)
#include "tst_topic.moc"
