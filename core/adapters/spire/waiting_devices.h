// Who waits for approval at the authority (Trust.ListWaiting), asked every few seconds: for the people of
// a building whose gateway runs its broker.
//
// Speaks on a channel of its owner, as the agent that this process is, and only while that has an SVID.
// The last answer stays, with its time, while the authority does not answer. Lives on its owner's thread.
#pragma once

#include "grpc/grpc_channel.h"
#include "spire/embedded_identity_source.h"

#include <QObject>
#include <QTimer>

#include <optional>

namespace lintel::spire {

struct WaitingDevice {
    QString ekHash; // what `lintelctl device approve` takes
    QString maker;  // of its chip, by a verified certificate; empty: not known
    Timestamp firstSeen{};
    std::optional<Timestamp> lastSeen; // this and what follows since the authority started
    QString address;
    quint64 attempts = 0;

    friend bool operator==(const WaitingDevice &, const WaitingDevice &) = default;
};
struct WaitingDevices {
    Timestamp asOf{};
    QList<WaitingDevice> latest; // those that came last first, at most kMost
    quint64 total = 0;

    static constexpr int kMost = 100;
};

/// What an answer says; Malformed when it is none. Devices without a hash of the right form are left out.
[[nodiscard]] Result<WaitingDevices> readWaitingDevices(const QByteArray &message, Timestamp asOf);

class WaitingDevicesWatch final : public QObject
{
    Q_OBJECT
public:
    /// Both outlive it.
    WaitingDevicesWatch(grpc::Channel &channel, EmbeddedIdentitySource &identity, QObject *parent = nullptr);

    /// Nothing before the first answer.
    [[nodiscard]] const std::optional<WaitingDevices> &latest() const { return m_latest; }
    /// Why the last question had no answer, one sentence; empty when it had one.
    [[nodiscard]] const QString &problem() const { return m_problem; }

private:
    void ask();
    void take(const grpc::Status &status, const QByteArray &message);

    grpc::Channel &m_channel;
    EmbeddedIdentitySource &m_identity;
    QTimer m_timer;
    bool m_isAsking = false;
    std::optional<WaitingDevices> m_latest;
    QString m_problem;
};

} // namespace lintel::spire
