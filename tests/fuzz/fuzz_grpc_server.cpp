// Any bytes into the server's side of a connection: it never crashes, keeps its accounts, and what
// it answers is bounded by what came.
#include "grpc/http1_documents.h"
#include "grpc/server_session.h"

#include <QCoreApplication>

#include <cstdlib>

using namespace lintel;
using namespace lintel::grpc;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

class Host final : public ServerHost
{
public:
    [[nodiscard]] const ServerLimits &limits() const override { return m_limits; }
    [[nodiscard]] bool keepsMetadata(const QByteArray &name) const override { return name.startsWith('x'); }
    void beginCall(const std::shared_ptr<ServerCallImpl> &call) override
    {
        if (call->path().endsWith('u'))
            return call->setUnary([](const QByteArray &request, const ServerCall &) {
                return UnaryReply{{}, request};
            });
        QObject::connect(call.get(), &ServerCall::messageReceived, call.get(),
                         [raw = call.get()](const QByteArray &message) { raw->send(message); });
        QObject::connect(call.get(), &ServerCall::halfClosed, call.get(), [raw = call.get()] { raw->finish({}); });
    }
    [[nodiscard]] bool reserve(const Peer &, qsizetype bytes) override
    {
        if (m_held + bytes > m_limits.maxBufferedBytes)
            return false;
        m_held += bytes;
        return true;
    }
    void release(const Peer &, qsizetype bytes) override { m_held -= bytes; }
    [[nodiscard]] qsizetype held() const { return m_held; }

private:
    ServerLimits m_limits{.maxMessageBytes = 64 * 1024, .maxBufferedBytes = 128 * 1024};
    qsizetype m_held = 0;
};

class NoLink final : public ServerLink
{
public:
    void flushSoon() override {}
    [[nodiscard]] Result<QByteArray> exportKeyingMaterial(const QByteArray &, int) const override { return Error{}; }
    [[nodiscard]] QByteArray ownCertificate() const override { return {}; }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static int argc = 1;
    static char name[] = "fuzz";
    static char *argv[] = {name, nullptr};
    static const QCoreApplication application(argc, argv); // deadlines are timers
    Host host;
    NoLink link;
    {
        ServerSession session(host, link, std::make_shared<Peer>());
        QByteArray out;
        bool good = session.receive("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        QByteArrayView rest(data, static_cast<qsizetype>(size));
        while (good && !rest.isEmpty()) {
            // The first byte of each part says how long it is.
            const qsizetype part = std::min<qsizetype>(rest.size(), 1 + static_cast<unsigned char>(rest.front()));
            good = session.receive(rest.first(part));
            rest = rest.sliced(part);
            do {
                session.dispatch();
                out.resize(0);
                session.collect(out, 16 * 1024);
                require(out.size() < 64 * 1024);
            } while (session.hasNews() || !out.isEmpty());
            require(host.held() >= 0 && host.held() <= 128 * 1024);
        }
        session.abandon();
        session.dispatch();
    }
    require(host.held() == 0);

    MessageReader reader(1'000);
    reader.append(QByteArrayView(data, static_cast<qsizetype>(size)));
    while (reader.hasMessage())
        require(reader.takeMessage().size() <= 1'000);

    DocumentExchange exchange;
    const DocumentProviders documents{{"/", [] { return Result<Document>(Document{"{}"}); }}};
    const QByteArray answer = exchange.receive(QByteArrayView(data, static_cast<qsizetype>(size)), documents);
    require(answer.isEmpty() || answer.startsWith("HTTP/1.1 "));
    return 0;
}
