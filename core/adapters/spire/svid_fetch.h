// One errand of an agent to its authority: prove what this device is, and come back with the SVID,
// the bundles and the time. SPIRE's server API in SPIRE's order (AttestAgent or RenewAgent, then as
// that agent GetAuthorizedEntries, BatchNewX509SVID, GetBundle, GetFederatedBundle), so that a real
// SPIRE server may answer too.
//
// Made for one errand, on the thread that fetches identities; done() or failed() comes once, and
// nothing after it; becameAgent() at most once before. The attestor may block that thread for as long as its chip takes.
#pragma once

#include "grpc/grpc_channel.h"
#include "identity/time_floor.h"
#include "ports/attestor.h"
#include "tls/bundle_document.h"

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>

#include <memory>
#include <optional>

namespace lintel::spire {

/// What the agent itself is to the authority; the SVID of the device is another one.
struct AgentCredential {
    X509Svid svid;
    bool canReattest = true;
};

struct FetchOrder {
    QString authority;    // host:port
    SpiffeId authorityId; // spiffe://td/spire/server
    SpiffeId wanted;      // the SVID that this process shall have
    /// What is believed before the errand: the authority's own domain is there. A bundle that may not
    /// follow the one here (tls::mayReplace) is not taken.
    QHash<TrustDomain, tls::BundleDocument> known;
    /// Renew as this agent instead of attesting; for attestors that can prove themselves only once.
    std::optional<AgentCredential> renewAs;
    /// The key of an attestation whose answer did not arrive: authorities give the same key the same
    /// answer, and nobody else. Null: a new one.
    std::shared_ptr<EVP_PKEY> retryKey;
};

struct FetchedIdentity {
    IdentitySnapshot snapshot;
    AgentCredential agent;
    QHash<TrustDomain, tls::BundleDocument> documents; // the same bundles, with JWT keys
    std::optional<Timestamp> signedTime;               // by the authority, checked with its JWT keys
    std::optional<Error> refusedBundle;                // one stayed as it was, and why
};

class SvidFetch final : public QObject
{
    Q_OBJECT
public:
    SvidFetch(FetchOrder order, Attestor &attestor, const TimeFloor &time, QObject *parent = nullptr);
    ~SvidFetch() override;

    void start();
    /// The key that this errand is for; null before start().
    [[nodiscard]] std::shared_ptr<EVP_PKEY> key() const { return m_key; }

Q_SIGNALS:
    /// What this device is to the authority from now on, whatever becomes of the rest of the errand.
    /// The credential before stops being good as soon as this one is used.
    void becameAgent(const lintel::spire::AgentCredential &agent);
    void done(const lintel::spire::FetchedIdentity &identity);
    void failed(const lintel::Error &why);

private:
    void attest();
    void renew();
    void onAttestMessage(const QByteArray &message);
    void answerChallenge(const QByteArray &challenge);
    void becomeAgent(const QList<QByteArray> &chainDer, bool canReattest);
    void askEntries();
    void onEntries(const QByteArray &response);
    void askSvid(const QByteArray &entryId);
    void onSvid(const QByteArray &response);
    void askBundle();
    void askFederated();
    void askTime();
    void conclude();
    [[nodiscard]] Result<AttestationBinding> binding() const;
    [[nodiscard]] Result<grpc::ClientTls> tlsAs(const std::optional<X509Svid> &own) const;
    [[nodiscard]] Result<tls::BundleDocument> takeBundle(const QByteArray &response, const TrustDomain &domain);
    void fail(const Error &why);

    FetchOrder m_order;
    Attestor &m_attestor;
    const TimeFloor &m_time;
    QTimer m_patience;
    std::unique_ptr<grpc::Channel> m_introduction; // without a certificate (or with the old one)
    std::unique_ptr<grpc::Channel> m_asAgent;
    grpc::ClientCall *m_attestation = nullptr;
    int m_challenges = 0;
    std::shared_ptr<EVP_PKEY> m_key;
    QByteArray m_csr;
    FetchedIdentity m_result;
    QList<TrustDomain> m_federatesWith;
    QByteArray m_timeNonce;
    bool m_isOver = false;
};

} // namespace lintel::spire

Q_DECLARE_METATYPE(lintel::spire::FetchedIdentity)
