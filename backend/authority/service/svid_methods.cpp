#include "authority/service/authority_service.h"
#include "authority/service/conversions.h"
#include "spire/server_methods.h"

#include "spire_svid.pb.h"

namespace lintel::authority {

using namespace Qt::StringLiterals;
namespace api = ::spire::api::server::svid::v1;
namespace method = spire::method;
using spire::bytesOf;
using spire::textOf;

namespace {

constexpr int kMaxBatch = 500; // SPIRE's

QStringList audienceOf(const google::protobuf::RepeatedPtrField<std::string> &audience)
{
    QStringList list;
    for (const std::string &one : audience)
        list.append(textOf(one));
    return list;
}

grpc::UnaryReply replyJwt(const Result<JwtIssued> &issued)
{
    if (!issued)
        return refusal(issued.error());
    api::JWTSVIDResponse response;
    fill(response.mutable_svid(), *issued);
    return reply(response);
}

void answer(grpc::ServerCall &call, const grpc::UnaryReply &reply)
{
    if (reply.status.isOk())
        call.send(reply.message);
    call.finish(reply.status);
}

} // namespace

void AuthorityService::issueSvids(const QByteArray &bytes, const Agent &agent,
                                  const std::shared_ptr<grpc::ServerCall> &call)
{
    const auto refuse = [&call](const Error &why) { call->finish(statusOf(why)); };
    const auto request = spire::parse<api::BatchNewX509SVIDRequest>(bytes);
    if (!request)
        return refuse(request.error());
    if (request->params_size() == 0)
        return refuse({Errc::Malformed, u"The request names no SVID."_s});
    if (request->params_size() > kMaxBatch)
        return refuse(
            {Errc::Full, u"%1 SVIDs in one request are too many; ask for at most %2."_s.arg(request->params_size())
                             .arg(kMaxBatch)});
    if (const auto admitted = admit(agent, Cost::Signature, request->params_size()); !admitted)
        return refuse(admitted.error());
    QList<SvidRequest> orders;
    orders.reserve(request->params_size());
    for (const auto &params : request->params())
        orders.append({textOf(params.entry_id()), bytesOf(params.csr())});
    m_authority.issueX509Later(agent, orders, [call](const Result<QList<Result<IssuedSvid>>> &issued) {
        if (!issued)
            return call->finish(statusOf(issued.error()));
        api::BatchNewX509SVIDResponse response;
        for (const auto &one : *issued) {
            auto *result = response.add_results();
            fill(result->mutable_status(), one ? grpc::Status{} : statusOf(one.error()));
            if (one)
                fill(result->mutable_svid(), *one);
        }
        call->send(spire::serialize(response));
        call->finish({});
    });
}

void AuthorityService::serveSvidMethods()
{
    forAgentsLater(method::svid("BatchNewX509SVID"),
                   [this](const QByteArray &bytes, const Agent &agent, const std::shared_ptr<grpc::ServerCall> &call) {
                       issueSvids(bytes, agent, call);
                   });
    forAgentsLater(
        method::svid("NewJWTSVID"),
        [this](const QByteArray &bytes, const Agent &agent, const std::shared_ptr<grpc::ServerCall> &call) {
            const auto request = spire::parse<api::NewJWTSVIDRequest>(bytes);
            if (!request)
                return call->finish(statusOf(request.error()));
            m_authority.issueJwtLater(agent, textOf(request->entry_id()), audienceOf(request->audience()),
                                      [call](const Result<JwtIssued> &issued) { answer(*call, replyJwt(issued)); });
        },
        Cost::Signature);

    forAdministrators(method::svid("MintX509SVID"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<api::MintX509SVIDRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto minted = m_authority.mintX509(bytesOf(request->csr()), std::chrono::seconds{request->ttl()}, actor);
        if (!minted)
            return refusal(minted.error());
        api::MintX509SVIDResponse response;
        fill(response.mutable_svid(), *minted);
        return reply(response);
    });
    forAdministrators(method::svid("MintJWTSVID"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<api::MintJWTSVIDRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto id = spire::spiffeIdOf(request->id());
        if (!id)
            return refusal(id.error());
        return replyJwt(
            m_authority.mintJwt(*id, audienceOf(request->audience()), std::chrono::seconds{request->ttl()}, actor));
    });
}

} // namespace lintel::authority
