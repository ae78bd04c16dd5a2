// One AttestAgent stream: an agent's payload, our challenges, its answers, its SVID at the end.
// Owns itself with its call: gone when either side is done. Lives on the server's thread.
#pragma once

#include "authority/authority.h"
#include "grpc/grpc_server.h"
#include "ports/attestor.h"
#include "tpm/attestation_verifier.h"

#include <QObject>

#include <memory>

namespace lintel::authority {

/// What all attestations of one authority share.
struct AttestationTerms {
    tpm::AttestationPolicy policy;
    /// Whether agents of type "tpm" are asked for PCRs as well. SPIRE's plugin answers one challenge
    /// only and fails at a second.
    bool quotesSpireTpm = false;
    /// What agents of type "lintel_tpm" may tie their answers to.
    QList<ChannelBinding> channelBindings{ChannelBinding::Exporter};
    const Clock *clock = nullptr;
};

class AttestCall final : public QObject
{
    Q_OBJECT
public:
    static void serve(std::shared_ptr<grpc::ServerCall> call, Authority &authority, const AttestationTerms &terms);

private:
    AttestCall(std::shared_ptr<grpc::ServerCall> call, Authority &authority, const AttestationTerms &terms);

    void onMessage(const QByteArray &message);
    void begin(const QString &type, const QByteArray &payload, const QByteArray &csrDer);
    void beginWithToken(const QByteArray &token);
    void beginWithChip(const QByteArray &payload);
    void onAnswer(const QByteArray &answer);
    [[nodiscard]] Result<tpm::ChannelValues> channelValues() const;
    void conclude(const tpm::VerifiedAttestation &verified);
    void issue(const AttestedNode &node);
    void sendChallenge(const QByteArray &challenge);
    void refuse(const Error &why);
    [[nodiscard]] QString address() const;

    std::shared_ptr<grpc::ServerCall> m_call;
    Authority &m_authority;
    const AttestationTerms &m_terms;
    QString m_type;
    QByteArray m_csrDer;
    QString m_vendor;
    std::unique_ptr<tpm::NodeVerification> m_verification;
};

} // namespace lintel::authority
