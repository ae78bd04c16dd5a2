#include "authority/admin_client.h"

#include "spire/server_methods.h"

#include "spire_trustdomain.pb.h"

#include <QEventLoop>
#include <QFileInfo>

namespace lintel::cli {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace domainApi = ::spire::api::server::trustdomain::v1;

namespace {

constexpr auto kPatience = 60s; // a backup takes a while

Errc codeOf(grpc::StatusCode code)
{
    using grpc::StatusCode;
    switch (code) {
    case StatusCode::InvalidArgument: return Errc::Malformed;
    case StatusCode::OutOfRange: return Errc::OutOfRange;
    case StatusCode::NotFound: return Errc::NotFound;
    case StatusCode::AlreadyExists: return Errc::Conflict;
    case StatusCode::PermissionDenied:
    case StatusCode::Unauthenticated: return Errc::Denied;
    case StatusCode::ResourceExhausted: return Errc::Full;
    case StatusCode::DeadlineExceeded: return Errc::Timeout;
    case StatusCode::FailedPrecondition:
    case StatusCode::Unimplemented: return Errc::Unsupported;
    case StatusCode::Unavailable:
    case StatusCode::Cancelled: return Errc::Unavailable;
    default: return Errc::Io;
    }
}

} // namespace

AdminClient::AdminClient(const QString &socket)
    : m_socket(QFileInfo(socket).absoluteFilePath()), m_channel({u"unix://"_s + m_socket, {}})
{}

Result<QByteArray> AdminClient::ask(const QByteArray &path, const QByteArray &request)
{
    if (!QFileInfo::exists(m_socket))
        return Error{Errc::Unavailable, u"There is no socket %1: lintel-authority does not run here, or its "
                                        "admin.socket is another one (--socket)."_s.arg(m_socket)};
    QEventLoop loop;
    Result<QByteArray> answer = Error{Errc::Timeout, {}};
    m_channel.unary(path, request, kPatience, &loop, [&](const grpc::Status &status, const QByteArray &response) {
        if (status.isOk())
            answer = response;
        else
            answer = Error{codeOf(status.code), status.message};
        loop.quit();
    });
    loop.exec();
    if (!answer && answer.error().code == Errc::Timeout)
        return Error{Errc::Timeout, u"The authority at %1 does not answer."_s.arg(m_socket)};
    return answer;
}

Result<void> resultOf(const ::spire::api::types::Status &status)
{
    if (status.code() == 0)
        return {};
    return Error{codeOf(grpc::StatusCode(status.code())), spire::textOf(status.message())};
}

namespace {

template <class Request>
Result<void> sendRelationship(AdminClient &client, const char *method,
                              const ::spire::api::types::FederationRelationship &wanted)
{
    Request request;
    *request.add_federation_relationships() = wanted;
    const auto answer =
        client.call<domainApi::FederationRelationshipResults>(spire::method::trustDomain(method), request);
    if (!answer)
        return answer.error();
    if (answer->results_size() != 1)
        return Error{Errc::Malformed, u"The authority's answer says nothing about the relationship."_s};
    return resultOf(answer->results(0).status());
}

} // namespace

Result<void> federate(AdminClient &client, const ::spire::api::types::FederationRelationship &wanted)
{
    const auto made = sendRelationship<domainApi::BatchCreateFederationRelationshipRequest>(
        client, "BatchCreateFederationRelationship", wanted);
    if (made || made.error().code != Errc::Conflict)
        return made;
    return sendRelationship<domainApi::BatchUpdateFederationRelationshipRequest>(
        client, "BatchUpdateFederationRelationship", wanted);
}

} // namespace lintel::cli
