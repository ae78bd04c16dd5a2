// Keeps the bundles of other trust domains fresh: fetches each relationship's bundle at its refresh
// hint (SPIFFE_Federation.md section 4.1), with back-off when that fails. Profile https_spiffe believes
// the endpoint's SPIFFE ID by the stored bundle of its domain, https_web by the system's roots. What
// came goes through Authority::setFederatedBundle(): never merged, never an older one. A partner whose
// document names the port for it is also asked for its deny list (PartnerDenyLists).
//
// Owned by main, on the authority's thread. A relationship that is refused or unreachable is noted with
// its reason (Authority::noteRefresh) and keeps its last bundle.
#pragma once

#include "authority/authority.h"
#include "authority/partner_deny_lists.h"
#include "grpc/document_fetch.h"
#include "ports/backoff.h"

#include <QTimer>

#include <map>

namespace lintel::authority {

struct FederationPace {
    std::chrono::milliseconds usual{5 * 60'000};      // without a hint
    std::chrono::milliseconds soonest{1'000};         // however short the hint is
    std::chrono::milliseconds latest{24 * 3'600'000}; // however long it is
    std::chrono::milliseconds firstRetry{2'000};      // then doubled, and spread at random
    std::chrono::milliseconds latestRetry{5 * 60'000};
};

class FederationClient final : public QObject
{
    Q_OBJECT
public:
    FederationClient(Authority &authority, const Clock &clock, FederationPace pace = {}, QObject *parent = nullptr);
    ~FederationClient() override;

    /// Fetches every relationship now.
    void start();
    /// Fetches this one now; nothing when there is no such relationship (any more).
    void refresh(const TrustDomain &domain);

Q_SIGNALS:
    /// A new reason why a bundle cannot be had, or that it can be had again.
    void trouble(const lintel::Error &what);
    void notice(const QString &what);

private:
    struct Watch {
        QTimer timer;
        std::unique_ptr<grpc::DocumentFetch> fetch;
        Backoff backoff;
        QString problem;
    };

    [[nodiscard]] std::optional<FederationRelationship> find(const TrustDomain &domain);
    void begin(const FederationRelationship &relationship, Watch &watch);
    void take(const TrustDomain &domain, const QByteArray &body);
    void fail(const TrustDomain &domain, const Error &why);
    void note(const TrustDomain &domain, const QString &problem);
    void watchDenyList(const FederationRelationship &relationship, const QByteArray &body);
    void dropFormerPartners();
    [[nodiscard]] Result<TrustBundles> bundlesFor(const SpiffeId &endpoint);

    Authority &m_authority;
    const Clock &m_clock;
    FederationPace m_pace;
    std::map<TrustDomain, std::unique_ptr<Watch>> m_watches;
    PartnerDenyLists m_denyLists;
};

} // namespace lintel::authority
