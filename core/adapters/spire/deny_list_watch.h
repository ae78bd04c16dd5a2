// Hears each new deny list from the authority (Trust.WatchDenyList): the one of the own trust domain,
// and those of federated domains that it passes on. Each is verified with the JWT keys of the domain
// that it is about, so an authority in between can hold one back but not make one up; one with a lower
// number than the last is refused. Starts again with back-off, and finds out when the connection is dead.
//
// Speaks on a channel of its owner, as the agent that this process is. Lives on its owner's thread.
#pragma once

#include "grpc/grpc_channel.h"
#include "ports/backoff.h"
#include "spire/embedded_identity_source.h"
#include "tls/deny_list.h"

#include <QObject>
#include <QTimer>

#include <map>
#include <optional>

namespace lintel::spire {

/// How this process connects to its authority as the agent that it is; Unavailable without an SVID.
[[nodiscard]] Result<grpc::ClientTls> tlsAsAgent(const EmbeddedIdentitySource &identity, const SpiffeId &authority);

class DenyListWatch final : public QObject
{
    Q_OBJECT
public:
    /// Both outlive it.
    DenyListWatch(grpc::Channel &channel, EmbeddedIdentitySource &identity, TrustDomain domain,
                  QObject *parent = nullptr);
    ~DenyListWatch() override;

    /// (Re)starts the stream on a new connection of the channel, with the SVID of the moment.
    void begin();
    /// The bundles are others: what no known key had signed is judged again.
    void judgeAgain();
    /// A list of an earlier run: one with a lower number does not take its place.
    void remember(const tls::DenyList &list);

    [[nodiscard]] bool isWatching() const { return m_isWatching; }
    [[nodiscard]] const std::map<TrustDomain, tls::DenyList> &lists() const { return m_lists; }

Q_SIGNALS:
    /// A list that is to be obeyed from now on; it may be the same as the last.
    void accepted(const lintel::tls::DenyList &list, const QByteArray &jws);
    void refused(const lintel::Error &why);
    void interrupted(const lintel::Error &why);
    void restored();

private:
    void onMessage(const QByteArray &message);
    void onEnded(const grpc::Status &status);
    void take(const TrustDomain &domain, const QByteArray &jws);
    void checkPulse();

    grpc::Channel &m_channel;
    EmbeddedIdentitySource &m_identity;
    const TrustDomain m_domain;
    grpc::ClientCall *m_stream = nullptr;
    QTimer m_again;
    QTimer m_pulse;
    bool m_isWatching = false;
    Backoff m_backoff{{Millis{1'000}, Millis{30'000}, 0.5, 1.0}};
    std::map<TrustDomain, tls::DenyList> m_lists; // in force
    std::map<TrustDomain, QByteArray> m_unsigned; // by no key that we know: judged again with new bundles
    std::map<TrustDomain, QByteArray> m_hurriedFor;
};

} // namespace lintel::spire
