#include "ingestion/backend_calls.h"

#include "custody/answers.h"
#include "custody/history_answers.h"

namespace lintel {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using historian::DeviceKey;

BackendCalls::BackendCalls(historian::Historian &historian, HistorianStore &store, IngestionService &ingestion,
                           sparkplug::HostSession &host, const Clock &clock)
    : m_historian(historian), m_store(store), m_ingestion(ingestion), m_host(host), m_clock(clock),
      m_startedAt(clock.now()), m_exactCount(historian.database())
{}

void BackendCalls::serve(CallServer &server)
{
    using Call = CallServer::Call;
    using Reply = CallServer::Reply;
    server.provide(u"query_history"_s,
                   [this](const Call &call, const Reply &reply) { reply(queryHistory(call.args)); });
    server.provide(u"last_values"_s, [this](const Call &call, const Reply &reply) { reply(lastValues(call.args)); });
    server.provide(u"list_devices"_s, [this](const Call &, const Reply &reply) { reply(listDevices()); });
    server.provide(u"list_gaps"_s, [this](const Call &call, const Reply &reply) { reply(listGaps(call.args)); });
    server.provide(u"read_births"_s, [this](const Call &, const Reply &reply) { reply(births()); });
    server.provide(u"status"_s, [this](const Call &call, const Reply &reply) { answerStatus(call.args, reply); });
}

Result<QCborMap> BackendCalls::queryHistory(const QCborMap &args) const
{
    const auto request = answers::historyRequest(args, m_clock.now());
    if (!request)
        return request.error();
    const DeviceKey key{request->group, request->device};
    const auto &[from, to] = request->span;
    if (request->bucket > 0s) {
        const auto buckets = m_historian.buckets(key, request->point, from, to, request->bucket);
        if (!buckets)
            return buckets.error();
        return answers::history(*request, *buckets);
    }
    const auto history = m_historian.history(key, request->point, from, to, request->rows + 1);
    if (!history)
        return history.error();
    QCborArray readings;
    for (const historian::HistoryRow &row : *history) {
        QCborMap reading = answers::reading(row.reading);
        reading.insert("received"_L1, toIso8601(row.receivedAt));
        readings.append(reading);
    }
    return answers::history(*request, readings);
}

QCborMap BackendCalls::births() const
{
    return answers::births(
        answers::accepted(m_host.births(), [this](const sparkplug::NodeId &node, const QString &name) {
            return !m_ingestion.refusal(node, name);
        }));
}

Result<QCborMap> BackendCalls::lastValues(const QCborMap &args) const
{
    const auto site = answers::textArgument(args, "site"_L1);
    if (!site)
        return site.error();
    const auto values = m_historian.lastValues(*site);
    if (!values)
        return values.error();
    QCborArray array;
    for (const historian::LastValue &value : *values) {
        QCborMap entry = answers::reading(value.reading);
        entry.insert("group"_L1, value.device.group);
        entry.insert("device"_L1, value.device.name);
        entry.insert("site"_L1, value.site);
        entry.insert("point"_L1, value.reading.point);
        entry.insert("received"_L1, toIso8601(value.receivedAt));
        array.append(entry);
    }
    return QCborMap{{"values"_L1, array}};
}

Result<QCborMap> BackendCalls::listDevices() const
{
    const auto devices = m_historian.devices();
    if (!devices)
        return devices.error();
    QCborArray array;
    for (const historian::DeviceInfo &device : *devices) {
        QCborMap entry{
            {"group"_L1, device.key.group},
            {"device"_L1, device.key.name},
            {"node"_L1, device.node},
            {"online"_L1, device.online},
            {"points"_L1, answers::points(device.points)},
        };
        if (device.since)
            entry.insert("since"_L1, toIso8601(*device.since));
        if (device.lastReceived)
            entry.insert("last_received"_L1, toIso8601(*device.lastReceived));
        array.append(entry);
    }
    return QCborMap{{"devices"_L1, array}};
}

Result<QCborMap> BackendCalls::listGaps(const QCborMap &args) const
{
    const auto span = answers::spanArgument(args, Timestamp{}, m_clock.now() + 24h);
    if (!span)
        return span.error();
    const auto gaps = m_historian.gaps(span->from, span->to);
    if (!gaps)
        return gaps.error();
    QCborArray array;
    for (const historian::Gap &gap : *gaps) {
        QCborMap entry = answers::loss(gap.loss);
        entry.insert("noted"_L1, toIso8601(gap.notedAt));
        array.append(entry);
    }
    return QCborMap{{"gaps"_L1, array}};
}

Result<QCborMap> BackendCalls::status() const
{
    const auto counters = m_historian.counters();
    if (!counters)
        return counters.error();
    return statusOf(*counters, false);
}

void BackendCalls::answerStatus(const QCborMap &args, const CallServer::Reply &reply)
{
    if (!args.value("exact"_L1).toBool())
        return reply(status());
    m_exactCount.ask([this, reply](const Result<historian::Counters> &counted) {
        if (counted)
            reply(statusOf(*counted, true));
        else
            reply(counted.error());
    });
}

QCborMap BackendCalls::statusOf(const historian::Counters &counters, bool exact) const
{
    const LatencyMeter &latency = m_store.latency();
    const auto p50 = latency.percentile(50);
    const auto p99 = latency.percentile(99);
    QCborMap map{
        {"started"_L1, toIso8601(m_startedAt)},
        {"broker_connected"_L1, m_host.isConnected()},
        {"exact"_L1, exact},
        {"readings_stored"_L1, qint64(counters.rows)},
        {"readings_removed"_L1, qint64(counters.removedRows)},
        {"readings_removed_for_size"_L1, qint64(counters.removedForSizeRows)},
        {"readings_historical"_L1, qint64(counters.historicalRows)},
        {"readings_lost"_L1, qint64(counters.lostReadings)},
        {"batches"_L1, qint64(counters.batches)},
        {"duplicates"_L1, counters.duplicateRows ? QCborValue(qint64(*counters.duplicateRows)) : QCborValue()},
        {"wire_duplicates"_L1, qint64(counters.duplicatesRefused)},
        {"gaps"_L1, qint64(counters.gaps)},
        {"latency_ms"_L1,
         QCborMap{
             {"p50"_L1, qint64(p50.count())},
             {"p99"_L1, qint64(p99.count())},
             {"count"_L1, qint64(latency.count())},
         }},
        {"storage_failing"_L1, m_ingestion.isStoreFailing()},
        {"refused_subscriptions"_L1, QCborArray::fromStringList(m_host.refusedSubscriptions())},
        {"host"_L1, answers::hostCounters(m_host.counters())},
    };
    const auto intake = m_ingestion.counters();
    answers::addSetAside(map, intake.setAsideBatches, intake.setAsideReadings, m_ingestion.lastSetAside());
    for (auto it = m_reports.cbegin(); it != m_reports.cend(); ++it)
        map.insert(it.key(), it.value()());
    return map;
}

} // namespace lintel
