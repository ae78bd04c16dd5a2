// Hears the deny lists of federated domains from their authorities as they change, over gRPC with mutual
// TLS: each end shows its spiffe://<trust domain>/spire/server, verified with the bundle of that domain. What comes goes
// through Authority::setFederatedDenyList(), which believes the list's own signature only.
//
// Owned by FederationClient, on the authority's thread. A connection that ends is made again with
// back-off; one that is dead is found out; meanwhile the last list stays in force.
#pragma once

#include "authority/authority.h"
#include "grpc/grpc_channel.h"
#include "ports/backoff.h"

#include <QTimer>

#include <map>
#include <memory>

namespace lintel::authority {

class PartnerDenyLists final : public QObject
{
    Q_OBJECT
public:
    /// Both outlive it.
    PartnerDenyLists(Authority &authority, const Clock &clock, QObject *parent = nullptr);
    ~PartnerDenyLists() override;

    /// `address`: host:port. Again with the same one it only looks whether a refused list is good now.
    void watch(const TrustDomain &domain, const QString &address);
    void forget(const TrustDomain &domain);
    [[nodiscard]] QList<TrustDomain> domains() const;

Q_SIGNALS:
    /// A new reason why a list cannot be had, or that it can be had again.
    void trouble(const lintel::Error &what);
    void notice(const QString &what);
    /// No key of the bundle that we have signed the list.
    void newerBundleWanted(const lintel::TrustDomain &domain);

private:
    struct Watch;
    void begin(Watch &watch);
    void onMessage(Watch &watch, const QByteArray &message);
    void onEnded(Watch &watch, const grpc::Status &status);
    void take(Watch &watch, const QByteArray &jws);
    void checkPulses();
    void note(Watch &watch, const QString &problem);
    [[nodiscard]] Result<grpc::ClientTls> tlsTo(const TrustDomain &domain) const;

    Authority &m_authority;
    const Clock &m_clock;
    QTimer m_pulse;
    std::map<TrustDomain, std::unique_ptr<Watch>> m_watches;
};

} // namespace lintel::authority
