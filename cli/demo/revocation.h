// Watches from outside how a revoked sensor leaves: its session at the gateway's broker ends, which
// the broker tells everybody by publishing the sensor's will (NDEATH), and nothing of it comes after.
// Listens on the demo's own connection to that broker. Owned by the run; its thread.
#pragma once

#include "demo/authority_desk.h"
#include "ports/clock.h"
#include "ports/mqtt_transport.h"

#include <QObject>
#include <QStringList>

#include <optional>

namespace lintel::demo {

/// What a revocation came to; for the report.
struct RevocationReport {
    QString device;
    QList<qint64> closedAfterMs; // from the authority's acceptance to each session's end
    quint64 acceptedAfter = 0;   // messages of the device that the broker accepted later than kGrace after it
};

class Revocation : public QObject
{
    Q_OBJECT
public:
    /// What is on its way may still arrive; from here on nothing may.
    static constexpr std::chrono::seconds kGrace{2};

    /// `site` and `sensor` as in Sparkplug topics. The transport and the clock must outlive it.
    Revocation(const QString &site, const QString &sensor, MqttTransport &transport, const Clock &clock,
               QObject *parent = nullptr);

    [[nodiscard]] const QString &sensor() const { return m_sensor; }
    /// The authority has accepted it at that time (of the same clock).
    void accepted(Timestamp at);
    [[nodiscard]] bool isAccepted() const { return m_acceptedAt.has_value(); }
    /// Its session has ended since, and it did not come back.
    [[nodiscard]] bool isOut() const { return m_closedAt.has_value(); }
    [[nodiscard]] std::optional<qint64> closedAfterMs() const;
    /// Enough time has passed to say that nothing comes any more.
    [[nodiscard]] bool isProven() const;
    /// What a broker has told the authority counts, too: it sees messages that nobody subscribes to.
    void takeAuthoritysWord(const RevokedDevice &device);

    [[nodiscard]] RevocationReport report() const;
    /// What went wrong, a sentence each.
    [[nodiscard]] QStringList problems() const;

private:
    void subscribe();
    void onMessage(const MqttMessage &message);

    QString m_site;
    QString m_sensor;
    MqttTransport &m_transport;
    const Clock &m_clock;
    std::optional<Timestamp> m_acceptedAt;
    std::optional<Timestamp> m_closedAt; // the latest end of a session
    quint64 m_heardAfter = 0;
    bool m_brokerHeardAfter = false; // and we did not
};

} // namespace lintel::demo
