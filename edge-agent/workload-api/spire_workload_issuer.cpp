#include "workload-api/spire_workload_issuer.h"

#include "spire/server_methods.h"
#include "spire/wire.h"

#include "spire_bundle.pb.h"
#include "spire_entry.pb.h"
#include "spire_svid.pb.h"

#include <QPointer>

namespace lintel::workloads {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using grpc::Status;
using spire::bytesOf;
using spire::errorOf;
using spire::parse;
using spire::serialize;
using spire::stringOf;
using spire::textOf;
namespace entryApi = ::spire::api::server::entry::v1;
namespace svidApi = ::spire::api::server::svid::v1;
namespace bundleApi = ::spire::api::server::bundle::v1;
namespace method = spire::method;
namespace types = ::spire::api::types;

namespace {

constexpr auto kCallTime = 15s;
constexpr qsizetype kMaxBatch = 500; // what SPIRE takes

std::optional<WorkloadEntry> entryOf(const types::Entry &wire)
{
    const auto id = spire::spiffeIdOf(wire.spiffe_id());
    if (!id || id->path().isEmpty() || wire.id().empty())
        return std::nullopt;
    WorkloadEntry entry;
    entry.id = textOf(wire.id());
    entry.spiffeId = *id;
    for (const auto &selector : wire.selectors())
        entry.selectors.insert(textOf(selector.type()) + u':' + textOf(selector.value()));
    entry.federatesWith = spire::federatesWithOf(wire);
    entry.hint = textOf(wire.hint());
    entry.revision = wire.revision_number();
    entry.createdAt = wire.created_at();
    return entry;
}

} // namespace

struct SpireWorkloadIssuer::Round {
    QList<WorkloadEntry> entries;
    QHash<TrustDomain, tls::BundleDocument> bundles;
    QList<TrustDomain> missing; // the first is being asked for
    std::optional<Error> refusedBundle;
};

struct SpireWorkloadIssuer::Order {
    QString entryId;
    QByteArray csr;
    QPointer<QObject> context;
    std::function<void(Result<QList<QByteArray>>)> done;

    void answer(const Result<QList<QByteArray>> &chainDer) const
    {
        if (context)
            done(chainDer);
    }
};

SpireWorkloadIssuer::SpireWorkloadIssuer(SpireIssuerOptions options, QObject *parent)
    : WorkloadIssuer(parent), m_options(std::move(options)),
      m_channel({m_options.authority, m_options.tls}), m_problem{Errc::Unavailable,
                                                                 u"The authority at %1 has not answered yet."_s.arg(
                                                                     m_options.authority)}
{
    m_timer.setSingleShot(true);
    connect(&m_timer, &QTimer::timeout, this, &SpireWorkloadIssuer::refresh);
    m_sendOrders.setSingleShot(true);
    m_sendOrders.setInterval(0);
    connect(&m_sendOrders, &QTimer::timeout, this, &SpireWorkloadIssuer::sendOrders);
    m_timer.start(0ms);
}

SpireWorkloadIssuer::~SpireWorkloadIssuer() = default;

void SpireWorkloadIssuer::reconnect()
{
    m_channel.reset();
    refresh();
}

Result<void> SpireWorkloadIssuer::ready() const
{
    if (m_isReady)
        return {};
    return m_problem;
}

// --- Entries and bundles --------------------------------------------------------------------------

void SpireWorkloadIssuer::refresh()
{
    m_timer.stop();
    if (m_isAsking) {
        m_askAgain = true;
        return;
    }
    m_isAsking = true;
    askEntries(std::make_shared<Round>());
}

void SpireWorkloadIssuer::askEntries(const std::shared_ptr<Round> &round)
{
    // Without a mask: all of each entry.
    m_channel.unary(method::entry("GetAuthorizedEntries"), {}, kCallTime, this,
                    [this, round](const Status &status, const QByteArray &message) {
                        if (!status.isOk())
                            return giveUp(errorOf(status, u"Asking for workload entries"_s));
                        const auto response = parse<entryApi::GetAuthorizedEntriesResponse>(message);
                        if (!response)
                            return giveUp(response.error());
                        round->missing.append(m_options.domain);
                        for (const types::Entry &wire : response->entries()) {
                            const auto entry = entryOf(wire);
                            if (!entry)
                                continue;
                            round->entries.append(*entry);
                            for (const TrustDomain &domain : entry->federatesWith) {
                                if (!round->missing.contains(domain))
                                    round->missing.append(domain);
                            }
                        }
                        askBundles(round);
                    });
}

void SpireWorkloadIssuer::askBundles(const std::shared_ptr<Round> &round)
{
    if (round->missing.isEmpty())
        return conclude(round);
    const TrustDomain domain = round->missing.takeFirst();
    const bool isOwn = domain == m_options.domain;
    bundleApi::GetFederatedBundleRequest federated;
    federated.set_trust_domain(domain.name().toStdString());
    m_channel.unary(
        method::bundle(isOwn ? "GetBundle" : "GetFederatedBundle"), isOwn ? QByteArray() : serialize(federated),
        kCallTime, this, [this, round, domain, isOwn](const Status &status, const QByteArray &message) {
            // A federated one that is not there yet comes with a later turn.
            if (status.code == grpc::StatusCode::NotFound && !isOwn)
                return askBundles(round);
            if (!status.isOk())
                return giveUp(errorOf(status, u"Asking for the bundle of %1"_s.arg(domain.name())));
            const auto wire = parse<types::Bundle>(message);
            const auto bundle = wire ? spire::bundleOf(*wire, domain) : Result<tls::BundleDocument>(wire.error());
            if (!bundle)
                return giveUp(bundle.error());
            if (isOwn && bundle->x509Authorities.isEmpty())
                return giveUp({Errc::Malformed, u"The authority's trust bundle has no root."_s});
            const auto known = m_bundles.constFind(domain);
            const auto allowed = known == m_bundles.constEnd() ? Result<void>() : tls::mayReplace(*known, *bundle);
            if (!allowed)
                round->refusedBundle = spire::olderBundle(domain, allowed.error());
            round->bundles.insert(domain, allowed ? *bundle : *known);
            askBundles(round);
        });
}

void SpireWorkloadIssuer::conclude(const std::shared_ptr<Round> &round)
{
    const bool isNew = !m_isReady || m_entries != round->entries || m_bundles != round->bundles;
    m_isReady = true;
    m_entries = round->entries;
    m_bundles = round->bundles;
    if (round->refusedBundle)
        tell(*round->refusedBundle);
    else if (!std::exchange(m_told, QString()).isEmpty())
        Q_EMIT problemSolved();
    if (isNew)
        Q_EMIT changed();
    endRound();
}

void SpireWorkloadIssuer::giveUp(const Error &why)
{
    m_problem = {Errc::Unavailable, why.message};
    tell(why);
    endRound();
}

void SpireWorkloadIssuer::tell(const Error &why)
{
    if (std::exchange(m_told, why.message) != why.message)
        Q_EMIT problemFound(why);
}

void SpireWorkloadIssuer::endRound()
{
    m_isAsking = false;
    m_timer.start(std::exchange(m_askAgain, false) ? 0ms : m_options.period);
}

// --- SVIDs ----------------------------------------------------------------------------------------

void SpireWorkloadIssuer::newX509(const WorkloadEntry &entry, const QByteArray &csr, QObject *context,
                                  std::function<void(Result<QList<QByteArray>>)> done)
{
    m_orders.append(std::make_shared<Order>(Order{entry.id, csr, context, std::move(done)}));
    m_sendOrders.start();
}

void SpireWorkloadIssuer::sendOrders()
{
    QList<std::shared_ptr<Order>> orders = m_orders.mid(0, kMaxBatch);
    m_orders.remove(0, orders.size());
    if (!m_orders.isEmpty())
        m_sendOrders.start();
    svidApi::BatchNewX509SVIDRequest request;
    for (const auto &order : orders) {
        auto *params = request.add_params();
        params->set_entry_id(order->entryId.toStdString());
        params->set_csr(stringOf(order->csr));
    }
    m_channel.unary(
        method::svid("BatchNewX509SVID"), serialize(request), kCallTime, this,
        [orders](const Status &status, const QByteArray &message) {
            const QString doing = u"Asking for SVIDs"_s;
            const auto response = parse<svidApi::BatchNewX509SVIDResponse>(message);
            for (qsizetype i = 0; i < orders.size(); ++i) {
                if (!status.isOk()) {
                    orders[i]->answer(errorOf(status, doing));
                } else if (!response || response->results_size() != orders.size()) {
                    orders[i]->answer(Error{Errc::Malformed, u"The authority did not answer each request."_s});
                } else {
                    const auto &result = response->results(int(i));
                    const Status one{grpc::StatusCode(result.status().code()), textOf(result.status().message()), {}};
                    if (one.isOk())
                        orders[i]->answer(spire::chainOf(result.svid()));
                    else
                        orders[i]->answer(errorOf(one, doing));
                }
            }
        });
}

void SpireWorkloadIssuer::newJwt(const WorkloadEntry &entry, const QStringList &audience, QObject *context,
                                 std::function<void(Result<IssuedToken>)> done)
{
    svidApi::NewJWTSVIDRequest request;
    request.set_entry_id(entry.id.toStdString());
    for (const QString &name : audience)
        request.add_audience(name.toStdString());
    m_channel.unary(method::svid("NewJWTSVID"), serialize(request), kCallTime, context,
                    [done = std::move(done), id = entry.spiffeId](const Status &status, const QByteArray &message) {
                        if (!status.isOk())
                            return done(errorOf(status, u"Asking for a JWT-SVID"_s));
                        const auto response = parse<svidApi::JWTSVIDResponse>(message);
                        if (!response)
                            return done(response.error());
                        const auto &svid = response->svid();
                        if (const auto named = spire::spiffeIdOf(svid.id()); !named || *named != id)
                            return done(Error{Errc::Denied, u"The authority issued a token for another identity."_s});
                        done(IssuedToken{bytesOf(svid.token()), fromEpochMillis(svid.issued_at() * 1'000),
                                         fromEpochMillis(svid.expires_at() * 1'000)});
                    });
}

} // namespace lintel::workloads
