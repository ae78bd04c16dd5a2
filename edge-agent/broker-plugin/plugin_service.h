// The plugin without Mosquitto: reads its files, keeps the guard up to date with them, and writes
// the status. Mosquitto's interface is plugin.cpp's work. Lives on the broker's one thread; tick()
// comes with every turn of the broker's loop, at least ten times a second.
#pragma once

#include "broker-plugin/broker_guard.h"
#include "broker-plugin/plugin_options.h"
#include "broker-plugin/watched_files.h"
#include "ports/clock.h"

#include <chrono>

namespace lintel::broker {

class PluginService
{
public:
    /// Takes a certificate chain and a key (PEM) for the broker's own side of TLS.
    using UseIdentity = std::function<Result<void>(const QByteArray &chainPem, const QByteArray &keyPem)>;

    /// `clock` outlives this; its monotonic() counts suspends (BootClock).
    PluginService(PluginOptions options, const Clock &clock, LogLine log, UseIdentity useIdentity);

    /// Fails when the roles cannot be read: a broker that does not know who is who does not start.
    [[nodiscard]] Result<void> start();
    /// Looks at the files (at most every 50 ms) and returns the sessions that must end.
    [[nodiscard]] QList<Kick> tick();
    /// Reads everything anew, as after SIGHUP.
    void reload();
    /// The last status, when the broker ends.
    void stop();

    [[nodiscard]] BrokerGuard &guard() { return m_guard; }
    /// By which the guard judges.
    [[nodiscard]] Moment now() { return m_time.now(); }

private:
    void readFiles(bool force);
    void readRoles(bool force);
    void readIdentity();
    void noteCertificate(const QByteArray &chainPem);
    void writeStatus();

    PluginOptions m_options;
    const Clock &m_clock;
    LogLine m_log;
    UseIdentity m_useIdentity;
    JudgingTime m_time;
    BrokerGuard m_guard;
    TrustFiles m_trust;
    DenyFiles m_denyFiles;
    QByteArray m_rolesPrint;
    QByteArray m_identityPrint;
    std::optional<TrustDomain> m_ownDomain; // of the broker's certificate
    std::chrono::nanoseconds m_nextLook{};
    std::chrono::nanoseconds m_nextStatus{};
    std::optional<quint64> m_written; // revision
    bool m_statusFailed = false;
};

} // namespace lintel::broker
