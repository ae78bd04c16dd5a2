// Load for an authority that speaks SPIRE's server API, ours or SPIRE's own: tokens, agents and
// entries made through its administration socket, then agents that attest and fetch SVIDs from it.
//
// Every function waits in the event loop of the main thread until its work is done. What the server
// refuses is an Error with its words.
#pragma once

#include "grpc/grpc_channel.h"

#include <chrono>
#include <memory>
#include <vector>

namespace lintel::bench {

class AuthorityLoad
{
public:
    AuthorityLoad(QString address, const QString &adminSocket, const TrustDomain &domain);

    /// Fetches the trust bundle, attests an agent with a join token, and registers `entries` under it.
    [[nodiscard]] Result<void> prepare(int entries);

    /// `clients` connections of that agent, each with one request of `batch` SVIDs at a time.
    [[nodiscard]] Result<double> svidsPerSecond(int clients, int batch, std::chrono::milliseconds duration);

    [[nodiscard]] Result<QStringList> makeTokens(int count);
    /// One whose agent may fetch the SVID of `device`.
    [[nodiscard]] Result<QString> makeToken(const SpiffeId &device);
    /// Each on a connection of its own, `parallel` at a time.
    [[nodiscard]] Result<double> attestationsPerSecond(const QStringList &tokens, int parallel);
    /// An agent of each token that has attested and asked for its entries, and stays connected.
    [[nodiscard]] Result<void> connectAgents(const QStringList &tokens);
    /// The same for agents that have attested already.
    [[nodiscard]] Result<void> connect(const QList<X509Svid> &agents);
    void disconnectAgents() { m_idle.clear(); }

    [[nodiscard]] const TrustBundles &bundles() const { return m_bundles; }
    /// "P-256" of the key that signs SVIDs.
    [[nodiscard]] Result<QString> issuerKeyType() const;

private:
    struct Attestation;

    [[nodiscard]] std::unique_ptr<grpc::Channel> channel(const std::optional<X509Svid> &own) const;
    [[nodiscard]] Result<QByteArray> ask(grpc::Channel &channel, const QByteArray &path,
                                         const QByteArray &request) const;
    [[nodiscard]] Result<QList<X509Svid>> attest(const QStringList &tokens, int parallel, double *seconds = nullptr);

    QString m_address;
    SpiffeId m_serverId;
    grpc::Channel m_administration;
    TrustBundles m_bundles;
    std::shared_ptr<EVP_PKEY> m_key; // of all agents and SVIDs: making keys is no part of the measurement
    QByteArray m_csr;
    X509Svid m_agent;
    QList<QByteArray> m_entryIds;
    std::vector<std::unique_ptr<grpc::Channel>> m_idle;
};

/// Runs the event loop until `condition` holds; false when it did not in time.
[[nodiscard]] bool waitFor(const std::function<bool()> &condition, std::chrono::milliseconds patience);

} // namespace lintel::bench
