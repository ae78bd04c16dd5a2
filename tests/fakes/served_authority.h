// An authority with time in the test's hands, served: agents over TLS on a loopback port, administration on a Unix
// socket, both in the test's own thread. Calls are made as SPIRE's clients make them, by method and message.
#pragma once

#include "authority/service/authority_service.h"
#include "fakes/attested_agent.h"
#include "grpc/grpc_channel.h"
#include "spire/server_methods.h"
#include "spire/wire.h"

#include <QTest>

#include <memory>

namespace lintel::test {

/// What one call brought.
struct Answer {
    grpc::Status status;
    QByteArray bytes;

    template <class Message>
    [[nodiscard]] Message as() const
    {
        const auto message = spire::parse<Message>(bytes);
        return message ? *message : Message{};
    }
};

inline Answer ask(grpc::Channel &channel, const QByteArray &path, const QByteArray &request)
{
    Answer answer{{grpc::StatusCode::Unknown, QStringLiteral("no answer"), {}}, {}};
    bool isThere = false;
    QObject context; // gone with this call, when no answer comes
    channel.unary(path, request, std::chrono::seconds{60}, &context,
                  [&](const grpc::Status &status, const QByteArray &bytes) {
                      answer = {status, bytes};
                      isThere = true;
                  });
    (void)QTest::qWaitFor([&] { return isThere; }, 60'000);
    return answer;
}

template <class Message>
Answer ask(grpc::Channel &channel, const QByteArray &path, const Message &request)
{
    return ask(channel, path, spire::serialize(request));
}

/// One stream: the messages that came, and how it ended.
struct Stream {
    QList<QByteArray> messages;
    std::optional<grpc::Status> end;
    grpc::ClientCall *call = nullptr;
};

inline std::shared_ptr<Stream> open(grpc::Channel &channel, const QByteArray &path)
{
    auto stream = std::make_shared<Stream>();
    stream->call = channel.start(path);
    QObject::connect(stream->call, &grpc::ClientCall::messageReceived, stream->call,
                     [stream](const QByteArray &message) { stream->messages.append(message); });
    QObject::connect(stream->call, &grpc::ClientCall::finished, stream->call,
                     [stream](const grpc::Status &status) { stream->end = status; });
    return stream;
}

struct ServedAuthority : AuthorityFixture {
    authority::AttestationTerms terms;
    std::unique_ptr<authority::AuthorityService> service;
    quint16 port = 0;
    std::unique_ptr<grpc::Channel> admin;

    Result<void> serve()
    {
        if (const auto opened = open(); !opened)
            return opened;
        terms.clock = &clock;
        service = std::make_unique<authority::AuthorityService>(*authority, terms, QStringLiteral("1.2.3"));
        const auto listening = service->listenForAgents(QStringLiteral("127.0.0.1"), 0);
        if (!listening)
            return listening.error();
        port = *listening;
        const QString socket = dir.filePath(QStringLiteral("admin.sock"));
        if (const auto done = service->listenForAdministration(socket, 0600); !done)
            return done;
        admin = std::make_unique<grpc::Channel>(grpc::ChannelTarget{QStringLiteral("unix://") + socket, {}});
        return {};
    }

    /// To the port of agents, with this SVID or without any.
    [[nodiscard]] std::unique_ptr<grpc::Channel> as(const std::optional<X509Svid> &svid) const
    {
        const TrustBundles bundles{{config.domain, authority->bundle()->x509Authorities}};
        return std::make_unique<grpc::Channel>(grpc::ChannelTarget{
            QStringLiteral("127.0.0.1:%1").arg(port), [=, this]() -> Result<grpc::ClientTls> {
                return grpc::ClientTls{svid, id(QStringLiteral("/spire/server")), bundles, clock.now()};
            }});
    }
    /// Attests; its agent's SVID.
    [[nodiscard]] X509Svid agentSvid(const authority::AttestedNode &node, const DeviceKey &key) const
    {
        const auto attested = authority->attest(node);
        return attested ? *tls::makeSvid(attested->svid.chainDer, key.key) : X509Svid{};
    }
    /// Of an enrolled chip, and of a token.
    [[nodiscard]] X509Svid chipAgent(int number, const QString &name, const DeviceKey &key) const
    {
        (void)authority->enroll(ekHashOf(number), factsOf(name), actor);
        return agentSvid(node(ekHashOf(number), key), key);
    }
    [[nodiscard]] X509Svid tokenAgent(const QString &token, const DeviceKey &key) const
    {
        (void)authority->createToken(std::chrono::hours{1}, {}, actor, {}, token);
        return agentSvid(tokenNode(token, key), key);
    }
    /// An entry that the authority took.
    [[nodiscard]] authority::Entry entry(const QString &path, const SpiffeId &parent, int uid) const
    {
        authority::Entry wanted;
        wanted.spiffeId = id(path);
        wanted.parentId = parent;
        wanted.selectors = {{QStringLiteral("unix"), QStringLiteral("uid:%1").arg(uid)}};
        const auto created = authority->createEntry(wanted, actor);
        return created ? *created : authority::Entry{};
    }
};

/// Two agents, of a chip and of a token.
struct TwoAgents : ServedAuthority {
    DeviceKey chipKey;
    DeviceKey tokenKey;
    X509Svid chip;
    X509Svid joined;

    Result<void> serveBoth()
    {
        const auto served = serve();
        if (!served)
            return served;
        chip = chipAgent(1, QStringLiteral("hvac-001"), chipKey);
        joined = tokenAgent(QStringLiteral("token-1"), tokenKey);
        return chip.id.isEmpty() || joined.id.isEmpty() ? Result<void>(Error{Errc::Denied, QStringLiteral("no agents")})
                                                        : Result<void>();
    }
};

} // namespace lintel::test

#define COMPARE_STATUS(answer, expected)                                                                               \
    do {                                                                                                               \
        const grpc::Status status_ = (answer).status;                                                                  \
        QVERIFY2(status_.code == grpc::StatusCode::expected,                                                           \
                 qPrintable(QStringLiteral("%1: %2").arg(int(status_.code)).arg(status_.message)));                    \
    } while (false)
