// What the backend answers: query_history, last_values, list_devices, list_gaps, read_births, status.
// Same thread as the parts, which must outlive it.
#pragma once

#include "calls/call_server.h"
#include "ingestion/exact_count.h"
#include "ingestion/historian_store.h"
#include "ingestion/ingestion_service.h"

#include <QMap>

#include <functional>

namespace lintel {

class BackendCalls
{
public:
    BackendCalls(historian::Historian &historian, HistorianStore &store, IngestionService &ingestion,
                 sparkplug::HostSession &host, const Clock &clock);

    void serve(CallServer &server);
    /// What the call "status" says beside the backend itself, each under its key.
    void addReport(const QString &key, const std::function<QCborMap()> &report) { m_reports.insert(key, report); }

    /// {device, point, group, from, to, bucket, max}: {readings: […]}, or with `bucket` (seconds)
    /// {buckets: [{start, count, min, max, avg, historical}]}. Without times the last 24 hours; at most `max`
    /// readings (10,000 unless said), and `truncated` says whether there are more.
    [[nodiscard]] Result<QCborMap> queryHistory(const QCborMap &args) const;
    /// {site}: the latest of each point.
    [[nodiscard]] Result<QCborMap> lastValues(const QCborMap &args) const;
    [[nodiscard]] Result<QCborMap> listDevices() const;
    /// {from, to}
    [[nodiscard]] Result<QCborMap> listGaps(const QCborMap &args) const;
    /// Without those of nodes that claim another's name.
    [[nodiscard]] QCborMap births() const;
    /// What is known without counting.
    [[nodiscard]] Result<QCborMap> status() const;
    /// {exact}: true counts the database's rows and looks for twins among them (`duplicates`, null otherwise),
    /// which takes long on a large one; everything else goes on meanwhile, on another thread.
    void answerStatus(const QCborMap &args, const CallServer::Reply &reply);

private:
    [[nodiscard]] QCborMap statusOf(const historian::Counters &counters, bool exact) const;

    historian::Historian &m_historian;
    HistorianStore &m_store;
    IngestionService &m_ingestion;
    sparkplug::HostSession &m_host;
    const Clock &m_clock;
    QMap<QString, std::function<QCborMap()>> m_reports;
    Timestamp m_startedAt;
    ExactCount m_exactCount;
};

} // namespace lintel
