// One run of the demo, from the first key to the final account. Thread: the main thread, whose event
// loop it runs. Failure: a sentence in the report; the exit code is lintelctl's.
#pragma once

#include "broker_connection.h"
#include "demo/accounting.h"
#include "demo/building.h"
#include "demo/demo_options.h"
#include "demo/production_counter.h"
#include "demo/revocation.h"
#include "demo/status_board.h"
#include "demo/work_folder.h"
#include "ports/system_clock.h"

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>

#include <memory>
#include <optional>

namespace lintel::demo {

class DemoRun : public QObject
{
    Q_OBJECT
public:
    explicit DemoRun(DemoOptions options, QObject *parent = nullptr);
    ~DemoRun() override;

    /// Returns an exit code of lintelctl.
    [[nodiscard]] int run();
    /// Ctrl-C: ends the run in order; the second time at once.
    void requestStop(bool again);

private:
    // demo_run.cpp: from the first key to the last second
    [[nodiscard]] Result<void> prepare();
    [[nodiscard]] Result<QString> makeRoot();
    [[nodiscard]] Result<void> startBuilding();
    void watch();
    void onDeath(const QString &name, const QString &sentence);
    void onRestart(const QString &name, const QString &sentence);
    void onTick();
    void showState();
    void applyOutages();
    void applyRevocation();
    void renewIdentities();
    void askForStatus();
    void takeGatewayStatus(const QCborMap &status);
    void takeBackendStatus(const QCborMap &status);
    [[nodiscard]] double secondsRunning() const;
    void fail(const QString &sentence);
    void problem(const QString &sentence);
    [[nodiscard]] bool isOver() const;
    void report();

    // demo_end.cpp: everybody hands over, and what is durable is counted
    void settle();
    void waitForRestarts();
    void proveRevocation();
    void account();
    [[nodiscard]] bool isRefused(const QString &sensor) const;
    [[nodiscard]] int sensorsExpected() const;
    void stopSensors();
    void waitForGateway();
    void readSensorSpools();
    void readFinalStatus();
    void readAttestations();
    void waitForReturn();
    void waitForCalm();
    void finishConsole();
    [[nodiscard]] Result<QCborMap> callNow(cli::BrokerConnection &connection, const QString &target,
                                           const QString &method, const QCborMap &args);
    [[nodiscard]] Result<QCborMap> statusNow(cli::BrokerConnection &connection, QLatin1StringView target);

    static constexpr std::chrono::milliseconds kTick{500};

    SystemClock m_wallClock;
    DemoOptions m_options;
    StatusBoard m_board;
    Report m_report;
    std::optional<Error> m_refusal; // why there is no account
    std::unique_ptr<WorkFolder> m_temporary;
    std::unique_ptr<Building> m_building;
    std::unique_ptr<ProductionCounter> m_production; // outlives the connection that it asks on
    std::unique_ptr<cli::BrokerConnection> m_local;
    std::unique_ptr<cli::BrokerConnection> m_cloud;
    std::unique_ptr<Revocation> m_revocation; // with --revoke; listens on m_local
    BoardState m_state;
    QElapsedTimer m_clock;
    QTimer m_renewTimer;
    Timestamp m_renewedAt{};
    Timestamp m_renewAt{}; // wall clock, as certificates have it
    bool m_headless = false;
    bool m_stopRequested = false;
    bool m_abort = false;
    bool m_failed = false; // a process died: no use in going on
    bool m_windowClosed = false;
    bool m_isRevoking = false;
    bool m_wasSettled = false;
    int m_renewFailures = 0;        // in a row
    quint64 m_pendingAtRefused = 0; // readings, whether or not the gateway has them
    quint64 m_batchesAtGateway = 0;
    bool m_isUplinkUp = false;
    QElapsedTimer m_gatewayHeard; // since its last answer
    bool m_gatewayAsked = false;
    bool m_backendAsked = false;
    int m_ticks = 0;
    double m_cutSince = 0;
};

} // namespace lintel::demo
