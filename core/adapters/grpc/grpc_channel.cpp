#include "grpc/grpc_channel.h"

#include "grpc/client_connection.h"

#include <algorithm>

namespace lintel::grpc {

using namespace Qt::StringLiterals;

class Channel::Private final : public ChannelHost, public CallHost
{
public:
    Private(Channel &owner, ChannelTarget channelTarget) : m_owner(owner), m_target(std::move(channelTarget)) {}
    ~Private()
    {
        if (m_current)
            m_current->abandon();
        for (const auto &connection : m_retired)
            connection->abandon();
    }

    [[nodiscard]] Poller &poller() override { return m_poller; }
    void connectionReady(ClientConnection &connection) override;
    void connectionRefused(ClientConnection &connection, const Error &reason) override;
    void connectionRetired(ClientConnection &connection) override;
    void connectionLost(ClientConnection &connection, const Error &reason) override;
    void connectionEnded(ClientConnection &connection) override;
    void startAgain(ClientCallImpl &call) override { begin(call); }

    void begin(ClientCallImpl &call);
    void connect();
    void drop(ClientConnection &connection);
    void failWaiting(const Status &status);
    [[nodiscard]] const TlsSession *tls() const;

    Channel &m_owner;
    ChannelTarget m_target;
    Poller m_poller;
    std::shared_ptr<ClientConnection> m_current; // connecting or open
    std::vector<std::shared_ptr<ClientConnection>> m_retired;
    std::vector<QPointer<ClientCallImpl>> m_waiting;
};

void Channel::Private::begin(ClientCallImpl &call)
{
    if (m_current && m_current->isReady())
        return m_current->start(call);
    m_waiting.emplace_back(&call);
    if (!m_current)
        connect();
}

void Channel::Private::connect()
{
    auto target = Target::parse(m_target.address);
    if (target && !target->isUnix() && !m_target.tls)
        target = Error{Errc::Malformed,
                       u"%1 needs an identity; clear text is for Unix sockets only."_s.arg(m_target.address)};
    if (!target)
        return failWaiting({StatusCode::InvalidArgument, target.error().message, {}});
    m_current = std::make_shared<ClientConnection>(*this, *target, m_target.address, m_target.tls);
    m_current->open();
}

void Channel::Private::failWaiting(const Status &status)
{
    for (const auto &call : std::exchange(m_waiting, {}))
        if (call)
            call->fail(status);
}

void Channel::Private::connectionReady(ClientConnection &connection)
{
    for (const auto &call : std::exchange(m_waiting, {}))
        if (call && !call->isComplete())
            connection.start(*call);
}

void Channel::Private::connectionRefused(ClientConnection &connection, const Error &reason)
{
    const bool isCurrent = m_current.get() == &connection;
    drop(connection);
    if (isCurrent)
        failWaiting({StatusCode::Unavailable, reason.message, {}});
}

void Channel::Private::connectionRetired(ClientConnection &connection)
{
    if (m_current.get() != &connection)
        return;
    m_retired.push_back(std::exchange(m_current, nullptr));
    if (!m_waiting.empty())
        connect();
}

void Channel::Private::connectionLost(ClientConnection &connection, const Error &reason)
{
    drop(connection);
    QMetaObject::invokeMethod(
        &m_owner, [owner = &m_owner, reason] { Q_EMIT owner->connectionLost(reason); }, Qt::QueuedConnection);
}

void Channel::Private::connectionEnded(ClientConnection &connection)
{
    drop(connection);
}

void Channel::Private::drop(ClientConnection &connection)
{
    if (m_current.get() == &connection)
        m_current.reset();
    std::erase_if(m_retired, [&](const auto &each) { return each.get() == &connection; });
}

const TlsSession *Channel::Private::tls() const
{
    if (m_current && m_current->isReady())
        return m_current->tls();
    return m_retired.empty() ? nullptr : m_retired.back()->tls();
}

Channel::Channel(ChannelTarget target, QObject *parent)
    : QObject(parent), d(std::make_unique<Private>(*this, std::move(target)))
{
    qRegisterMetaType<lintel::Error>();
    qRegisterMetaType<lintel::grpc::Status>();
}

Channel::~Channel()
{
    // Before the connections, so that no call is left with a session that is gone.
    qDeleteAll(findChildren<ClientCallImpl *>(QString(), Qt::FindDirectChildrenOnly));
}

ClientCall *Channel::start(const QByteArray &path, const Metadata &metadata, std::chrono::milliseconds deadline)
{
    auto *call = new ClientCallImpl(*d, path, metadata, deadline, this);
    const auto wrong = std::find_if(metadata.begin(), metadata.end(),
                                    [](const auto &pair) { return !isMetadata(pair.first, pair.second); });
    if (wrong == metadata.end())
        d->begin(*call);
    else
        call->fail({StatusCode::InvalidArgument,
                    u"The metadata \"%1\" cannot travel in a header."_s.arg(QString::fromUtf8(wrong->first)),
                    {}});
    return call;
}

void Channel::unary(const QByteArray &path, const QByteArray &request, std::chrono::milliseconds deadline,
                    QObject *context, std::function<void(Status, QByteArray)> done, const Metadata &metadata)
{
    struct Answer {
        QByteArray message;
        int count = 0;
    };
    ClientCall *call = start(path, metadata, deadline);
    const auto answer = std::make_shared<Answer>();
    connect(call, &ClientCall::messageReceived, call, [answer](const QByteArray &message) {
        answer->message = message;
        ++answer->count;
    });
    connect(call, &ClientCall::finished, context, [answer, done = std::move(done)](const Status &status) {
        if (status.isOk() && answer->count != 1)
            return done({StatusCode::Internal,
                         u"The server answered with %1 messages instead of one."_s.arg(answer->count),
                         {}},
                        {});
        done(status, status.isOk() ? answer->message : QByteArray());
    });
    connect(context, &QObject::destroyed, call, [call] { call->cancel(); });
    call->send(request);
    call->closeSending();
}

void Channel::reset()
{
    if (!d->m_current)
        return;
    const auto connection = d->m_current;
    if (connection->isReady()) {
        d->m_retired.push_back(std::exchange(d->m_current, nullptr));
        connection->retire();
        return;
    }
    // Still connecting, with what may be yesterday's identity: begin anew.
    d->m_current.reset();
    connection->abandon();
    if (!d->m_waiting.empty())
        d->connect();
}

Result<QByteArray> Channel::exportKeyingMaterial(const QByteArray &label, int length) const
{
    const TlsSession *tls = d->tls();
    if (!tls)
        return Error{Errc::Unavailable, u"There is no open TLS connection."_s};
    return tls->exportKeyingMaterial(label, length);
}

QByteArray Channel::serverCertificate() const
{
    const TlsSession *tls = d->tls();
    return tls && !tls->peerChain().isEmpty() ? tls->peerChain().first() : QByteArray();
}

} // namespace lintel::grpc
