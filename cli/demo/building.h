// The processes of the demo's building: makes their files, starts them in order, watches them, ends
// them. Thread: its owner's. Whatever was started is ended by the destructor at the latest.
#pragma once

#include "demo/accounting.h"
#include "demo/authority_desk.h"
#include "demo/child_process.h"
#include "demo/demo_plan.h"
#include "demo/wan_link.h"
#include "demo/work_folder.h"

#include <QHash>
#include <QObject>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace lintel::demo {

class Building : public QObject
{
    Q_OBJECT
public:
    Building(DemoPlan plan, QObject *parent = nullptr);
    ~Building() override;

    /// Folders, and who is who. Once. With files: keys and certificates for everybody. With TPMs: a TPM
    /// for each device and both authorities, which run from here on, know each other and who is enrolled;
    /// certificates for operators, and the brokers' first.
    [[nodiscard]] Result<void> makeIdentities();
    /// New certificates under the same roots: whoever has them in files connects again by itself, and
    /// brokers are told to read theirs. With TPMs only operators have theirs from here; agents renew their
    /// own and their brokers'. Nothing is lost by it.
    [[nodiscard]] Result<void> renewIdentities();
    /// How long what renewIdentities() makes holds.
    [[nodiscard]] std::chrono::seconds identityLife() const;
    /// Devices whose TPM an authority has verified; nothing without TPMs.
    [[nodiscard]] Result<std::optional<int>> attestedDevices();
    /// Ends the identity of a sensor everywhere; Unsupported without TPMs.
    [[nodiscard]] Result<RevokedDevice> revoke(const QString &sensor);
    /// What the building's authority knows of one that was revoked.
    [[nodiscard]] Result<RevokedDevice> revokedDevice(const QString &sensor);
    /// From now on agents, authorities and brokers that die are started again after a moment, as systemd
    /// does; who dies kManyDeaths times within kDeathSpan stays dead, and that is a processDied().
    void restartWhoDies() { m_restarts = true; }
    /// Somebody is dead and about to be started again.
    [[nodiscard]] bool isRestarting() const { return m_restarting > 0; }
    static constexpr int kManyDeaths = 3;
    static constexpr std::chrono::seconds kDeathSpan{30};
    /// makeIdentities() ends soon, with Unavailable.
    void cancel() { m_isCancelled = true; }
    /// Both brokers and the line between them, on free ports; another try when somebody else took one.
    [[nodiscard]] Result<void> startBrokers();
    /// Writes every configuration file; the ports are known now. Backend, gateway, then sensors.
    [[nodiscard]] Result<void> startAgents();
    /// With a window, or offscreen with a picture and a report at the end.
    [[nodiscard]] Result<void> startConsole(bool headless, const QString &screenshot, int windowMinutes);

    [[nodiscard]] const DemoPlan &plan() const { return m_plan; }
    [[nodiscard]] WanLink &wan() { return *m_wan; }
    [[nodiscard]] QList<ChildProcess *> processes() const;
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
    /// One that died lives again; the sentence says how it had ended.
    void processRestarted(const QString &name, const QString &sentence);

private:
    [[nodiscard]] Result<ChildProcess *> start(ChildSpec spec);
    [[nodiscard]] Result<void> startBroker(const QString &name, quint16 *port);
    [[nodiscard]] Result<void> startWatched(const ChildSpec &spec);
    [[nodiscard]] Result<ChildProcess *> startListening(const ChildSpec &spec,
                                                        const std::function<bool(ChildProcess &)> &listens);
    void watch(ChildProcess *child);
    void onDeath(ChildProcess *child);
    void startAgain(ChildProcess *child, const QString &obituary);
    // with TPMs; building_trust.cpp
    [[nodiscard]] Result<void> makeTrust();
    [[nodiscard]] Result<void> makeRunDir();
    [[nodiscard]] Result<void> makeTpms(const QStringList &devices);
    [[nodiscard]] Result<void> startTpms(const QStringList &devices);
    [[nodiscard]] Result<std::unique_ptr<AuthorityDesk>> startAuthority(const QString &name, QLatin1StringView domain,
                                                                        quint16 *port, quint16 *bundlePort);
    [[nodiscard]] Result<void> federate();
    [[nodiscard]] Result<void> enrollDevices();
    [[nodiscard]] Result<void> mintOperators();
    [[nodiscard]] Result<void> mintBrokers();

    DemoPlan m_plan;
    std::unique_ptr<WanLink> m_wan;
    std::vector<std::unique_ptr<ChildProcess>> m_children;
    bool m_isCancelled = false;
    bool m_restarts = false;
    int m_restarting = 0;
    QHash<QString, QList<std::chrono::steady_clock::time_point>> m_deaths; // the latest, by name
    std::unique_ptr<WorkFolder> m_shortDir; // when sockets below the root would have too long a path
    std::unique_ptr<AuthorityDesk> m_buildingDesk;
    std::unique_ptr<AuthorityDesk> m_cloudDesk;
    TrustBundles m_roots;
};

/// The program beside this one, or on the PATH; NotFound says how to get it.
[[nodiscard]] Result<QString> findLintelProgram(const QString &name);
[[nodiscard]] Result<QString> findMosquitto();
/// The broker's plugin, with the programs.
[[nodiscard]] Result<QString> findPlugin();
/// Whether a window can be opened here.
[[nodiscard]] bool hasDisplay();

/// Runs the event loop until `condition` holds, `isStopped` does, or the time is over; whether the
/// condition holds.
[[nodiscard]] bool waitFor(const std::function<bool()> &condition, std::chrono::milliseconds patience,
                           const std::function<bool()> &isStopped = {});

} // namespace lintel::demo
