// A WorkloadIssuer on SPIRE's server API, for Lintel's authority and for a SPIRE server: as the
// agent of this host it asks every five seconds which entries it may serve and for the bundles that
// they need, and for SVIDs and tokens when the server wants one.
//
// Lives on the thread of the Workload API server. While the authority is away, entries and bundles
// stay as they were, and a bundle whose number is lower than the last one's is not taken. Nothing is kept on disk.
#pragma once

#include "grpc/grpc_channel.h"
#include "workload-api/workload_issuer.h"

#include <QTimer>

#include <chrono>
#include <memory>

namespace lintel::workloads {

struct SpireIssuerOptions {
    QString authority; // host:port
    TrustDomain domain;
    /// This host as an agent (EmbeddedIdentitySource::agentSvid()), and whom it believes. Asked for
    /// each connection; call reconnect() when it has changed.
    std::function<Result<grpc::ClientTls>()> tls;
    std::chrono::milliseconds period{5'000};
};

class SpireWorkloadIssuer final : public WorkloadIssuer
{
    Q_OBJECT
public:
    explicit SpireWorkloadIssuer(SpireIssuerOptions options, QObject *parent = nullptr);
    ~SpireWorkloadIssuer() override;

    /// The agent has another SVID.
    void reconnect();
    /// Asks now instead of at the next turn.
    void refresh();

    [[nodiscard]] Result<void> ready() const override;
    [[nodiscard]] TrustDomain trustDomain() const override { return m_options.domain; }
    [[nodiscard]] QList<WorkloadEntry> entries() const override { return m_entries; }
    [[nodiscard]] QHash<TrustDomain, tls::BundleDocument> bundles() const override { return m_bundles; }
    void newX509(const WorkloadEntry &entry, const QByteArray &csr, QObject *context,
                 std::function<void(Result<QList<QByteArray>> chainDer)> done) override;
    void newJwt(const WorkloadEntry &entry, const QStringList &audience, QObject *context,
                std::function<void(Result<IssuedToken>)> done) override;

Q_SIGNALS:
    /// Why entries or bundles could not be had; once per new sentence, and once more when it works again.
    void problemFound(const lintel::Error &problem);
    void problemSolved();

private:
    struct Round; // one turn of questions
    struct Order; // of one X.509-SVID

    void askEntries(const std::shared_ptr<Round> &round);
    void askBundles(const std::shared_ptr<Round> &round);
    void conclude(const std::shared_ptr<Round> &round);
    void giveUp(const Error &why);
    void tell(const Error &why);
    void endRound();
    void sendOrders();

    SpireIssuerOptions m_options;
    grpc::Channel m_channel;
    QTimer m_timer;
    QTimer m_sendOrders;
    QList<std::shared_ptr<Order>> m_orders;
    QList<WorkloadEntry> m_entries;
    QHash<TrustDomain, tls::BundleDocument> m_bundles;
    bool m_isReady = false;
    bool m_isAsking = false;
    bool m_askAgain = false;
    Error m_problem;
    QString m_told;
};

} // namespace lintel::workloads
