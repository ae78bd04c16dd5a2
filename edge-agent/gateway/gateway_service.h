// The gateway: host of its sensors on the building's broker, edge node towards the cloud with each
// sensor as a device. Takes custody of every reading into its spool before it acknowledges, and
// forwards from that spool as the uplink allows.
//
// Owns none of its parts; main() makes and outlives them. One thread, the transports'.
// What a node says under another's device name (see DeviceTable) is neither stored nor acknowledged.
// A failing disk stops acknowledgements, never the process; see CustodyIntake.
#pragma once

#include "calls/call_server.h"
#include "custody/custody_intake.h"
#include "custody/refusal_notes.h"
#include "domain/history_bucket.h"
#include "gateway/device_table.h"
#include "gateway/spool_store.h"
#include "gateway/trust_report.h"

#include <QMap>
#include <QObject>
#include <QTimer>

#include <functional>
#include <optional>

namespace lintel {

struct GatewayLimits {
    Millis syncInterval{300'000}; // periodic sync_to_cloud
    Millis syncTimeout{20'000};   // longest wait of a sync_to_cloud call for the cloud
    CustodyIntake::Limits intake;
};

class GatewayService : public QObject
{
    Q_OBJECT
public:
    /// Readings of one point in [from, to) of device time, oldest first; the history lies beside
    /// the spool.
    using History = std::function<Result<QList<Reading>>(const QString &device, const QString &point, Timestamp from,
                                                         Timestamp to, int limit)>;

    /// The same in buckets of a length.
    using Buckets = std::function<Result<QList<HistoryBucket>>(
        const QString &device, const QString &point, Timestamp from, Timestamp to, std::chrono::seconds length)>;

    GatewayService(sparkplug::HostSession &host, sparkplug::EdgeNodeSession &uplink, ReadingSpool &spool,
                   DeviceTable &devices, const Clock &clock, GatewayLimits limits = {}, QObject *parent = nullptr);

    void setHistory(History history, Buckets buckets = {})
    {
        m_history = std::move(history);
        m_buckets = std::move(buckets);
    }
    /// What the call "status" says beside the gateway itself, each under its key.
    void addReport(const QString &key, const std::function<QCborValue()> &report) { m_reports.insert(key, report); }
    /// What the cloud is told of this node's trust; before start().
    void setTrust(TrustReport::Read read);
    /// Answers capability calls there. Both brokers get the same.
    void serve(CallServer &server);

    void start();
    /// Stops accepting, commits what was taken, NDEATH, STATE offline; then stopped().
    void stop();

    [[nodiscard]] QCborMap status() const;
    /// Answer of `read_births`; without those of nodes that claim another's name.
    [[nodiscard]] QCborMap births() const;

Q_SIGNALS:
    /// stop() was called.
    void stopping();
    void stopped();
    /// A sentence for the log; not fatal.
    void trouble(const lintel::Error &what);
    void notice(const QString &what);

private:
    struct Sync {
        quint64 forwardedBefore = 0;
        Msn upTo = 0;
        std::chrono::nanoseconds deadline{};
        CallServer::Reply reply; // empty for the periodic one
    };
    void onBorn(const sparkplug::Participant &who);
    void onDied(const sparkplug::Participant &who);
    void onBatch(const sparkplug::HostBatch &batch);
    void onTick();
    void updateUplinkDevice(const QString &name);
    /// False, and now and then a sentence, when the name is another node's.
    [[nodiscard]] bool mayUse(const sparkplug::NodeId &node, const QString &name);
    /// Whether the history has a reading of that point and time; so a birth that comes again after a
    /// restart adds no twins.
    [[nodiscard]] bool isStored(const QString &device, const Reading &reading) const;
    void beginSync(CallServer::Reply reply, std::optional<Timestamp> expires);
    void settleSyncs();
    [[nodiscard]] QCborMap syncAnswer(const Sync &sync) const;
    [[nodiscard]] quint64 forwardedReadings() const;
    [[nodiscard]] bool isCloudAvailable() const;
    void finishStopping();
    /// {device, point, from, to, max}: {readings, truncated}. Without times the last 24 hours.
    [[nodiscard]] Result<QCborMap> queryHistory(const QCborMap &args) const;

    sparkplug::HostSession &m_host;
    sparkplug::EdgeNodeSession &m_uplink;
    ReadingSpool &m_spool;
    DeviceTable &m_devices;
    const Clock &m_clock;
    GatewayLimits m_limits;
    SpoolStore m_store;
    CustodyIntake m_intake;
    RefusalNotes m_refusals;
    History m_history;
    Buckets m_buckets;
    QMap<QString, std::function<QCborValue()>> m_reports;
    std::optional<TrustReport> m_trust;
    QTimer m_tick;
    QList<Sync> m_syncs;
    std::chrono::nanoseconds m_nextSync{};
    std::optional<Timestamp> m_lastSync;
    Timestamp m_startedAt{};
    bool m_stopping = false;
    bool m_hostStopped = false;
    bool m_uplinkStopped = false;
    std::chrono::nanoseconds m_stopDeadline{};
};

} // namespace lintel
