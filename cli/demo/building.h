// The processes of the demo's building: makes their files, starts them in order, watches them, ends
// them. Thread: its owner's. Whatever was started is ended by the destructor at the latest.
#pragma once

#include "demo/accounting.h"
#include "demo/child_process.h"
#include "demo/demo_plan.h"
#include "demo/wan_link.h"

#include <QObject>

#include <functional>
#include <memory>
#include <vector>

namespace lintel::demo {

class Building : public QObject
{
    Q_OBJECT
public:
    Building(DemoPlan plan, QObject *parent = nullptr);
    ~Building() override;

    /// Keys, certificates, folders. Once.
    [[nodiscard]] Result<void> makeIdentities();
    /// New certificates for everybody, under the same roots: agents see the new files and connect
    /// again by themselves, brokers are told to read theirs. Nothing is lost by it.
    [[nodiscard]] Result<void> renewIdentities();
    /// Both brokers and the line between them, on free ports; another try when somebody else took one.
    [[nodiscard]] Result<void> startBrokers();
    /// Writes every configuration file; the ports are known now. Backend, gateway, then sensors.
    [[nodiscard]] Result<void> startAgents();
    /// With a window, or offscreen with a picture and a report at the end.
    [[nodiscard]] Result<void> startConsole(bool headless, const QString &screenshot, int windowMinutes);

    [[nodiscard]] const DemoPlan &plan() const { return m_plan; }
    [[nodiscard]] WanLink &wan() { return *m_wan; }
    [[nodiscard]] QList<ChildProcess *> children() const;
    [[nodiscard]] QList<ChildProcess *> sensors() const;
    [[nodiscard]] ChildProcess *child(const QString &name) const;
    /// Adds one sample of every process to the uses.
    void sampleMemory(QMap<QString, ProcessUse> &uses) const;

    /// SIGTERM to everybody, brokers last; SIGKILL to who does not end within `grace`.
    void endEverything(std::chrono::milliseconds grace);

    [[nodiscard]] QString consoleReportFile() const { return m_plan.path(QStringLiteral("state/console-report.json")); }

Q_SIGNALS:
    /// A process ended although nobody had asked it to; a sentence.
    void processDied(const QString &name, const QString &sentence);

private:
    [[nodiscard]] Result<ChildProcess *> start(ChildSpec spec);
    [[nodiscard]] Result<void> startBroker(const QString &name, quint16 *port);
    [[nodiscard]] Result<void> startWatched(const ChildSpec &spec);

    DemoPlan m_plan;
    std::unique_ptr<WanLink> m_wan;
    std::vector<std::unique_ptr<ChildProcess>> m_children;
};

/// The program beside this one, or on the PATH; NotFound says how to get it.
[[nodiscard]] Result<QString> findLintelProgram(const QString &name);
[[nodiscard]] Result<QString> findMosquitto();
/// Whether a window can be opened here.
[[nodiscard]] bool hasDisplay();

/// Runs the event loop until `condition` holds, `isStopped` does, or the time is over; whether the
/// condition holds.
[[nodiscard]] bool waitFor(const std::function<bool()> &condition, std::chrono::milliseconds patience,
                           const std::function<bool()> &isStopped = {});

} // namespace lintel::demo
