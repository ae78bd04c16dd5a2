#include "grpc/document_fetch.h"

#include "grpc/http1_response.h"
#include "grpc/link.h"
#include "grpc/resolver.h"

#include <QTimer>

namespace lintel::grpc {

using namespace Qt::StringLiterals;

namespace {

constexpr int kMostRedirects = 3;
constexpr int kHttpsPort = 443;

bool isRedirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

QByteArray hostField(const QUrl &url)
{
    QByteArray host = url.host(QUrl::FullyEncoded).toLatin1();
    if (host.contains(':'))
        host = '[' + host + ']';
    return url.port() < 0 ? host : host + ':' + QByteArray::number(url.port());
}

QByteArray requestFor(const QUrl &url)
{
    QByteArray target = url.path(QUrl::FullyEncoded).toLatin1();
    if (target.isEmpty())
        target = "/";
    if (url.hasQuery())
        target += '?' + url.query(QUrl::FullyEncoded).toLatin1();
    return "GET " + target + " HTTP/1.1\r\nHost: " + hostField(url)
           + "\r\nAccept: application/json\r\nConnection: close\r\n\r\n";
}

} // namespace

class DocumentFetch::Exchange final : public std::enable_shared_from_this<Exchange>, private Link::Owner
{
public:
    Exchange(DocumentFetch &fetch, DocumentRequest request) : m_fetch(&fetch), m_request(std::move(request))
    {
        m_patience.setSingleShot(true);
        QObject::connect(&m_patience, &QTimer::timeout, &m_patience, [this] {
            fail({Errc::Timeout, u"%1 does not answer."_s.arg(m_request.url.toString())});
        });
    }

    void start()
    {
        m_patience.start(m_request.patience);
        get();
    }
    void abandon()
    {
        m_fetch = nullptr;
        m_patience.stop();
        if (m_link)
            m_link->close();
    }

private:
    void get()
    {
        if (const auto usable = checkUrl(m_request.url); !usable)
            return fail(usable.error());
        m_response = {};
        m_resolver = std::make_unique<Resolver>();
        m_resolver->start(m_request.url.host(QUrl::FullyEncoded), quint16(m_request.url.port(kHttpsPort)),
                          [this](Result<QList<SocketAddress>> addresses) {
                              if (!addresses)
                                  return fail(addresses.error());
                              m_addresses = *std::move(addresses);
                              tryNext();
                          });
    }

    void tryNext()
    {
        while (!m_addresses.isEmpty()) {
            auto socket = beginConnect(m_addresses.takeFirst());
            if (!socket) {
                m_lastError = socket.error();
                continue;
            }
            m_link = std::make_unique<Link>(m_poller, static_cast<Link::Owner &>(*this));
            if (const auto started = m_link->start(*std::move(socket), true, true); started)
                return;
            else
                m_lastError = started.error();
        }
        fail(m_lastError);
    }

    [[nodiscard]] std::shared_ptr<void> keepAlive() override { return shared_from_this(); }
    [[nodiscard]] Result<std::unique_ptr<TlsSession>> makeTls(int socket) override
    {
        return TlsSession::documentClient(socket, {{}, m_request.server, m_request.bundles, m_request.verifyAt},
                                          m_request.url.host(QUrl::FullyEncoded));
    }
    void linkOpened() override { m_link->write(requestFor(m_request.url)); }
    void linkReceived(QByteArrayView bytes) override
    {
        if (m_isOver)
            return;
        const auto complete = m_response.receive(bytes);
        if (!complete)
            return fail({complete.error().code, u"%1: %2"_s.arg(m_request.url.toString(), complete.error().message)});
        if (*complete)
            later([this] { conclude(); });
    }
    void linkDrained() override {}
    void linkFailed(const Error &reason) override
    {
        if (m_isOver || m_isConcluding)
            return;
        m_lastError = {reason.code, u"%1 cannot be reached: %2"_s.arg(m_request.url.toString(), reason.message)};
        const bool another = !m_link->wasReached() && !m_addresses.isEmpty();
        later([this, another] {
            if (another)
                tryNext();
            else
                fail(m_lastError);
        });
    }
    void linkClosed() override {}

    void conclude()
    {
        m_link->close();
        m_isConcluding = false;
        if (isRedirect(m_response.status()))
            return redirect();
        if (m_response.status() != 200)
            return fail(
                {Errc::Unavailable,
                 u"%1 answers %2 instead of a document."_s.arg(m_request.url.toString()).arg(m_response.status())});
        if (std::exchange(m_isOver, true))
            return;
        m_patience.stop();
        Q_EMIT m_fetch->done(m_response.body());
    }

    void redirect()
    {
        const QUrl next = m_request.url.resolved(QUrl(QString::fromUtf8(m_response.field("location"))));
        if (++m_redirects > kMostRedirects)
            return fail({Errc::Unavailable, u"%1 leads from one place to the next."_s.arg(m_request.url.toString())});
        m_request.url = next;
        get();
    }

    /// Not from inside of the link, which is in the middle of something.
    void later(std::function<void()> what)
    {
        m_isConcluding = true;
        QTimer::singleShot(0, &m_patience, [this, self = shared_from_this(), what = std::move(what)] {
            m_isConcluding = false;
            if (m_fetch && !m_isOver)
                what();
        });
    }

    void fail(const Error &why)
    {
        if (std::exchange(m_isOver, true))
            return;
        m_patience.stop();
        QTimer::singleShot(0, &m_patience, [this, self = shared_from_this(), why] {
            if (m_link)
                m_link->close();
            if (m_fetch)
                Q_EMIT m_fetch->failed(why);
        });
    }

    DocumentFetch *m_fetch; // null when it is gone
    DocumentRequest m_request;
    QTimer m_patience;
    Poller m_poller;
    std::unique_ptr<Resolver> m_resolver;
    QList<SocketAddress> m_addresses;
    std::unique_ptr<Link> m_link;
    Http1Response m_response;
    Error m_lastError{Errc::Unavailable, u"The host has no address."_s};
    int m_redirects = 0;
    bool m_isConcluding = false;
    bool m_isOver = false;
};

DocumentFetch::DocumentFetch(DocumentRequest request, QObject *parent)
    : QObject(parent), m_exchange(std::make_shared<Exchange>(*this, std::move(request)))
{}

DocumentFetch::~DocumentFetch()
{
    m_exchange->abandon();
}

void DocumentFetch::start()
{
    m_exchange->start();
}

Result<void> DocumentFetch::checkUrl(const QUrl &url)
{
    if (!url.isValid() || url.scheme() != "https"_L1 || url.host().isEmpty() || !url.userInfo().isEmpty())
        return Error{
            Errc::Malformed,
            u"\"%1\" is no address of a document: it must begin with https:// and name a host, and no user."_s.arg(
                url.toDisplayString())};
    return {};
}

} // namespace lintel::grpc
