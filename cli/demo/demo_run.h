// One run of the demo, from the first key to the final account. Thread: the main thread, whose event
// loop it runs. Failure: a sentence in the report; the exit code is lintelctl's.
#pragma once

#include "broker_connection.h"
#include "demo/accounting.h"
#include "demo/building.h"
#include "demo/demo_options.h"
#include "demo/production_counter.h"
#include "demo/status_board.h"

#include <QElapsedTimer>
#include <QObject>
#include <QTemporaryDir>
#include <QTimer>

#include <memory>

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
    [[nodiscard]] Result<void> prepare();
    [[nodiscard]] Result<void> startBuilding();
    void watch();
    void settle();
    void stopSensors();
    void waitForGateway();
    void readSensorSpools();
    void readFinalStatus();
    void readAttestations();
    void waitForReturn();
    void waitForCalm();
    void finishConsole();
    void report();

    void onTick();
    void applyOutages();
    void renewIdentities();
    void askForStatus();
    void takeGatewayStatus(const QCborMap &status);
    void takeBackendStatus(const QCborMap &status);
    [[nodiscard]] Result<QCborMap> callNow(cli::BrokerConnection &connection, QLatin1StringView target,
                                           const QString &method, const QCborMap &args);
    [[nodiscard]] Result<QCborMap> statusNow(cli::BrokerConnection &connection, QLatin1StringView target);
    [[nodiscard]] double secondsRunning() const;
    void problem(const QString &sentence);
    [[nodiscard]] bool isOver() const;

    DemoOptions m_options;
    StatusBoard m_board;
    Report m_report;
    std::unique_ptr<QTemporaryDir> m_temporary;
    std::unique_ptr<Building> m_building;
    std::unique_ptr<ProductionCounter> m_production; // outlives the connection that it asks on
    std::unique_ptr<cli::BrokerConnection> m_local;
    std::unique_ptr<cli::BrokerConnection> m_cloud;
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
    bool m_gatewayAsked = false;
    bool m_backendAsked = false;
    int m_ticks = 0;
    double m_cutSince = 0;
};

} // namespace lintel::demo
