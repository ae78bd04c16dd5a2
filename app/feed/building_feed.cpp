// SPDX-License-Identifier: GPL-3.0-only
#include "feed/building_feed.h"

#include <algorithm>

namespace lintel {
namespace {

using namespace std::chrono_literals;
using Phase = LinkState::Phase;

constexpr auto kTick = 100ms;
constexpr auto kStatusEvery = 5s;
constexpr auto kListEvery = 60s; // the host knows of nodes that left without a death
constexpr auto kBirthsDelay = 500ms;
constexpr Millis kCallTimeout = 8s;

sparkplug::HostConfig sessionConfig(const FeedConfig &config)
{
    sparkplug::HostConfig session;
    session.role = sparkplug::HostConfig::Role::Observer;
    session.self = config.self;
    session.groups = config.sites;
    session.keepAlive = config.keepAlive;
    return session;
}

const Principal &gatewayOf(const FeedConfig &config)
{
    return config.gateway.isEmpty() ? config.host : config.gateway;
}

QString nameOf(const Principal &id)
{
    return id.spiffeId().path().section(u'/', -1);
}

} // namespace

BuildingFeed::BuildingFeed(FeedConfig config, const Clock &clock, MqttTransport &transport, IdentitySource *identity,
                           BuildingStore &store, QObject *parent)
    : QObject(parent), m_config(std::move(config)), m_clock(clock), m_transport(transport), m_identity(identity),
      m_store(store), m_session(sessionConfig(m_config), clock, transport), m_calls(m_config.self, clock, transport)
{
    m_sources.push_back({gatewayOf(m_config)});
    for (const Principal &gateway : std::as_const(m_config.moreGateways)) {
        if (std::ranges::find(m_sources, gateway, &Source::id) == m_sources.end())
            m_sources.push_back({gateway});
    }
    if (m_sources.size() == 1 && m_config.sites.size() == 1)
        m_sources.front().site = m_config.sites.first();
    connect(&transport, &MqttTransport::connected, this, &BuildingFeed::onConnected);
    connect(&transport, &MqttTransport::stateChanged, this, &BuildingFeed::onTransportState);
    connect(&transport, &MqttTransport::connectFailed, this, &BuildingFeed::onConnectFailed);
    connect(&transport, &MqttTransport::disconnected, this, &BuildingFeed::onDisconnected);
    // The session heard it before: it listens since its own constructor.
    connect(&transport, &MqttTransport::subscriptionRefused, this, &BuildingFeed::onSubscriptionRefused);

    connect(&m_session, &sparkplug::HostSession::born, &store, &BuildingStore::applyBirth);
    connect(&m_session, &sparkplug::HostSession::died, &store, &BuildingStore::applyDeath);
    connect(&m_session, &sparkplug::HostSession::batchReceived, &store, &BuildingStore::applyBatch);
    connect(&m_session, &sparkplug::HostSession::trustChanged, &store, &BuildingStore::applyTrust);
    connect(&m_session, &sparkplug::HostSession::birthMissing, this, [this] {
        if (!m_birthsTimer.isActive())
            m_birthsTimer.start();
    });
    if (m_identity) {
        connect(m_identity, &IdentitySource::svidChanged, this, [this] {
            onIdentityChanged();
            m_session.reconnect();
        });
    }

    m_tick.setInterval(kTick);
    m_statusTimer.setInterval(kStatusEvery);
    m_listTimer.setInterval(kListEvery);
    m_birthsTimer.setInterval(kBirthsDelay);
    m_birthsTimer.setSingleShot(true);
    connect(&m_tick, &QTimer::timeout, &m_session, &sparkplug::HostSession::tick);
    connect(&m_statusTimer, &QTimer::timeout, this, &BuildingFeed::askStatus);
    connect(&m_listTimer, &QTimer::timeout, this, &BuildingFeed::listDevices);
    connect(&m_birthsTimer, &QTimer::timeout, this, &BuildingFeed::readBirths);
}

void BuildingFeed::start()
{
    m_store.setLink({Phase::Connecting, m_config.broker, {}, m_clock.now(), {}});
    onIdentityChanged();
    m_session.start();
    m_tick.start();
    m_statusTimer.start();
    m_listTimer.start();
}

void BuildingFeed::stop()
{
    m_tick.stop();
    m_statusTimer.stop();
    m_listTimer.stop();
    m_session.stop();
}

void BuildingFeed::onIdentityChanged()
{
    if (!m_identity)
        return;
    const auto identity = m_identity->current();
    m_store.setIdentityExpiry(identity ? std::optional((*identity)->svid.notAfter) : std::nullopt);
}

void BuildingFeed::onConnected()
{
    m_everConnected = true;
    m_store.setLink({m_config.example ? Phase::Example : Phase::Connected, m_config.broker, {}, m_clock.now(), {}});
    readBirths();
    askStatus();
}

void BuildingFeed::onTransportState(MqttTransport::State state)
{
    if (state != MqttTransport::State::Connecting)
        return;
    LinkState link = m_store.link();
    // While it is tried again the reason of the last failure stays readable.
    link.nextTry.reset();
    if (link.phase == Phase::Starting)
        link.phase = Phase::Connecting;
    m_store.setLink(link);
}

void BuildingFeed::onConnectFailed(const Error &reason, std::chrono::milliseconds retryIn)
{
    LinkState link = m_store.link();
    if (link.phase != Phase::Lost && link.phase != Phase::Failed)
        link.since = m_clock.now();
    link.phase = m_everConnected ? Phase::Lost : Phase::Failed;
    link.sentence = reason.message;
    link.nextTry = m_clock.now() + retryIn;
    m_store.setLink(link);
}

void BuildingFeed::onDisconnected(const Error &reason)
{
    m_store.setLink({Phase::Lost, m_config.broker, reason.message, m_clock.now(), {}});
}

void BuildingFeed::onSubscriptionRefused()
{
    LinkState link = m_store.link();
    link.sentence = m_session.refusedSubscriptions().join(u' ');
    m_store.setLink(link);
}

void BuildingFeed::call(const QString &method, const QCborMap &args, std::function<void(const QCborMap &)> use)
{
    // A host that does not offer a method or does not answer leaves a figure unknown; the page says so.
    call(m_config.host, method, args, [use = std::move(use)](const Result<QCborMap> &answer) {
        if (answer)
            use(*answer);
    });
}

void BuildingFeed::call(const Principal &callee, const QString &method, const QCborMap &args, CallClient::Done done)
{
    if (!callee.isEmpty())
        m_calls.call(callee, method, args, kCallTimeout, std::move(done));
}

void BuildingFeed::readBirths()
{
    call(method::readBirths(), {}, [this](const QCborMap &answer) {
        for (const sparkplug::RecordedBirth &birth : birthsFrom(answer))
            m_session.learnBirth(birth);
        // Only a list says which of these are still there, and which there were before them.
        listDevices();
        call(method::lastValues(), {}, [this](const QCborMap &values) {
            for (const ListedValue &value : valuesFrom(values))
                m_store.applyStored(value.group, value.device, value.reading);
        });
    });
}

void BuildingFeed::listDevices()
{
    if (m_transport.state() != MqttTransport::State::Connected)
        return;
    call(method::listDevices(), {}, [this](const QCborMap &answer) {
        for (const ListedDevice &listed : devicesFrom(answer, m_clock.now())) {
            if (!m_config.sites.isEmpty() && !m_config.sites.contains(listed.node.group))
                continue;
            m_store.applyListed(listed.node, listed.device, listed.online, listed.since, listed.points);
            if (listed.identity)
                m_store.applyIdentity(listed.node.group, listed.device.isEmpty() ? listed.node.node : listed.device,
                                      *listed.identity);
        }
    });
}

void BuildingFeed::askStatus()
{
    if (m_transport.state() != MqttTransport::State::Connected)
        return;
    for (std::size_t i = 0; i < m_sources.size(); ++i)
        askStatusOf(i);
}

void BuildingFeed::askStatusOf(std::size_t index)
{
    // A gateway that cannot be asked may be buffering for all we know: unknown, not the last good answer.
    call(m_sources[index].id, method::status(), {}, [this, index](const Result<QCborMap> &answer) {
        Source &source = m_sources[index];
        if (index == 0)
            m_store.setCustody(answer ? m_buffer.update(*answer, m_clock.now()) : CustodyState{});
        if (answer) {
            source.answeredAt = m_clock.now();
            useStatus(source, *answer);
            return;
        }
        Admission silent;
        silent.source = source.id.toString();
        silent.gateway = nameOf(source.id);
        silent.site = source.site;
        silent.answers = false;
        silent.answeredAt = source.answeredAt;
        m_store.setAdmission(silent);
    });
}

/// What a gateway says of identities: how long trust holds, its own, and whom it refuses.
void BuildingFeed::useStatus(Source &source, const QCborMap &status)
{
    const QString gateway = nameOf(source.id);
    if (const QString told = siteFrom(status); !told.isEmpty())
        source.site = told;
    if (auto trust = trustFrom(status, gateway, m_clock.now())) {
        trust->group = source.site;
        m_store.setTrust(*trust);
    }
    if (auto admission = admissionFrom(status, gateway)) {
        admission->source = source.id.toString();
        admission->site = source.site;
        admission->answeredAt = source.answeredAt;
        m_store.setAdmission(*admission);
    } else {
        m_store.removeAdmission(source.id.toString());
    }
    if (const auto own = ownIdentityFrom(status))
        m_store.applyIdentity(source.site, gateway, *own);
    QSet<std::pair<QString, QString>> told;
    for (const ToldIdentity &one : identitiesFrom(status, m_clock.now())) {
        const QString group = one.group.isEmpty() ? source.site : one.group;
        if (!m_config.sites.isEmpty() && !group.isEmpty() && !m_config.sites.contains(group))
            continue;
        m_store.applyIdentity(group, one.device, one.identity);
        told.insert({group, one.device});
    }
    // Of whom nothing is told any more, nothing is known.
    for (const auto &[group, name] : std::as_const(source.told)) {
        if (!told.contains({group, name}))
            m_store.applyIdentity(group, name, {});
    }
    source.told = std::move(told);
}

void BuildingFeed::fetchHistory(int point, Timestamp from, Timestamp to)
{
    const PointState &state = m_store.point(point);
    const DeviceState &device = m_store.device(state.device);
    const HistoryQuestion question{device.node.group, device.device.isEmpty() ? device.node.node : device.device,
                                   state.point.id, from, to};
    call(method::queryHistory(), question.arguments(), [this, point, question](const QCborMap &answer) {
        m_store.applyHistory(point, samplesFrom(answer, question));
    });
}

} // namespace lintel
