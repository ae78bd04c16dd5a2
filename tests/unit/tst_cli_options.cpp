#include "call_options.h"
#include "demo/accounting.h"
#include "demo/demo_options.h"
#include "demo/demo_plan.h"
#include "demo/final_state.h"
#include "demo/process_memory.h"
#include "demo/status_board.h"
#include "output.h"

#include <QCborArray>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;

Q_DECLARE_METATYPE(lintel::demo::Totals)

class TestCliOptions : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void call_readsAllOfIt()
    {
        const auto options = cli::parseCallOptions(
            {u"--target"_s, u"spiffe://building-1.smart.local/agent/gateway"_s, u"--capability"_s, u"query_history"_s,
             u"--data"_s, u"{\"point\": \"air_temp\", \"max\": 5}"_s, u"--timeout"_s, u"500ms"_s, u"--broker"_s,
             u"[::1]:1884"_s, u"--broker-id"_s, u"spiffe://building-1.smart.local/broker"_s, u"--identity"_s, u"/id"_s,
             u"--json"_s});
        QVERIFY2(options, options ? "" : qPrintable(options.error().message));
        QCOMPARE(options->target.toString(), u"building-1~smart~local:agent:gateway"_s);
        QCOMPARE(options->args.value("point"_L1).toString(), u"air_temp"_s);
        QVERIFY(options->timeout == Millis{500});
        QCOMPARE(options->broker.host, u"::1"_s);
        QCOMPARE(options->broker.port, quint16(1884));
        QVERIFY(!options->text);
    }

    void call_answersInJsonUnlessTextIsAskedFor()
    {
        const QStringList call{u"--target"_s,     u"spiffe://b/agent/gateway"_s,
                               u"--capability"_s, u"status"_s,
                               u"--broker"_s,     u"localhost"_s,
                               u"--broker-id"_s,  u"spiffe://b/broker"_s,
                               u"--identity"_s,   u"/id"_s};
        const auto plain = cli::parseCallOptions(call);
        QVERIFY2(plain, plain ? "" : qPrintable(plain.error().message));
        QVERIFY(!plain->text);
        const auto text = cli::parseCallOptions(call + QStringList{u"--text"_s});
        QVERIFY(text && text->text);
        const auto both = cli::parseCallOptions(call + QStringList{u"--text"_s, u"--json"_s});
        QVERIFY(!both);
        QVERIFY2(both.error().message.contains(u"--text"_s), qPrintable(both.error().message));
    }

    void call_readsItsFileAsYamlAndAsJson_data()
    {
        QTest::addColumn<QByteArray>("text");
        QTest::addRow("YAML")
            << "# the gateway\nbroker: localhost:1884\nbroker_id: spiffe://b/broker\nidentity: id\n"_ba;
        QTest::addRow("JSON")
            << R"({"broker": "localhost:1884", "broker_id": "spiffe://b/broker", "identity": "id"})"_ba;
    }
    void call_readsItsFileAsYamlAndAsJson()
    {
        QFETCH(QByteArray, text);
        QTemporaryDir dir;
        QFile file(dir.filePath(u"call.yaml"_s));
        QVERIFY(file.open(QIODevice::WriteOnly) && file.write(text) == text.size());
        file.close();
        const auto options =
            cli::parseCallOptions({u"--target"_s, u"spiffe://b/agent/gateway"_s, u"--capability"_s, u"status"_s,
                                   u"--config"_s, file.fileName(), u"--broker"_s, u"other:1885"_s});
        QVERIFY2(options, options ? "" : qPrintable(options.error().message));
        QCOMPARE(options->broker.host, u"other"_s); // what is on the line wins
        QCOMPARE(options->broker.brokerId.toString(), u"spiffe://b/broker"_s);
        QCOMPARE(options->broker.identityDir, dir.filePath(u"id"_s));
    }

    void call_saysWhereItsFileIsWrong()
    {
        QTemporaryDir dir;
        QFile file(dir.filePath(u"call.yaml"_s));
        QVERIFY(file.open(QIODevice::WriteOnly) && file.write("broker: a:1\nbrokerid: x\n") > 0);
        file.close();
        const auto options = cli::parseCallOptions({u"--target"_s, u"spiffe://b/agent/gateway"_s, u"--capability"_s,
                                                    u"status"_s, u"--config"_s, file.fileName()});
        QVERIFY(!options);
        QVERIFY2(options.error().message.contains(u"call.yaml:2: brokerid"_s), qPrintable(options.error().message));
    }

    void commandLine_refusesAnOptionInPlaceOfAValue_data()
    {
        QTest::addColumn<QStringList>("arguments");
        QTest::addColumn<QString>("says");
        QTest::addRow("an option follows") << QStringList{u"--keep"_s, u"--json"_s} << u"--keep needs a value"_s;
        QTest::addRow("nothing follows") << QStringList{u"--sensors"_s} << u"--sensors needs a value"_s;
        QTest::addRow("nothing after =") << QStringList{u"--keep="_s} << u"--keep needs a value"_s;
        QTest::addRow("unknown") << QStringList{u"--dance"_s} << u"no option --dance"_s;
        QTest::addRow("unknown letter") << QStringList{u"-d"_s} << u"no option -d"_s;
        QTest::addRow("a word") << QStringList{u"dance"_s} << u"\"dance\" is not an option"_s;
        QTest::addRow("a folder for a picture") << QStringList{u"--screenshot"_s, u"/"_s} << u"is a folder"_s;
    }
    void commandLine_refusesAnOptionInPlaceOfAValue()
    {
        QFETCH(QStringList, arguments);
        QFETCH(QString, says);
        const auto options = demo::parseDemoOptions(arguments);
        QVERIFY(!options);
        QVERIFY2(options.error().message.contains(says), qPrintable(options.error().message));
    }

    void duration_understandsUnits()
    {
        QVERIFY(*cli::parseDuration(u"10"_s) == Millis{10'000});
        QVERIFY(*cli::parseDuration(u"250ms"_s) == Millis{250});
        QVERIFY(*cli::parseDuration(u"2m"_s) == Millis{120'000});
        QVERIFY(*cli::parseDuration(u"1h"_s) == Millis{3'600'000});
        QVERIFY(*cli::parseDuration(u"1d"_s) == Millis{86'400'000});
        QVERIFY(cli::parseDuration(u"1y"_s).error().message.contains(u"ms, s, m, h, d"_s));
        QVERIFY(!cli::parseDuration(u"soon"_s));
        QVERIFY(!cli::parseDuration(u"-1s"_s));
    }

    void hostPort_refusesWhatIsNone_data()
    {
        QTest::addColumn<QString>("text");
        for (const char *text : {"", ":1883", "host:0", "host:70000", "ho st:1", "::1", "host:port"})
            QTest::addRow("\"%s\"", text) << QString::fromLatin1(text);
    }
    void hostPort_refusesWhatIsNone()
    {
        QFETCH(QString, text);
        QVERIFY(!mqtt::parseHostPort(text));
    }

    void demo_readsAllOfIt()
    {
        QTemporaryDir dir;
        const auto options = demo::parseDemoOptions({u"--headless"_s, u"--duration"_s, u"60"_s, u"--sensors"_s, u"12"_s,
                                                     u"--wan-outage"_s, u"15,20"_s, u"--wan-outage"_s, u"40,5"_s,
                                                     u"--json"_s, u"--sensor-period"_s, u"0.5"_s, u"--keep"_s,
                                                     dir.path(), u"--replay"_s, dir.path()});
        QVERIFY2(options, options ? "" : qPrintable(options.error().message));
        QVERIFY(options->headless && options->json);
        QCOMPARE(options->duration->count(), 60);
        QCOMPARE(options->sensors, 12);
        QCOMPARE(options->wanOutages.size(), 2);
        QCOMPARE(options->wanOutages.last().length.count(), 5);
        QCOMPARE(options->sensorPeriod.count(), 500);
        QCOMPARE(demo::screenshotPath(*options), dir.filePath(u"lintel-demo.png"_s));
    }

    void demo_refusesWhatIsWrong_data()
    {
        QTest::addColumn<QStringList>("arguments");
        QTest::addRow("unknown") << QStringList{u"--dance"_s};
        QTest::addRow("stray word") << QStringList{u"dance"_s};
        QTest::addRow("duration") << QStringList{u"--duration"_s, u"long"_s};
        QTest::addRow("no sensors") << QStringList{u"--sensors"_s, u"0"_s};
        QTest::addRow("period") << QStringList{u"--sensor-period"_s, u"0.01"_s};
        QTest::addRow("outage without length") << QStringList{u"--wan-outage"_s, u"15"_s};
        QTest::addRow("outage of nothing") << QStringList{u"--wan-outage"_s, u"15,0"_s};
        QTest::addRow("outage of text") << QStringList{u"--wan-outage"_s, u"a,b"_s};
        QTest::addRow("outage at the end")
            << QStringList{u"--duration"_s, u"15"_s, u"--wan-outage"_s, u"2,3"_s, u"--wan-outage"_s, u"15,20"_s};
        QTest::addRow("outage after the end") << QStringList{u"--wan-outage"_s, u"15,20"_s, u"--duration"_s, u"8"_s};
        QTest::addRow("identity") << QStringList{u"--identity"_s, u"passport"_s};
        QTest::addRow("short SVIDs") << QStringList{u"--identity"_s, u"tpm"_s, u"--svid-ttl"_s, u"5"_s};
        QTest::addRow("life of files") << QStringList{u"--identity"_s, u"files"_s, u"--svid-ttl"_s, u"60"_s};
        QTest::addRow("revocation without an authority")
            << QStringList{u"--identity"_s, u"files"_s, u"--revoke"_s, u"3"_s};
        QTest::addRow("revocation of the only sensor") << QStringList{u"--sensors"_s, u"1"_s, u"--revoke"_s, u"3"_s};
        QTest::addRow("revocation too late") << QStringList{u"--duration"_s, u"20"_s, u"--revoke"_s, u"16"_s};
        QTest::addRow("revocation at a word") << QStringList{u"--revoke"_s, u"soon"_s};
        QTest::addRow("replay") << QStringList{u"--replay"_s, u"/nonexistent"_s};
    }
    void demo_refusesWhatIsWrong()
    {
        QFETCH(QStringList, arguments);
        const auto options = demo::parseDemoOptions(arguments);
        QVERIFY(!options);
        QVERIFY(!options.error().message.isEmpty());
    }

    void plan_hasTheThreeKindsAndDistinctNames()
    {
        demo::DemoOptions options;
        options.sensors = 20;
        const auto plan = demo::makePlan(options, u"/nowhere"_s);
        QVERIFY(plan);
        QSet<QString> names;
        QSet<int> kinds;
        QSet<int> seeds;
        for (const demo::SensorPlan &sensor : plan->sensors) {
            names.insert(sensor.name);
            kinds.insert(int(sensor.kind));
            seeds.insert(sensor.seed);
        }
        QCOMPARE(names.size(), 20);
        QCOMPARE(seeds.size(), 20);
        QCOMPARE(kinds.size(), 3);
        QCOMPARE(plan->sensors.first().name, u"hvac-001"_s);
    }

    void accounting_isQuietWhenAllAddsUp()
    {
        QVERIFY(demo::problemsOf(sound()).isEmpty());
        demo::Report report;
        report.totals = sound();
        const QJsonObject json = demo::toJson(report);
        for (const char *key : {"readings_produced", "readings_stored_gateway", "readings_stored_cloud", "duplicates",
                                "gaps", "wire_duplicates", "latency_ms", "processes", "screenshot", "problems"})
            QVERIFY2(json.contains(QLatin1StringView(key)), key);
        QVERIFY(json.value("ok"_L1).toBool());
    }

    void accounting_saysNoLatencyWhenNothingWasMeasured()
    {
        demo::Report report;
        report.totals = sound();
        QJsonObject latency = demo::toJson(report).value("latency_ms"_L1).toObject();
        for (const auto key : {"p50"_L1, "p99"_L1})
            QVERIFY2(latency.value(key).isNull(), key.data());
        QVERIFY2(demo::toText(report).contains(u"not measured"_s), qPrintable(demo::toText(report)));
        QVERIFY2(!demo::toText(report).contains(u" ms "_s), qPrintable(demo::toText(report)));

        report.totals.latencyP50 = 0; // faster than a millisecond is measured, too
        report.totals.latencyP99 = 12;
        latency = demo::toJson(report).value("latency_ms"_L1).toObject();
        QCOMPARE(latency.value("p50"_L1), QJsonValue(0));
        QCOMPARE(latency.value("p99"_L1), QJsonValue(12));
        QVERIFY(demo::toText(report).contains(u"0 ms (median), 12 ms"_s));
    }

    void accounting_explainsWhatArrivedLate()
    {
        demo::Report report;
        report.totals = sound();
        QVERIFY(!demo::toText(report).contains(u"first sample"_s)); // nothing to explain
        report.totals.historical = 36;
        const QString text = demo::toText(report);
        QVERIFY2(text.contains(u"36 (stored before it could be sent; so is each sensor's first sample"_s),
                 qPrintable(text));
    }

    void accounting_saysWhatIsWrong_data()
    {
        QTest::addColumn<demo::Totals>("totals");
        QTest::addRow("nothing produced") << with([](demo::Totals &t) {
            t.produced = 0;
            t.storedCloud = t.storedGateway = 0u;
        });
        QTest::addRow("one missing in the cloud") << with([](demo::Totals &t) { t.storedCloud = 99u; });
        QTest::addRow("one too many") << with([](demo::Totals &t) { t.storedCloud = 101u; });
        QTest::addRow("one missing at the gateway") << with([](demo::Totals &t) { t.storedGateway = 99u; });
        QTest::addRow("no answer") << with([](demo::Totals &t) { t.storedCloud.reset(); });
        QTest::addRow("gap") << with([](demo::Totals &t) { t.gaps = 1; });
        QTest::addRow("duplicate") << with([](demo::Totals &t) { t.duplicates = 1; });
        QTest::addRow("left in a sensor") << with([](demo::Totals &t) { t.pendingAtSensors = 1; });
        QTest::addRow("lost with a full disk") << with([](demo::Totals &t) { t.lostBySensors = 1; });
        QTest::addRow("a refused sensor's that came all the same")
            << with([](demo::Totals &t) { t.heldByRefused = 1; });
        QTest::addRow("dropped") << with([](demo::Totals &t) { t.droppedBySensors = 1; });
    }
    void accounting_saysWhatIsWrong()
    {
        QFETCH(demo::Totals, totals);
        QVERIFY(!demo::problemsOf(totals).isEmpty());
    }

    void accounting_countsWhatARefusedSensorHolds()
    {
        demo::Report report;
        report.totals = sound();
        report.totals.produced += 7;
        report.totals.heldByRefused = 7;
        report.totals.waitingBatches = 3;
        QCOMPARE(demo::problemsOf(report.totals), QStringList());
        report.revocation = demo::RevocationReport{u"energy-001"_s, {42}, 0};
        const QJsonObject json = demo::toJson(report);
        QCOMPARE(json.value("revoke_ms"_L1).toObject().value("p99"_L1), QJsonValue(42));
        QCOMPARE(json.value("accepted_after_revoke"_L1), QJsonValue(0));
        QCOMPARE(json.value("readings_held_by_revoked"_L1), QJsonValue(7));
        QCOMPARE(json.value("waiting_batches"_L1), QJsonValue(3));
        QVERIFY(demo::toText(report).contains(u"energy-001, out after 42 ms"_s));
    }

    void console_isSoundWithAllThatItShouldSee() { QCOMPARE(problemsOf(soundConsole()), QStringList()); }

    void console_saysWhatIsWrong_data()
    {
        QTest::addColumn<QString>("key");
        QTest::addColumn<QJsonValue>("value");
        QTest::addColumn<QString>("says");
        const QJsonValue left(QJsonValue::Undefined);
        QTest::addRow("no readings") << u"readings"_s << QJsonValue(0) << u"live value"_s;
        QTest::addRow("nothing drawn") << u"lines_drawn"_s << QJsonValue(0) << u"live value"_s;
        QTest::addRow("not connected") << u"connected"_s << QJsonValue(false) << u"not connected"_s;
        QTest::addRow("connected left out") << u"connected"_s << left << u"not connected"_s;
        QTest::addRow("a sensor is not online") << u"devices_online"_s << QJsonValue(8) << u"8 of 9 devices"_s;
        QTest::addRow("devices left out") << u"devices_online"_s << left << u"0 of 9 devices"_s;
        QTest::addRow("malformed") << u"malformed"_s << QJsonValue(1) << u"could not read 1"_s;
        QTest::addRow("malformed left out") << u"malformed"_s << left << u"did not say"_s;
    }
    void console_saysWhatIsWrong()
    {
        QFETCH(QString, key);
        QFETCH(QJsonValue, value);
        QFETCH(QString, says);
        QJsonObject report = soundConsole();
        if (value.isUndefined())
            report.remove(key);
        else
            report[key] = value;
        const QStringList problems = problemsOf(report);
        QCOMPARE(problems.size(), 1);
        QVERIFY2(problems.first().contains(says), qPrintable(problems.first()));
    }

    void console_withoutAReportIsAProblem() { QCOMPARE(demo::problemsOfConsole(u"/nonexistent"_s, 8).size(), 1); }

    void memory_isReadFromTheKernelsTable()
    {
        const auto sample = demo::parseSmapsRollup(
            "55d0-7ffe ---p 00000000 00:00 0    [rollup]\nRss:               17800 kB\nPss:               10100 kB\nPss_Anon: 5 kB\n");
        QVERIFY(sample);
        QCOMPARE(sample->rssKib, 17800);
        QCOMPARE(sample->pssKib, 10100);
        QVERIFY(!demo::parseSmapsRollup("nonsense"));
        QVERIFY(demo::sampleMemory(QCoreApplication::applicationPid()));
        QCOMPARE(demo::median({{1, 30}, {2, 20}, {9, 10}}).rssKib, 2);
        QCOMPARE(demo::median({{1, 30}, {2, 20}, {9, 10}}).pssKib, 20);
        QCOMPARE(demo::median({}).rssKib, 0);
    }

    void board_tellsOfACutLine()
    {
        demo::BoardState state;
        state.sensors = 8;
        state.sensorsOnline = 7;
        state.line = demo::LineState::Cut;
        state.oldestUnsentSeconds = 12;
        state.pendingAtGateway = 40u;
        const QString table = demo::StatusBoard::table(state);
        QVERIFY(table.contains(u"7 of 8"_s));
        QVERIFY(table.contains(u"CUT"_s));
        state.line = demo::LineState::Reconnecting;
        QVERIFY(demo::StatusBoard::table(state).contains(u"reconnecting"_s));
        state.line = demo::LineState::Unknown;
        QVERIFY(demo::StatusBoard::line(state).contains(u"unknown"_s));
        QVERIFY(!table.contains(u"revoked"_s));
        state.revoked = u"energy-001, out after 42 ms"_s;
        QVERIFY(demo::StatusBoard::table(state).contains(state.revoked));
        QVERIFY(demo::StatusBoard::line(state).contains(u"12 s"_s));
    }

    void output_showsATree()
    {
        const QString text =
            cli::humanText({{"a"_L1, 1}, {"list"_L1, QCborArray{QCborMap{{"b"_L1, true}}}}, {"none"_L1, QCborArray{}}});
        QVERIFY(text.contains(u"a: 1\n"_s));
        QVERIFY(text.contains(u"b: yes"_s));
        QVERIFY(text.contains(u"none: none"_s));
    }

private:
    /// Of eight sensors and their gateway.
    static QJsonObject soundConsole()
    {
        return {{u"readings"_s, 100},     {u"lines_drawn"_s, 8}, {u"connected"_s, true},
                {u"devices_online"_s, 9}, {u"malformed"_s, 0},   {u"state"_s, u"connected"_s}};
    }
    static QStringList problemsOf(const QJsonObject &report)
    {
        QTemporaryDir dir;
        QFile file(dir.filePath(u"report.json"_s));
        if (!file.open(QIODevice::WriteOnly) || file.write(QJsonDocument(report).toJson()) < 0)
            return {u"The test cannot write its report."_s};
        file.close();
        return demo::problemsOfConsole(file.fileName(), 8);
    }

    static demo::Totals sound()
    {
        demo::Totals totals;
        totals.produced = 100;
        totals.storedGateway = 100u;
        totals.pendingAtGateway = 0u;
        totals.storedCloud = 100u;
        return totals;
    }
    template <class Change>
    static demo::Totals with(Change change)
    {
        demo::Totals totals = sound();
        change(totals);
        return totals;
    }
};

QTEST_GUILESS_MAIN(TestCliOptions)
#include "tst_cli_options.moc"
