#include "authority/service/attest_call.h"

#include "authority/service/conversions.h"

#include <QCryptographicHash>

namespace lintel::authority {

using namespace Qt::StringLiterals;
namespace api = ::spire::api::server::agent::v1;
using spire::bytesOf;
using spire::textOf;

namespace {

constexpr int kMaxTokenBytes = 512;

Selectors selectorsOf(const tpm::VerifiedAttestation &verified)
{
    Selectors selectors{{u"tpm"_s, u"pub_hash:"_s + verified.ek.hash}};
    for (auto it = verified.pcrs.cbegin(); it != verified.pcrs.cend(); ++it)
        selectors.append({u"tpm"_s, u"pcr:sha256:%1:%2"_s.arg(it.key()).arg(QString::fromLatin1(it.value().toHex()))});
    if (verified.eventLog && verified.eventLog->explainsPcrs && verified.eventLog->secureBoot)
        selectors.append({u"tpm"_s, u"secureboot:%1"_s.arg(*verified.eventLog->secureBoot ? u"enabled" : u"disabled")});
    return selectors;
}

} // namespace

void AttestCall::serve(std::shared_ptr<grpc::ServerCall> call, Authority &authority, const AttestationTerms &terms)
{
    // Before anything of it is read: whoever is not even known may cost no more than this.
    const QString connection = call->peer().address;
    if (const auto admitted = authority.admitCall(connection, hostOf(connection)); !admitted) {
        authority.noteRefusal(hostOf(connection), hostOf(connection), u"Too many attempts; not looked at."_s);
        call->finish(statusOf(admitted.error()));
        return;
    }
    new AttestCall(std::move(call), authority, terms); // parented to its call
}

AttestCall::AttestCall(std::shared_ptr<grpc::ServerCall> call, Authority &authority, const AttestationTerms &terms)
    : QObject(call.get()), m_call(std::move(call)), m_authority(authority), m_terms(terms)
{
    connect(m_call.get(), &grpc::ServerCall::messageReceived, this, &AttestCall::onMessage);
    const auto letGo = [this] {
        // The call owns this object, and this object the call: one of the two must begin. At once, as a
        // server that ends runs no more events; whoever emits this holds the call until it has returned.
        m_call.reset();
    };
    connect(m_call.get(), &grpc::ServerCall::cancelled, this, letGo);
}

QString AttestCall::address() const
{
    return hostOf(m_call->peer().address);
}

void AttestCall::onMessage(const QByteArray &message)
{
    if (!m_call)
        return;
    const auto request = spire::parse<api::AttestAgentRequest>(message);
    if (!request)
        return refuse(request.error());
    const bool isFirst = m_type.isEmpty();
    if (isFirst != request->has_params())
        return refuse({Errc::Malformed, u"An attestation is its parameters, and then answers to challenges."_s});
    if (!isFirst)
        return onAnswer(bytesOf(request->challenge_response()));
    const auto &params = request->params();
    begin(textOf(params.data().type()), bytesOf(params.data().payload()), bytesOf(params.params().csr()));
}

void AttestCall::begin(const QString &type, const QByteArray &payload, const QByteArray &csrDer)
{
    if (const auto offered = m_authority.checkType(type); !type.isEmpty() && !offered)
        return refuse(offered.error());
    if (type.isEmpty() || payload.isEmpty() || csrDer.isEmpty())
        return refuse({Errc::Malformed, u"An attestation needs a type, a payload and a certificate request."_s});
    m_type = type;
    m_csrDer = csrDer;
    if (type == "join_token"_L1)
        return beginWithToken(payload);
    beginWithChip(payload);
}

void AttestCall::beginWithToken(const QByteArray &token)
{
    if (token.size() > kMaxTokenBytes)
        return refuse({Errc::Malformed, u"That is no join token."_s});
    // The limiter knows the token by its hash: its memory is no place for secrets.
    const QByteArray hash = QCryptographicHash::hash(token, QCryptographicHash::Sha256).toHex();
    if (const auto admitted = m_authority.admit(QString::fromLatin1(hash), address()); !admitted)
        return refuse(admitted.error());
    AttestedNode node;
    node.token = QString::fromUtf8(token);
    issue(node);
}

void AttestCall::beginWithChip(const QByteArray &payload)
{
    tpm::AttestationPolicy policy = m_terms.policy;
    if (m_type == tpm::kSpireTpmType && !m_terms.quotesSpireTpm)
        policy.pcrs.clear();
    // Requests are checked and challenges made only for whom the limits let through. What is claimed here counts
    // together with the address, so that nobody can use up the attempts of a chip that is elsewhere.
    const auto claimed = tpm::claimedEndorsementHash(m_type, payload);
    if (!claimed)
        return refuse(claimed.error());
    if (const auto admitted = m_authority.admit(*claimed + u'@' + networkOf(address()), address()); !admitted)
        return refuse(admitted.error());
    auto verification = tpm::startVerification(m_type, payload, m_csrDer, policy, m_terms.clock->now());
    if (!verification) // also a maker whom nobody trusts here is a refusal
        return refuse(verification.error().code == Errc::NotFound ? Error{Errc::Denied, verification.error().message}
                                                                  : verification.error());
    const tpm::EndorsementKey &ek = (*verification)->endorsementKey();
    if (ek.chain == tpm::EndorsementChain::Invalid)
        return refuse({Errc::Denied, ek.chainReason});
    m_vendor = ek.maker();
    // Everybody gets a challenge: whether this chip is enrolled, waits or was revoked, and why, is told to whoever
    // has opened it (Authority::attest), not to everybody who has seen the chip's public key.
    m_verification = std::move(*verification);
    sendChallenge(m_verification->challenge());
}

void AttestCall::sendChallenge(const QByteArray &challenge)
{
    api::AttestAgentResponse response;
    response.set_challenge(challenge.toStdString());
    m_call->send(spire::serialize(response));
}

void AttestCall::onAnswer(const QByteArray &answer)
{
    if (!m_verification)
        return refuse({Errc::Malformed, u"Nothing was asked that this could be the answer to."_s});
    const auto channel = channelValues();
    if (!channel)
        return refuse(channel.error());
    const auto step = m_verification->answer(answer, *channel, m_terms.clock->now());
    if (!step)
        return refuse(step.error());
    if (!step->verified)
        return sendChallenge(step->nextChallenge);
    conclude(*step->verified);
}

Result<tpm::ChannelValues> AttestCall::channelValues() const
{
    tpm::ChannelValues values;
    if (m_terms.channelBindings.contains(ChannelBinding::Exporter)) {
        const auto exported = m_call->exportKeyingMaterial(kChannelBindingLabel, kChannelBindingBytes);
        if (!exported)
            return exported.error();
        values.exporter = *exported;
    }
    const QByteArray own = m_call->ownCertificate();
    if (m_terms.channelBindings.contains(ChannelBinding::ServerCertificate) && !own.isEmpty())
        values.serverCertificate = QCryptographicHash::hash(own, QCryptographicHash::Sha256);
    return values;
}

void AttestCall::conclude(const tpm::VerifiedAttestation &verified)
{
    AttestedNode node;
    node.ekHash = verified.ek.hash;
    node.vendor = m_vendor;
    node.keyIsInTpm = verified.keyIsInTpm;
    node.selectors = selectorsOf(verified);
    node.quote = verified.quote;
    node.quoteSignature = verified.quoteSignature;
    node.pcrs = verified.pcrs;
    if (verified.eventLog) {
        node.eventLog = verified.eventLog->bytes;
        if (!verified.eventLog->explainsPcrs)
            node.eventLogProblem = verified.eventLog->reason;
    }
    issue(node);
}

void AttestCall::issue(const AttestedNode &basis)
{
    AttestedNode node = basis;
    node.type = m_type;
    node.address = address();
    node.csrDer = m_csrDer;
    const auto issued = m_authority.attest(node);
    if (!issued)
        return refuse(issued.error());
    api::AttestAgentResponse response;
    fill(response.mutable_result()->mutable_svid(), issued->svid);
    response.mutable_result()->set_reattestable(issued->agent.canReattest);
    m_call->send(spire::serialize(response));
    m_call->finish({});
    deleteLater();
    m_call.reset();
}

void AttestCall::refuse(const Error &why)
{
    const QString who = m_verification ? m_verification->endorsementKey().hash : address();
    // The seconds in the sentence would make every one of them another reason.
    m_authority.noteRefusal(address(), who, why.code == Errc::Full ? u"Too many attempts."_s : why.message);
    grpc::Status status = statusOf(why);
    if (m_type == "join_token"_L1 && status.code == grpc::StatusCode::PermissionDenied)
        status.code = grpc::StatusCode::InvalidArgument; // as SPIRE answers a token that is not good
    m_call->finish(status);
    deleteLater();
    m_call.reset();
}

} // namespace lintel::authority
