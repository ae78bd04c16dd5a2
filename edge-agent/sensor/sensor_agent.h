// The sensor agent: measures (or plays back), stores before anything else, lets the session send
// what is stored, answers capability calls, and stops in order.
//
// main() makes one; everything it is given must outlive it. One thread, the transport's.
#pragma once

#include "calls/call_server.h"
#include "drivers/sensor_driver.h"
#include "ports/clock.h"
#include "ports/reading_spool.h"
#include "sensor/playback.h"
#include "sensor/sampler.h"
#include "sensor/sensor_settings.h"
#include "sensor/spool_writer.h"
#include "sparkplug/edge_node_session.h"

#include <QObject>
#include <QTimer>

#include <functional>
#include <memory>

namespace lintel {

class SensorAgent : public QObject
{
    Q_OBJECT
public:
    SensorAgent(SensorSettings settings, SensorDriver &driver, const Clock &clock, ReadingSpool &spool,
                sparkplug::EdgeNodeSession &session, CallServer &calls, QObject *parent = nullptr);

    /// Opens the driver and begins. An error means that nothing runs. Without a stream of its spool (see
    /// LateStorage) it measures, but connects and plays back only when there is one.
    [[nodiscard]] Result<void> start();
    /// Measures no more, waits for the last acknowledgements while there is a connection and time,
    /// says NDEATH, then emits stopped(). A second call does not wait.
    void stop();
    /// What is due now. The agent's own timer calls it ten times a second.
    void tick();

    /// What the call "status" says of the identity under "identity".
    void setIdentityReport(std::function<QCborMap()> report) { m_identityReport = std::move(report); }
    /// For the call "status" and tests.
    [[nodiscard]] QCborMap status() const;
    [[nodiscard]] SpoolWriter::Counts counts() const { return m_writer.counts(); }

Q_SIGNALS:
    void stopped();
    /// A sentence for the log.
    void trouble(const lintel::Error &what);
    /// Another one, of what is well again.
    void notice(const QString &what);
    /// A recording has been played to its end.
    void playbackFinished(quint64 rows);

private:
    enum class State { Idle, Running, Draining, Stopping };

    [[nodiscard]] Result<void> beginWithSpool();
    void provideCalls();
    void provide(QStringView method, CallServer::Handler handler);
    void onReadSensors(const CallServer::Reply &reply);
    void onSyncBuffered(const QCborMap &args, const CallServer::Reply &reply);
    [[nodiscard]] bool canDrain();
    void endSession();

    SensorSettings m_settings;
    SensorDriver &m_driver;
    const Clock &m_clock;
    ReadingSpool &m_spool;
    sparkplug::EdgeNodeSession &m_session;
    CallServer &m_calls;
    SpoolWriter m_writer;
    Sampler m_sampler;
    std::unique_ptr<Playback> m_playback; // in place of sampling, for recordings
    std::function<QCborMap()> m_identityReport;
    QTimer m_timer;
    State m_state = State::Idle;
    bool m_hasBegun = false; // the session and, if there is one, the playback
    std::chrono::nanoseconds m_drainUntil{};
    std::optional<std::chrono::nanoseconds> m_lastAnswered; // the latest moment with a session
};

} // namespace lintel
