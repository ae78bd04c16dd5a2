// A gRPC server and identities for tests: two trust domains, each with a root of its own.
//
// The server echoes: /test.Echo/Unary answers the request, /Count sends as many messages as the
// request says, /Collect answers the sum of the lengths, /Chat sends every message back,
// /Wait never answers, /Fail answers the status whose number is the request, /Who answers who calls.
#pragma once

#include "grpc/grpc_channel.h"
#include "grpc/grpc_server.h"
#include "ports/system_clock.h"
#include "tls/pki.h"
#include "tls/x509.h"

#include <QTest>

#include <memory>

namespace lintel::test {

using namespace Qt::StringLiterals;

struct TwoDomains {
    Timestamp now = SystemClock().now();
    tls::Pki building = *tls::Pki::create(*TrustDomain::parse(u"building-1.smart.local"), now - std::chrono::days{1});
    tls::Pki stranger = *tls::Pki::create(*TrustDomain::parse(u"elsewhere.example"), now);
    SpiffeId serverId = *SpiffeId::parse(u"spiffe://building-1.smart.local/spire/server");
    SpiffeId sensorId = *SpiffeId::parse(u"spiffe://building-1.smart.local/agent/hvac-001");
    TrustBundles bundles{{building.domain(), {building.rootDer()}}};

    [[nodiscard]] X509Svid svid(const SpiffeId &id, Timestamp at) const
    {
        return *building.issue(id, std::chrono::hours{1}, at);
    }
    [[nodiscard]] X509Svid svid(const SpiffeId &id) const { return svid(id, now); }
    [[nodiscard]] X509Svid foreignSvid() const
    {
        return *stranger.issue(*SpiffeId::parse(u"spiffe://elsewhere.example/agent/hvac-001"), std::chrono::hours{1},
                               now);
    }
};

/// What a call brought, kept because a call deletes itself.
struct Recorded {
    QList<QByteArray> messages;
    std::optional<grpc::Status> status;
    int drained = 0;
};

inline std::shared_ptr<Recorded> record(grpc::ClientCall *call)
{
    auto recorded = std::make_shared<Recorded>();
    QObject::connect(call, &grpc::ClientCall::messageReceived, call,
                     [recorded](const QByteArray &message) { recorded->messages.append(message); });
    QObject::connect(call, &grpc::ClientCall::drained, call, [recorded] { ++recorded->drained; });
    QObject::connect(call, &grpc::ClientCall::finished, call,
                     [recorded](const grpc::Status &status) { recorded->status = status; });
    return recorded;
}

/// What the echo server saw.
struct EchoLog {
    int waiting = 0;
    int cancelled = 0;
    std::shared_ptr<grpc::ServerCall> last; // of /Wait
};

inline std::shared_ptr<EchoLog> serveEcho(grpc::Server &server)
{
    using grpc::ServerCall;
    auto log = std::make_shared<EchoLog>();
    server.keepMetadata({"x-suffix", "x-raw-bin"});
    server.handleUnary("/test.Echo/Unary", [](const QByteArray &request, const ServerCall &call) {
        const QByteArray extra = call.metadata("x-suffix") + call.metadata("x-raw-bin");
        return grpc::UnaryReply{{}, request + extra};
    });
    server.handleUnary("/test.Echo/Fail", [](const QByteArray &request, const ServerCall &) {
        return grpc::UnaryReply{
            {static_cast<grpc::StatusCode>(request.toInt()), u"Zu spät: 100 % übel\n"_s, QByteArray("\0\1\2\xff", 4)},
            {}};
    });
    server.handleUnary("/test.Echo/Detail", [](const QByteArray &request, const ServerCall &) {
        const QString message = u"Zu spät: 100 % übel\n"_s;
        const QByteArray text = message.toUtf8();
        // google.rpc.Status{7, message, [Any{"type.example/x", "v"}]}
        const QByteArray details = "\x08\x07\x12" + QByteArray(1, static_cast<char>(text.size())) + text
                                   + QByteArray::fromHex("1a130a0e") + "type.example/x" + QByteArray::fromHex("120176");
        return grpc::UnaryReply{
            {grpc::StatusCode::PermissionDenied, message, request.isEmpty() ? details : QByteArray()}, {}};
    });
    server.handleUnary("/test.Echo/Who", [](const QByteArray &, const ServerCall &call) {
        const grpc::Peer &peer = call.peer();
        if (peer.process)
            return grpc::UnaryReply{{}, "pid " + QByteArray::number(peer.process->pid)};
        return grpc::UnaryReply{{}, peer.id ? peer.id->toString().toUtf8() : QByteArray("nobody")};
    });
    server.handleUnary("/test.Echo/Export", [](const QByteArray &label, const ServerCall &call) {
        const auto bytes = call.exportKeyingMaterial(label, 32);
        return bytes ? grpc::UnaryReply{{}, *bytes}
                     : grpc::UnaryReply{{grpc::StatusCode::Unimplemented, bytes.error().message, {}}, {}};
    });
    server.handleStream("/test.Echo/Count", [](const std::shared_ptr<ServerCall> &call) {
        QObject::connect(call.get(), &ServerCall::messageReceived, call.get(), [call](const QByteArray &request) {
            for (int i = 0; i < request.toInt(); ++i)
                call->send(QByteArray::number(i));
            call->finish({});
        });
    });
    server.handleStream("/test.Echo/Collect", [](const std::shared_ptr<ServerCall> &call) {
        const auto sum = std::make_shared<qsizetype>(0);
        QObject::connect(call.get(), &ServerCall::messageReceived, call.get(),
                         [sum](const QByteArray &message) { *sum += message.size(); });
        QObject::connect(call.get(), &ServerCall::halfClosed, call.get(), [call, sum] {
            call->send(QByteArray::number(*sum));
            call->finish({});
        });
    });
    server.handleStream("/test.Echo/Chat", [](const std::shared_ptr<ServerCall> &call) {
        QObject::connect(call.get(), &ServerCall::messageReceived, call.get(),
                         [call](const QByteArray &message) { call->send(message); });
        QObject::connect(call.get(), &ServerCall::halfClosed, call.get(), [call] { call->finish({}); });
    });
    server.handleStream("/test.Echo/Wait", [log](const std::shared_ptr<ServerCall> &call) {
        ++log->waiting;
        log->last = call;
        QObject::connect(call.get(), &ServerCall::cancelled, call.get(), [log] { ++log->cancelled; });
    });
    return log;
}

} // namespace lintel::test
