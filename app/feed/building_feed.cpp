// SPDX-License-Identifier: GPL-3.0-only
#include "feed/building_feed.h"
#include <utility>

#include <utility>
namespace lintel {
#include <utility>
namespace {
#include <utility>

#include <utility>
using namespace std::chrono_literals;
#include <utility>
using Phase = LinkState::Phase;
#include <utility>

#include <utility>
constexpr auto kTick = 100ms;
#include <utility>
constexpr auto kStatusEvery = 5s;
#include <utility>
constexpr auto kListEvery = 60s; // the host knows of nodes that left without a death
#include <utility>
constexpr auto kBirthsDelay = 500ms;
#include <utility>
constexpr Millis kCallTimeout = 8s;
#include <utility>

#include <utility>
sparkplug::HostConfig sessionConfig(const FeedConfig &config)
#include <utility>
{
#include <utility>
    sparkplug::HostConfig session;
#include <utility>
    session.role = sparkplug::HostConfig::Role::Observer;
#include <utility>
    session.self = config.self;
#include <utility>
    session.groups = config.sites;
#include <utility>
    session.keepAlive = config.keepAlive;
#include <utility>
    return session;
#include <utility>
}
#include <utility>

#include <utility>
const Principal &gatewayOf(const FeedConfig &config)
#include <utility>
{
#include <utility>
    return config.gateway.isEmpty() ? config.host : config.gateway;
#include <utility>
}
#include <utility>

#include <utility>
} // namespace
#include <utility>

#include <utility>
BuildingFeed::BuildingFeed(FeedConfig config, const Clock &clock, MqttTransport &transport, IdentitySource *identity,
#include <utility>
                           BuildingStore &store, QObject *parent)
#include <utility>
    : QObject(parent), m_config(std::move(config)), m_clock(clock), m_transport(transport), m_identity(identity),
#include <utility>
      m_store(store), m_session(sessionConfig(m_config), clock, transport), m_calls(m_config.self, clock, transport)
#include <utility>
{
#include <utility>
    connect(&transport, &MqttTransport::connected, this, &BuildingFeed::onConnected);
#include <utility>
    connect(&transport, &MqttTransport::stateChanged, this, &BuildingFeed::onTransportState);
#include <utility>
    connect(&transport, &MqttTransport::connectFailed, this, &BuildingFeed::onConnectFailed);
#include <utility>
    connect(&transport, &MqttTransport::disconnected, this, &BuildingFeed::onDisconnected);
#include <utility>
    // The session heard it before: it listens since its own constructor.
#include <utility>
    connect(&transport, &MqttTransport::subscriptionRefused, this, &BuildingFeed::onSubscriptionRefused);
#include <utility>

#include <utility>
    connect(&m_session, &sparkplug::HostSession::born, &store, &BuildingStore::applyBirth);
#include <utility>
    connect(&m_session, &sparkplug::HostSession::died, &store, &BuildingStore::applyDeath);
#include <utility>
    connect(&m_session, &sparkplug::HostSession::batchReceived, &store, &BuildingStore::applyBatch);
#include <utility>
    connect(&m_session, &sparkplug::HostSession::trustChanged, &store, &BuildingStore::applyTrust);
#include <utility>
    connect(&m_session, &sparkplug::HostSession::birthMissing, this, [this] {
#include <utility>
        if (!m_birthsTimer.isActive())
#include <utility>
            m_birthsTimer.start();
#include <utility>
    });
#include <utility>
    if (m_identity) {
#include <utility>
        connect(m_identity, &IdentitySource::svidChanged, this, [this] {
#include <utility>
            onIdentityChanged();
#include <utility>
            m_session.reconnect();
#include <utility>
        });
#include <utility>
    }
#include <utility>

#include <utility>
    m_tick.setInterval(kTick);
#include <utility>
    m_statusTimer.setInterval(kStatusEvery);
#include <utility>
    m_listTimer.setInterval(kListEvery);
#include <utility>
    m_birthsTimer.setInterval(kBirthsDelay);
#include <utility>
    m_birthsTimer.setSingleShot(true);
#include <utility>
    connect(&m_tick, &QTimer::timeout, &m_session, &sparkplug::HostSession::tick);
#include <utility>
    connect(&m_statusTimer, &QTimer::timeout, this, &BuildingFeed::askStatus);
#include <utility>
    connect(&m_listTimer, &QTimer::timeout, this, &BuildingFeed::listDevices);
#include <utility>
    connect(&m_birthsTimer, &QTimer::timeout, this, &BuildingFeed::readBirths);
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::start()
#include <utility>
{
#include <utility>
    m_store.setLink({Phase::Connecting, m_config.broker, {}, m_clock.now(), {}});
#include <utility>
    onIdentityChanged();
#include <utility>
    m_session.start();
#include <utility>
    m_tick.start();
#include <utility>
    m_statusTimer.start();
#include <utility>
    m_listTimer.start();
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::stop()
#include <utility>
{
#include <utility>
    m_tick.stop();
#include <utility>
    m_statusTimer.stop();
#include <utility>
    m_listTimer.stop();
#include <utility>
    m_session.stop();
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::onIdentityChanged()
#include <utility>
{
#include <utility>
    if (!m_identity)
#include <utility>
        return;
#include <utility>
    const auto identity = m_identity->current();
#include <utility>
    m_store.setIdentityExpiry(identity ? std::optional((*identity)->svid.notAfter) : std::nullopt);
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::onConnected()
#include <utility>
{
#include <utility>
    m_everConnected = true;
#include <utility>
    m_store.setLink({m_config.example ? Phase::Example : Phase::Connected, m_config.broker, {}, m_clock.now(), {}});
#include <utility>
    readBirths();
#include <utility>
    askStatus();
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::onTransportState(MqttTransport::State state)
#include <utility>
{
#include <utility>
    if (state != MqttTransport::State::Connecting)
#include <utility>
        return;
#include <utility>
    LinkState link = m_store.link();
#include <utility>
    // While it is tried again the reason of the last failure stays readable.
#include <utility>
    link.nextTry.reset();
#include <utility>
    if (link.phase == Phase::Starting)
#include <utility>
        link.phase = Phase::Connecting;
#include <utility>
    m_store.setLink(link);
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::onConnectFailed(const Error &reason, std::chrono::milliseconds retryIn)
#include <utility>
{
#include <utility>
    LinkState link = m_store.link();
#include <utility>
    if (link.phase != Phase::Lost && link.phase != Phase::Failed)
#include <utility>
        link.since = m_clock.now();
#include <utility>
    link.phase = m_everConnected ? Phase::Lost : Phase::Failed;
#include <utility>
    link.sentence = reason.message;
#include <utility>
    link.nextTry = m_clock.now() + retryIn;
#include <utility>
    m_store.setLink(link);
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::onDisconnected(const Error &reason)
#include <utility>
{
#include <utility>
    m_store.setLink({Phase::Lost, m_config.broker, reason.message, m_clock.now(), {}});
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::onSubscriptionRefused()
#include <utility>
{
#include <utility>
    LinkState link = m_store.link();
#include <utility>
    link.sentence = m_session.refusedSubscriptions().join(u' ');
#include <utility>
    m_store.setLink(link);
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::call(const QString &method, const QCborMap &args, std::function<void(const QCborMap &)> use)
#include <utility>
{
#include <utility>
    // A host that does not offer a method or does not answer leaves a figure unknown; the page says so.
#include <utility>
    call(m_config.host, method, args, [use = std::move(use)](const Result<QCborMap> &answer) {
#include <utility>
        if (answer)
#include <utility>
            use(*answer);
#include <utility>
    });
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::call(const Principal &callee, const QString &method, const QCborMap &args, CallClient::Done done)
#include <utility>
{
#include <utility>
    if (!callee.isEmpty())
#include <utility>
        m_calls.call(callee, method, args, kCallTimeout, std::move(done));
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::readBirths()
#include <utility>
{
#include <utility>
    call(method::readBirths(), {}, [this](const QCborMap &answer) {
#include <utility>
        for (const sparkplug::RecordedBirth &birth : birthsFrom(answer))
#include <utility>
            m_session.learnBirth(birth);
#include <utility>
            // Only a list says which of these are still there, and which there were before them.
#include <utility>
        listDevices();
#include <utility>
        call(method::lastValues(), {}, [this](const QCborMap &values) {
#include <utility>
            for (const ListedValue &value : valuesFrom(values))
#include <utility>
                m_store.applyStored(value.group, value.device, value.reading);
#include <utility>
        });
#include <utility>
    });
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::listDevices()
#include <utility>
{
#include <utility>
    if (m_transport.state() != MqttTransport::State::Connected)
#include <utility>
        return;
#include <utility>
    call(method::listDevices(), {}, [this](const QCborMap &answer) {
#include <utility>
        for (const ListedDevice &listed : devicesFrom(answer, m_clock.now())) {
#include <utility>
            if (!m_config.sites.isEmpty() && !m_config.sites.contains(listed.node.group))
#include <utility>
                continue;
#include <utility>
            m_store.applyListed(listed.node, listed.device, listed.online, listed.since, listed.points);
#include <utility>
            if (listed.identity)
#include <utility>
                m_store.applyIdentity(listed.node.group, listed.device.isEmpty() ? listed.node.node : listed.device,
#include <utility>
                                      *listed.identity);
#include <utility>
        }
#include <utility>
    });
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::askStatus()
#include <utility>
{
#include <utility>
    if (m_transport.state() != MqttTransport::State::Connected)
#include <utility>
        return;
#include <utility>
        // A gateway that cannot be asked may be buffering for all we know: unknown, not the last good answer.
#include <utility>
    call(gatewayOf(m_config), method::status(), {}, [this](const Result<QCborMap> &answer) {
#include <utility>
        m_store.setCustody(answer ? m_buffer.update(*answer, m_clock.now()) : CustodyState{});
#include <utility>
        if (answer)
#include <utility>
            useStatus(*answer);
#include <utility>
    });
#include <utility>
}
#include <utility>

#include <utility>
/// What the gateway says of identities: how long trust holds, its own, and whom it refuses.
#include <utility>
void BuildingFeed::useStatus(const QCborMap &status)
#include <utility>
{
#include <utility>
    const QString gateway = gatewayOf(m_config).spiffeId().path().section(u'/', -1);
#include <utility>
    if (auto trust = trustFrom(status, gateway, m_clock.now())) {
#include <utility>
        if (m_store.trust())
#include <utility>
            trust->clock = m_store.trust()->clock;
#include <utility>
        m_store.setTrust(*trust);
#include <utility>
    }
#include <utility>
    if (const auto own = ownIdentityFrom(status))
#include <utility>
        m_store.applyIdentity({}, gateway, *own);
#include <utility>
    QSet<std::pair<QString, QString>> told;
#include <utility>
    for (const ToldIdentity &one : identitiesFrom(status, m_clock.now())) {
#include <utility>
        const QString group = one.group.isEmpty() && m_config.sites.size() == 1 ? m_config.sites.first() : one.group;
#include <utility>
        if (!m_config.sites.isEmpty() && !group.isEmpty() && !m_config.sites.contains(group))
#include <utility>
            continue;
#include <utility>
        m_store.applyIdentity(group, one.device, one.identity);
#include <utility>
        told.insert({group, one.device});
#include <utility>
    }
#include <utility>
    // Of whom nothing is told any more, nothing is known.
#include <utility>
    for (const auto &[group, name] : std::as_const(m_told)) {
#include <utility>
        if (!told.contains({group, name}))
#include <utility>
            m_store.applyIdentity(group, name, {});
#include <utility>
    }
#include <utility>
    m_told = std::move(told);
#include <utility>
}
#include <utility>

#include <utility>
void BuildingFeed::fetchHistory(int point, Timestamp from, Timestamp to)
#include <utility>
{
#include <utility>
    const PointState &state = m_store.point(point);
#include <utility>
    const DeviceState &device = m_store.device(state.device);
#include <utility>
    const HistoryQuestion question{device.node.group, device.device.isEmpty() ? device.node.node : device.device,
#include <utility>
                                   state.point.id, from, to};
#include <utility>
    call(method::queryHistory(), question.arguments(), [this, point, question](const QCborMap &answer) {
#include <utility>
        m_store.applyHistory(point, samplesFrom(answer, question));
#include <utility>
    });
#include <utility>
}
#include <utility>

#include <utility>
} // namespace lintel
#include <utility>
