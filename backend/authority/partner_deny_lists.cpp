#include "authority/partner_deny_lists.h"

#include "spire/server_methods.h"
#include "spire/wire.h"

#include "lintel_authority.pb.h"

#include <utility>

namespace lintel::authority {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace method = spire::method;

namespace {

const Actor kActor = u"federation"_s;
constexpr auto kPulse = 20s; // a stream over a dead network says nothing: somebody must ask
constexpr auto kCallTime = 15s;

} // namespace

struct PartnerDenyLists::Watch {
    TrustDomain domain;
    QString address;
    std::unique_ptr<grpc::Channel> channel;
    grpc::ClientCall *stream = nullptr;
    QTimer again;
    Backoff backoff{{Millis{1'000}, Millis{30'000}, 0.5, 1.0}};
    QByteArray waiting;    // signed by no key that we know
    QByteArray hurriedFor; // the one that a newer bundle was wanted for: once is enough
    QString problem;
};

PartnerDenyLists::PartnerDenyLists(Authority &authority, const Clock &clock, QObject *parent)
    : QObject(parent), m_authority(authority), m_clock(clock)
{
    connect(&m_pulse, &QTimer::timeout, this, &PartnerDenyLists::checkPulses);
    m_pulse.start(kPulse);
    // No connection outlives the SVID that it was made with.
    connect(&authority.identity(), &IdentitySource::svidChanged, this, [this] {
        for (const auto &[domain, watch] : m_watches)
            begin(*watch);
    });
}

PartnerDenyLists::~PartnerDenyLists() = default;

QList<TrustDomain> PartnerDenyLists::domains() const
{
    QList<TrustDomain> domains;
    for (const auto &[domain, watch] : m_watches)
        domains.append(domain);
    return domains;
}

Result<grpc::ClientTls> PartnerDenyLists::tlsTo(const TrustDomain &domain) const
{
    const auto own = m_authority.identity().current();
    if (!own)
        return own.error();
    const auto server = SpiffeId::parse(u"spiffe://"_s + domain.name() + QString::fromUtf16(spire::kServerPath));
    if (!server)
        return server.error();
    return grpc::ClientTls{(*own)->svid, *server, (*own)->bundles, m_clock.now()};
}

void PartnerDenyLists::watch(const TrustDomain &domain, const QString &address)
{
    auto &watch = m_watches[domain];
    if (watch && watch->address == address) {
        if (!watch->waiting.isEmpty())
            take(*watch, std::exchange(watch->waiting, {}));
        return;
    }
    watch = std::make_unique<Watch>();
    watch->domain = domain;
    watch->address = address;
    watch->channel =
        std::make_unique<grpc::Channel>(grpc::ChannelTarget{address, [this, domain] { return tlsTo(domain); }});
    watch->again.setSingleShot(true);
    connect(&watch->again, &QTimer::timeout, this, [this, raw = watch.get()] { begin(*raw); });
    begin(*watch);
}

void PartnerDenyLists::forget(const TrustDomain &domain)
{
    m_watches.erase(domain); // its calls end without finished()
}

void PartnerDenyLists::begin(Watch &watch)
{
    if (watch.stream != nullptr) {
        watch.stream->disconnect(this);
        watch.stream->cancel();
    }
    watch.again.stop();
    watch.channel->reset(); // for the SVID and the bundles of the moment
    watch.stream = watch.channel->start(method::trust("WatchDenyList"));
    connect(watch.stream, &grpc::ClientCall::messageReceived, this,
            [this, &watch](const QByteArray &message) { onMessage(watch, message); });
    connect(watch.stream, &grpc::ClientCall::finished, this,
            [this, &watch](const grpc::Status &status) { onEnded(watch, status); });
    watch.stream->send({}); // the request has no fields
    watch.stream->closeSending();
}

void PartnerDenyLists::onMessage(Watch &watch, const QByteArray &message)
{
    watch.backoff.reset();
    const auto document = spire::parse<::lintel::authority::v1::DenyListDocument>(message);
    if (!document)
        return note(watch, document.error().message);
    // What it says about others is none of its business.
    if (document->trust_domain().empty())
        take(watch, spire::bytesOf(document->jws()));
}

void PartnerDenyLists::take(Watch &watch, const QByteArray &jws)
{
    const auto stored = m_authority.setFederatedDenyList(watch.domain, jws, kActor);
    if (stored)
        return note(watch, {});
    note(watch, stored.error().message);
    if (stored.error().code != Errc::Denied)
        return;
    watch.waiting = jws;
    if (std::exchange(watch.hurriedFor, jws) != jws)
        Q_EMIT newerBundleWanted(watch.domain);
}

void PartnerDenyLists::onEnded(Watch &watch, const grpc::Status &status)
{
    watch.stream = nullptr;
    // A server that closed in order says so once; only a second time is worth a sentence.
    if (!watch.backoff.isFresh())
        note(watch, status.message.isEmpty() ? u"the connection has ended"_s : status.message);
    watch.again.start(watch.backoff.next());
}

/// Any answer at all proves that the connection lives; that GetTime is not for us is one.
void PartnerDenyLists::checkPulses()
{
    for (const auto &[domain, watch] : m_watches) {
        if (watch->stream == nullptr)
            continue;
        watch->channel->unary(method::trust("GetTime"), {}, kCallTime, &watch->again,
                              [this, raw = watch.get()](const grpc::Status &status, const QByteArray &) {
                                  if (status.code != grpc::StatusCode::DeadlineExceeded || raw->stream == nullptr)
                                      return;
                                  raw->stream->disconnect(this);
                                  raw->stream->cancel();
                                  raw->channel->reset();
                                  onEnded(*raw, status);
                              });
    }
}

void PartnerDenyLists::note(Watch &watch, const QString &problem)
{
    if (std::exchange(watch.problem, problem) == problem)
        return;
    const QString &domain = watch.domain.name();
    if (problem.isEmpty())
        Q_EMIT notice(u"the deny list of %1 comes again"_s.arg(domain));
    else
        Q_EMIT trouble({Errc::Unavailable, u"The deny list of %1 cannot be had: %2"_s.arg(domain, problem)});
}

} // namespace lintel::authority
