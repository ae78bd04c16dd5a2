// The cloud as gateways and callers see it, on a loopback broker with a real historian.
#include "fakes/loopback_edge.h"
#include "ingestion/backend_calls.h"
#include "ingestion/historian_store.h"
#include "ingestion/ingestion_service.h"

#include <QCborArray>
#include <QSignalSpy>
#include <QSqlDatabase>
#include <QSqlQuery>
#include <QTemporaryDir>

#include <limits>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using sparkplug::EdgeNodeSession;
using sparkplug::HostSession;

namespace {

/// The historian behind a disk that can fail.
class FailingStore final : public CustodyStore
{
public:
    explicit FailingStore(CustodyStore &real) : m_real(real) {}

    [[nodiscard]] Result<Stored> append(std::span<const sparkplug::HostBatch> batches) override
    {
        if (failure)
            return *failure;
        return m_real.append(batches);
    }
    [[nodiscard]] Msn contiguousReceipt(const sparkplug::NodeId &node, const StreamId &stream) const override
    {
        return m_real.contiguousReceipt(node, stream);
    }
    [[nodiscard]] Result<void> senderDropped(const sparkplug::NodeId &node, const StreamId &stream, Msn tail) override
    {
        return m_real.senderDropped(node, stream, tail);
    }

    std::optional<Error> failure;

private:
    CustodyStore &m_real;
};

std::unique_ptr<historian::Historian> openHistorian(const QString &file, const Clock &clock)
{
    auto opened = historian::Historian::open({file}, clock);
    if (!opened)
        qFatal("%s", qPrintable(opened.error().message));
    return *std::move(opened);
}

struct Bench {
    explicit Bench(const QString &file)
        : historian(openHistorian(file, clock)), store(*historian, clock), failing(store),
          host(hostConfig(), clock, transport), ingestion(host, *historian, failing, clock),
          answers(*historian, store, ingestion, host, clock), calls(agent(u"ingestion"_s), clock, transport),
          caller(broker, clock)
    {
        answers.serve(calls);
        ingestion.start();
        // Time stands still here, so a call that nobody hears is not repeated.
        if (!QTest::qWaitFor([this] { return isListening(); }, 20'000))
            qFatal("the service did not subscribe");
    }
    [[nodiscard]] bool isListening() const
    {
        const QStringList filters = broker.subscriptions(agent(u"ingestion"_s).toString());
        return filters.contains(filter::everything()) && filters.contains(filter::requestsTo(agent(u"ingestion"_s)));
    }
    static sparkplug::HostConfig hostConfig()
    {
        sparkplug::HostConfig config;
        config.hostId = u"lintel-cloud"_s;
        config.self = agent(u"ingestion"_s);
        return config;
    }
    [[nodiscard]] QCborMap call(const QString &method, const QCborMap &args = {})
    {
        return caller.call(agent(u"ingestion"_s), method, args);
    }
    [[nodiscard]] qint64 rows()
    {
        return call(u"status"_s, {{"exact"_L1, true}}).value("readings_stored"_L1).toInteger(-1);
    }
    [[nodiscard]] QCborMap device(const QString &name)
    {
        const QCborArray all = call(u"list_devices"_s).value("devices"_L1).toArray();
        for (const auto &one : all) {
            if (one.toMap().value("device"_L1).toString() == name)
                return one.toMap();
        }
        return {};
    }

    FakeClock clock;
    LoopbackBroker broker{clock};
    LoopbackTransport transport{broker};
    std::unique_ptr<historian::Historian> historian;
    HistorianStore store;
    FailingStore failing;
    HostSession host;
    IngestionService ingestion;
    BackendCalls answers;
    CallServer calls;
    LoopbackCaller caller;
};

/// A gateway with one sensor as its device.
void startGateway(LoopbackEdge &gateway)
{
    gateway.session.setDevice({u"hvac-001"_s, {temperaturePoint()}, true});
    gateway.session.start();
    QTRY_VERIFY_WITH_TIMEOUT(gateway.session.status().phase == EdgeNodeSession::Phase::Custody, 20'000);
}

MqttMessage plain(SparkplugVerb verb, quint64 seq, Timestamp time, double value)
{
    sparkplug::Payload payload;
    payload.timestamp = time;
    payload.seq = seq;
    auto metric = sparkplug::Metric::named(u"pressure"_s, sparkplug::DataType::Double, value);
    metric.timestamp = time;
    payload.metrics.append(metric);
    return {toString(SparkplugTopic{u"building-1"_s, verb, u"press-7"_s, {}}), sparkplug::encode(payload), 0, false};
}

constexpr int kPatience = 20'000;

} // namespace

class TestIngestionService : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init() { m_file = m_dir.filePath(u"historian-%1.db"_s.arg(++m_made)); }

    void readings_areStoredOnceAndAcknowledged()
    {
        Bench bench(m_file);
        LoopbackEdge gateway(bench.broker, bench.clock, u"gateway"_s, u"lintel-cloud"_s);
        startGateway(gateway);
        const Timestamp start = bench.clock.now();
        for (int i = 0; i < 5; ++i) {
            gateway.measure(20 + i, u"hvac-001"_s);
            bench.clock.advance(1s);
        }
        QTRY_COMPARE_WITH_TIMEOUT(gateway.spool.status().pendingReadings, 0u, kPatience);
        QCOMPARE(bench.rows(), 5);
        const QCborMap history =
            bench.call(u"query_history"_s, {{"device"_L1, u"hvac-001"_s}, {"point"_L1, u"air_temp"_s}});
        const QCborArray readings = history.value("readings"_L1).toArray();
        QCOMPARE(readings.size(), 5);
        QCOMPARE(readings.first().toMap().value("time"_L1).toString(), toIso8601(start));
        QCOMPARE(readings.last().toMap().value("value"_L1).toDouble(), 24.0);
        const QCborArray last = bench.call(u"last_values"_s).value("values"_L1).toArray();
        QCOMPARE(last.size(), 1);
        QCOMPARE(last.first().toMap().value("value"_L1).toDouble(), 24.0);
    }

    void listDevices_tellsSinceWhenOneIsOffline()
    {
        Bench bench(m_file);
        LoopbackEdge gateway(bench.broker, bench.clock, u"gateway"_s, u"lintel-cloud"_s);
        const Timestamp bornAt = bench.clock.now();
        startGateway(gateway);
        QTRY_VERIFY_WITH_TIMEOUT(bench.device(u"hvac-001"_s).value("online"_L1).toBool(), kPatience);
        QCborMap device = bench.device(u"hvac-001"_s);
        QCOMPARE(device.value("since"_L1).toString(), toIso8601(bornAt));
        QCOMPARE(device.value("node"_L1).toString(), u"gateway"_s);
        QCOMPARE(device.value("points"_L1).toArray().size(), 1);

        bench.clock.advance(60s);
        const Timestamp cutAt = bench.clock.now();
        bench.broker.cut(agent(u"gateway"_s).toString());
        const auto isOffline = [&] {
            bench.clock.advance(100ms);
            return !bench.device(u"hvac-001"_s).value("online"_L1).toBool(true);
        };
        QTRY_VERIFY_WITH_TIMEOUT(isOffline(), kPatience);
        const auto since = timestampFromIso8601(bench.device(u"hvac-001"_s).value("since"_L1).toString());
        QVERIFY(since);
        QVERIFY(*since >= cutAt && *since <= bench.clock.now());
        bench.clock.advance(3600s);
        QCOMPARE(bench.device(u"hvac-001"_s).value("since"_L1).toString(), toIso8601(*since));
    }

    void start_knowsNobodyAsOnlineBeforeABirth()
    {
        {
            Bench bench(m_file);
            LoopbackEdge gateway(bench.broker, bench.clock, u"gateway"_s, u"lintel-cloud"_s);
            startGateway(gateway);
            QTRY_VERIFY_WITH_TIMEOUT(bench.device(u"hvac-001"_s).value("online"_L1).toBool(), kPatience);
        }
        Bench after(m_file);
        const QCborMap device = after.device(u"hvac-001"_s);
        QVERIFY(!device.isEmpty());
        QVERIFY(!device.value("online"_L1).toBool(true));
    }

    void listGaps_tellsWhatASenderLost()
    {
        Bench bench(m_file);
        LoopbackEdge gateway(bench.broker, bench.clock, u"gateway"_s, u"lintel-cloud"_s);
        startGateway(gateway);
        Loss loss;
        loss.device = u"hvac-001"_s;
        loss.readings = 7;
        loss.from = bench.clock.now() - 60s;
        loss.to = bench.clock.now() - 30s;
        loss.reason = LossReason::StorageFailed;
        gateway.measure(21, u"hvac-001"_s, {loss});
        QTRY_COMPARE_WITH_TIMEOUT(bench.rows(), 1, kPatience);

        QCborArray gaps = bench.call(u"list_gaps"_s).value("gaps"_L1).toArray();
        QCOMPARE(gaps.size(), 1);
        const QCborMap gap = gaps.first().toMap();
        QCOMPARE(gap.value("device"_L1).toString(), u"hvac-001"_s);
        QCOMPARE(gap.value("readings"_L1).toInteger(), 7);
        QCOMPARE(gap.value("from"_L1).toString(), toIso8601(loss.from));
        QCOMPARE(gap.value("to"_L1).toString(), toIso8601(loss.to));
        gaps = bench.call(u"list_gaps"_s, {{"from"_L1, toIso8601(bench.clock.now())}}).value("gaps"_L1).toArray();
        QCOMPARE(gaps.size(), 0);
    }

    void readBirths_letsAnObserverKnowGatewayAndSensor()
    {
        Bench bench(m_file);
        LoopbackEdge gateway(bench.broker, bench.clock, u"gateway"_s, u"lintel-cloud"_s);
        startGateway(gateway);
        QCborArray births;
        QTRY_COMPARE_WITH_TIMEOUT((births = bench.call(u"read_births"_s).value("births"_L1).toArray()).size(), 2,
                                  kPatience);
        LoopbackBroker elsewhere;
        LoopbackTransport transport(elsewhere);
        sparkplug::HostConfig config;
        config.role = sparkplug::HostConfig::Role::Observer;
        HostSession observer(config, bench.clock, transport);
        for (const auto &one : std::as_const(births)) {
            const QCborMap birth = one.toMap();
            observer.learnBirth({birth.value("topic"_L1).toString(), birth.value("payload"_L1).toByteArray()});
        }
        const sparkplug::Participant *who = observer.participant({u"building-1"_s, u"gateway"_s}, u"hvac-001"_s);
        QVERIFY(who);
        QCOMPARE(who->points, QList<Point>{temperaturePoint()});
    }

    void plainNode_isCountedOnce()
    {
        Bench bench(m_file);
        bench.broker.publish(plain(SparkplugVerb::NBirth, 0, bench.clock.now(), 1.0));
        QTRY_COMPARE_WITH_TIMEOUT(bench.rows(), 1, kPatience);
        bench.clock.advance(1s);
        const Timestamp second = bench.clock.now();
        bench.broker.publish(plain(SparkplugVerb::NData, 1, second, 2.0));
        QTRY_COMPARE_WITH_TIMEOUT(bench.rows(), 2, kPatience);
        bench.broker.publish(plain(SparkplugVerb::NBirth, 0, second, 2.0)); // a rebirth
        bench.clock.advance(1s);
        bench.broker.publish(plain(SparkplugVerb::NData, 1, bench.clock.now(), 3.0));
        QTRY_VERIFY_WITH_TIMEOUT(bench.rows() >= 3, kPatience);
        const QCborArray readings =
            bench.call(u"query_history"_s, {{"device"_L1, u"press-7"_s}, {"point"_L1, u"pressure"_s}})
                .value("readings"_L1)
                .toArray();
        QCOMPARE(readings.size(), 3);
        for (int i = 0; i < 3; ++i)
            QCOMPARE(readings.at(i).toMap().value("value"_L1).toDouble(), 1.0 + i);
    }

    void anotherNode_cannotSpeakForAGatewaysSensor()
    {
        Bench bench(m_file);
        LoopbackEdge gateway(bench.broker, bench.clock, u"gateway"_s, u"lintel-cloud"_s);
        startGateway(gateway);
        gateway.measure(21, u"hvac-001"_s);
        QTRY_COMPARE_WITH_TIMEOUT(bench.rows(), 1, kPatience);

        QSignalSpy trouble(&bench.ingestion, &IngestionService::trouble);
        LoopbackEdge evil(bench.broker, bench.clock, u"evil"_s, u"lintel-cloud"_s);
        startGateway(evil);
        for (int i = 0; i < 3; ++i)
            evil.measure(-40, u"hvac-001"_s);
        QTRY_VERIFY_WITH_TIMEOUT(!trouble.isEmpty(), kPatience);
        bench.clock.advance(1s);
        gateway.measure(22, u"hvac-001"_s);
        QTRY_COMPARE_WITH_TIMEOUT(bench.rows(), 2, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(gateway.spool.status().pendingReadings, 0u, kPatience);
        QCOMPARE(evil.spool.status().pendingReadings, 3u); // refused, so not acknowledged
        QCOMPARE(trouble.size(), 1);
        QCOMPARE(trouble.first().first().value<Error>().code, Errc::Denied);
        const QCborMap device = bench.device(u"hvac-001"_s);
        QCOMPARE(device.value("node"_L1).toString(), u"gateway"_s);
        QVERIFY(device.value("online"_L1).toBool());
        QStringList topics; // a console hears nothing of what was refused
        for (const auto &birth : bench.call(u"read_births"_s).value("births"_L1).toArray())
            topics.append(birth.toMap().value("topic"_L1).toString());
        topics.sort();
        QCOMPARE(topics, QStringList({u"spBv1.0/building-1/DBIRTH/gateway/hvac-001"_s,
                                      u"spBv1.0/building-1/NBIRTH/evil"_s, u"spBv1.0/building-1/NBIRTH/gateway"_s}));
    }

    void queryHistory_refusesAbsurdArguments()
    {
        Bench bench(m_file);
        LoopbackEdge gateway(bench.broker, bench.clock, u"gateway"_s, u"lintel-cloud"_s);
        startGateway(gateway);
        gateway.measure(21, u"hvac-001"_s);
        QTRY_COMPARE_WITH_TIMEOUT(bench.rows(), 1, kPatience);
        constexpr qint64 least = std::numeric_limits<qint64>::min();
        constexpr qint64 most = std::numeric_limits<qint64>::max();
        const QCborMap known{{"device"_L1, u"hvac-001"_s}, {"point"_L1, u"air_temp"_s}};
        const QList<QCborMap> absurd{
            {{"bucket"_L1, qint64(9e18)}},
            {{"bucket"_L1, most}},
            {{"bucket"_L1, least}},
            {{"bucket"_L1, -1}},
            {{"bucket"_L1, 367 * 24 * 3600}},
            {{"from"_L1, least}, {"to"_L1, most}, {"bucket"_L1, 1}},
            {{"from"_L1, least}},
            {{"to"_L1, most}},
            {{"from"_L1, qint64(-62'167'219'200'000)}, {"bucket"_L1, 1}}, // year 0: a time, but too many buckets
        };
        for (const QCborMap &extra : absurd) {
            QCborMap args = known;
            for (auto it = extra.constBegin(); it != extra.constEnd(); ++it)
                args.insert(it.key(), it.value());
            const auto answer = bench.caller.ask(agent(u"ingestion"_s), u"query_history"_s, args);
            QTRY_VERIFY_WITH_TIMEOUT(answer->has_value(), kPatience);
            QVERIFY(!**answer);
            QCOMPARE((*answer)->error().code, Errc::OutOfRange);
        }
        QCborMap year = known;
        year.insert("bucket"_L1, 365 * 24 * 3600);
        QCOMPARE(bench.call(u"query_history"_s, year).value("buckets"_L1).toArray().size(), 1);
    }

    /// The database refuses one value for ever; its sender's stream must not wait for that.
    void batchThatIsNeverTaken_isSetAsideAndTheStreamGoesOn()
    {
        Bench bench(m_file);
        {
            QSqlDatabase other = QSqlDatabase::addDatabase(u"QSQLITE"_s, u"tst-trigger"_s);
            other.setDatabaseName(m_file);
            QVERIFY(other.open());
            QSqlQuery query(other);
            QVERIFY(query.exec(u"CREATE TRIGGER never BEFORE INSERT ON readings WHEN NEW.number = 666 "
                               "BEGIN SELECT RAISE(ABORT, 'not this one'); END"_s));
        }
        QSqlDatabase::removeDatabase(u"tst-trigger"_s);
        QSignalSpy trouble(&bench.ingestion, &IngestionService::trouble);
        LoopbackEdge gateway(bench.broker, bench.clock, u"gateway"_s, u"lintel-cloud"_s);
        startGateway(gateway);
        for (const double value : {21.0, 666.0, 22.0}) {
            gateway.measure(value, u"hvac-001"_s);
            bench.clock.advance(1s);
        }
        QTRY_COMPARE_WITH_TIMEOUT(gateway.spool.status().pendingReadings, 0u, kPatience);
        QCOMPARE(bench.rows(), 2);
        QVERIFY(!bench.ingestion.isStoreFailing());
        const QCborArray gaps = bench.call(u"list_gaps"_s).value("gaps"_L1).toArray();
        QCOMPARE(gaps.size(), 1);
        const QCborMap gap = gaps.first().toMap();
        QCOMPARE(gap.value("device"_L1).toString(), u"hvac-001"_s);
        QCOMPARE(gap.value("reason"_L1).toString(), u"refused by the store"_s);
        QCOMPARE(gap.value("readings"_L1).toInteger(), 1);
        QCOMPARE(gap.value("first"_L1).toInteger(), 2);
        QCOMPARE(gap.value("last"_L1).toInteger(), 2);
        const QCborMap status = bench.call(u"status"_s);
        QCOMPARE(status.value("batches_set_aside"_L1).toInteger(), 1);
        QCOMPARE(status.value("readings_set_aside"_L1).toInteger(), 1);
        QVERIFY(status.value("last_set_aside"_L1).toString().contains(u"not this one"_s));
        QCOMPARE(trouble.size(), 1);
    }

    void failingDisk_acknowledgesNothingAndLosesNothing()
    {
        Bench bench(m_file);
        LoopbackEdge gateway(bench.broker, bench.clock, u"gateway"_s, u"lintel-cloud"_s);
        startGateway(gateway);
        QSignalSpy trouble(&bench.ingestion, &IngestionService::trouble);
        bench.failing.failure = Error{Errc::Full, u"The disk is full."_s};
        for (int i = 0; i < 3; ++i) {
            gateway.measure(20 + i, u"hvac-001"_s);
            bench.clock.advance(1s);
        }
        QTRY_VERIFY_WITH_TIMEOUT(bench.call(u"status"_s).value("storage_failing"_L1).toBool(), kPatience);
        QVERIFY(!trouble.isEmpty());
        QVERIFY(trouble.first().first().value<Error>().message.contains(u"The disk is full."_s));
        QCOMPARE(gateway.spool.status().pendingReadings, 3u);
        QCOMPARE(bench.rows(), 0);

        bench.failing.failure.reset();
        const auto delivered = [&] {
            bench.clock.advance(200ms);
            return gateway.spool.status().pendingReadings == 0;
        };
        QTRY_VERIFY_WITH_TIMEOUT(delivered(), kPatience);
        QCOMPARE(bench.rows(), 3);
        QVERIFY(!bench.call(u"status"_s).value("storage_failing"_L1).toBool(true));
    }

private:
    QTemporaryDir m_dir;
    QString m_file;
    int m_made = 0;
};

QTEST_GUILESS_MAIN(TestIngestionService)
#include "tst_ingestion_service.moc"
