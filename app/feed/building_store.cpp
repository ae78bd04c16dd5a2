// SPDX-License-Identifier: GPL-3.0-only
#include "feed/building_store.h"

#include "feed/building_order.h"
#include "text/natural_order.h"

#include <algorithm>

namespace lintel {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kRecentSamples = 4'096;
constexpr std::size_t kWatchedSamples = 90'000;
// Clocks of devices and of this desk differ; within this a time "in the future" is now.
constexpr Millis kClockSlack{60'000};
// Also what a gateway makes up must not overflow.
constexpr std::chrono::seconds kLongestTrust = std::chrono::years{100};

QString nameOf(const sparkplug::NodeId &node, const QString &device)
{
    return device.isEmpty() ? node.node : device;
}

bool isTaggedRecorded(const Point &point)
{
    return point.tags.contains("recorded"_L1);
}

} // namespace

bool PointState::isRecorded() const
{
    return isTaggedRecorded(point);
}

std::optional<Millis> BuildingTrust::left(Timestamp now) const
{
    if (!runway)
        return std::nullopt;
    return std::max(Millis{0}, toldAt + *runway - now);
}

BuildingStore::BuildingStore(const Clock &clock, QObject *parent) : QObject(parent), m_clock(clock) {}

bool BuildingStore::hasRecordings() const
{
    return std::ranges::any_of(m_points, &PointState::isRecorded);
}

int BuildingStore::deviceIndex(const sparkplug::NodeId &node, const QString &device)
{
    const auto key = std::pair{node, device};
    if (const auto found = m_deviceByKey.constFind(key); found != m_deviceByKey.constEnd())
        return *found;
    // Somebody told of it before it spoke: from now on it is that device.
    for (int i = 0; i < deviceCount(); ++i) {
        DeviceState &expected = m_devices[std::size_t(i)];
        if (!expected.isOnlyExpected || expected.node.group != node.group || expected.name != nameOf(node, device))
            continue;
        m_deviceByKey.remove({expected.node, expected.device});
        m_deviceByKey.insert(key, i);
        expected.node = node;
        expected.device = device;
        expected.isOnlyExpected = false;
        return i;
    }
    const int index = int(m_devices.size());
    DeviceState state;
    state.node = node;
    state.device = device;
    state.name = nameOf(node, device);
    m_devices.push_back(std::move(state));
    m_deviceByKey.insert(key, index);
    Q_EMIT deviceAdded(index);
    return index;
}

int BuildingStore::pointIndex(int device, const QString &id)
{
    return m_pointByKey.value({device, id}, -1);
}

void BuildingStore::applyBirth(const sparkplug::Participant &who)
{
    const int index = deviceIndex(who.node, who.device);
    DeviceState &device = m_devices[std::size_t(index)];
    device.online = who.online;
    device.listedOnly = false;
    device.since = who.since;
    describe(index, who.points);
    m_lastMessage = m_clock.now();
    if (who.trust && who.online)
        setTrust({nameOf(who.node, {}), std::min(who.since, m_clock.now()), who.trust->runway, who.trust->credential,
                  who.trust->clock, who.node.group});
    Q_EMIT deviceChanged(index);
}

void BuildingStore::describe(int index, const QList<Point> &points)
{
    DeviceState &device = m_devices[std::size_t(index)];
    device.points.clear();
    QList<Point> ordered = points;
    std::ranges::sort(ordered, comesBefore);
    for (const Point &point : std::as_const(ordered)) {
        int at = pointIndex(index, point.id);
        if (at < 0) {
            at = int(m_points.size());
            m_points.push_back(PointState{point, index, {}, {}, {}, SampleRing{kRecentSamples}, false});
            m_pointByKey.insert({index, point.id}, at);
            device.points.append(at);
            Q_EMIT pointAdded(at);
            continue;
        }
        m_points[std::size_t(at)].point = point;
        device.points.append(at);
    }
}

void BuildingStore::applyDeath(const sparkplug::Participant &who)
{
    const int index = deviceIndex(who.node, who.device);
    m_devices[std::size_t(index)].online = false;
    m_devices[std::size_t(index)].since = who.since;
    m_lastMessage = m_clock.now();
    Q_EMIT deviceChanged(index);
    if (!who.device.isEmpty())
        return;
    // A node takes its devices with it (Sparkplug B 3.0, 6.4.21).
    for (int i = 0; i < deviceCount(); ++i) {
        DeviceState &device = m_devices[std::size_t(i)];
        if (device.node != who.node || device.device.isEmpty() || !device.online)
            continue;
        device.online = false;
        device.since = who.since;
        Q_EMIT deviceChanged(i);
    }
}

void BuildingStore::applyBatch(const sparkplug::HostBatch &batch)
{
    const Timestamp now = m_clock.now();
    const int index = deviceIndex(batch.node, batch.device);
    m_lastMessage = now;
    if (!batch.fromBirth)
        m_devices[std::size_t(index)].heardAt = now;
    for (const Reading &reading : batch.batch.readings)
        applyReading(index, reading, batch.fromBirth, now);
    if (batch.batch.losses.isEmpty())
        return;
    for (const Loss &loss : batch.batch.losses)
        m_devices[std::size_t(index)].lostReadings += loss.readings;
    Q_EMIT deviceChanged(index);
}

void BuildingStore::applyReading(int device, const Reading &reading, bool fromBirth, Timestamp now)
{
    const int index = pointIndex(device, reading.point);
    if (index < 0)
        return;
    PointState &state = m_points[std::size_t(index)];
    // The times of a recording are what they are, also those before there was a Lintel.
    const bool isOfItsTime = isTaggedRecorded(state.point) && reading.deviceTime > Timestamp{};
    const bool isOfNow = isPlausible(reading.deviceTime) && reading.deviceTime <= now + kClockSlack;
    const Timestamp at = isOfItsTime || isOfNow ? reading.deviceTime : now;
    if (!fromBirth)
        state.arrivedAt = now;
    // A late reading fills the past; it must not take the place of what is known of the present.
    if (!state.last || at >= state.lastAt) {
        state.last = reading;
        state.lastAt = at;
        DeviceState &owner = m_devices[std::size_t(device)];
        owner.lastReading = owner.lastReading ? std::max(*owner.lastReading, at) : at;
        Q_EMIT valueChanged(index);
    }
    // Values of a birth say how things are, not that something was measured just then.
    if (fromBirth)
        return;
    ++m_readings;
    if (kindOf(reading.value) == Kind::Text || reading.quality == Quality::Bad)
        return;
    state.everLate = state.everLate || reading.isHistorical;
    state.samples.insert({toEpochMillis(at), toDouble(reading.value), 0, reading.isHistorical});
    Q_EMIT samplesChanged(index);
}

void BuildingStore::applyTrust(const sparkplug::Participant &who)
{
    if (who.trust)
        setTrust({nameOf(who.node, {}), m_clock.now(), who.trust->runway, who.trust->credential, who.trust->clock,
                  who.node.group});
}

void BuildingStore::applyListed(const sparkplug::NodeId &node, const QString &device, bool online, Timestamp since,
                                const QList<Point> &points)
{
    const bool known = m_deviceByKey.contains({node, device});
    const int index = deviceIndex(node, device);
    DeviceState &state = m_devices[std::size_t(index)];
    if (known && !state.listedOnly) {
        // A death that was seen weighs more than a list made before it, and so does a word that was heard.
        if (online || !state.online)
            return;
        if (state.heardAt && since <= *state.heardAt + kClockSlack)
            return;
    }
    if (!known)
        state.listedOnly = true;
    if (state.listedOnly && !points.isEmpty())
        describe(index, points);
    state.online = online;
    state.since = since;
    Q_EMIT deviceChanged(index);
}

void BuildingStore::applyStored(const QString &group, const QString &name, const Reading &reading)
{
    for (int i = 0; i < deviceCount(); ++i) {
        if (device(i).node.group == group && device(i).name == name)
            applyReading(i, reading, true, m_clock.now());
    }
}

void BuildingStore::applyHistory(int point, const std::vector<Sample> &samples)
{
    if (point < 0 || point >= pointCount() || samples.empty())
        return;
    PointState &state = m_points[std::size_t(point)];
    for (const Sample &sample : samples) {
        // Live samples are finer than buckets: a bucket that overlaps them would draw them twice.
        if (sample.span > 0 && !state.samples.isEmpty()) {
            const auto near = state.samples.around(sample.at - sample.span / 2, sample.at + sample.span / 2);
            const bool overlaps = std::ranges::any_of(near, [&](const Sample &known) {
                return known.span == 0 && std::abs(known.at - sample.at) <= sample.span / 2;
            });
            if (overlaps)
                continue;
        }
        state.samples.insert(sample);
        state.everLate = state.everLate || sample.late;
    }
    Q_EMIT samplesChanged(point);
}

void BuildingStore::setLink(const LinkState &link)
{
    m_link = link;
    Q_EMIT linkChanged();
}

void BuildingStore::setCustody(const CustodyState &custody)
{
    m_custody = custody;
    Q_EMIT custodyChanged();
}

void BuildingStore::applyIdentity(const QString &group, const QString &name, const DeviceIdentity &identity)
{
    int index = -1;
    for (int i = 0; i < deviceCount() && index < 0; ++i) {
        const DeviceState &known = device(i);
        if ((group.isEmpty() || known.node.group == group) && known.name == name)
            index = i;
    }
    if (index < 0) {
        if (!identity.isAbnormal() || group.isEmpty())
            return;
        index = deviceIndex({group, name}, {});
        m_devices[std::size_t(index)].listedOnly = true;
        m_devices[std::size_t(index)].isOnlyExpected = true;
        m_devices[std::size_t(index)].since = identity.since.value_or(m_clock.now());
    }
    DeviceState &state = m_devices[std::size_t(index)];
    if (state.identity == identity)
        return;
    state.identity = identity;
    Q_EMIT deviceChanged(index);
}

QStringList BuildingStore::sitesWith(const QString &node) const
{
    QStringList sites;
    for (const DeviceState &device : m_devices) {
        if (device.device.isEmpty() && device.name == node && !sites.contains(device.node.group))
            sites.append(device.node.group);
    }
    return sites;
}

void BuildingStore::setTrust(const BuildingTrust &told)
{
    BuildingTrust trust = told;
    if (trust.runway)
        trust.runway = std::clamp(*trust.runway, std::chrono::seconds{0}, kLongestTrust);
    if (trust.group.isEmpty()) {
        const QStringList sites = sitesWith(trust.gateway);
        if (sites.size() > 1)
            return;
        trust.group = sites.value(0);
    }
    const auto isSame = [&trust](const BuildingTrust &known) {
        return known.gateway == trust.gateway && (known.group == trust.group || known.group.isEmpty());
    };
    const auto known = std::ranges::find_if(m_trusts, isSame);
    if (known != m_trusts.end()) {
        // A birth that somebody recorded says less than what was said since.
        if (known->group == trust.group && trust.toldAt < known->toldAt)
            return;
        if (trust.clock.isEmpty())
            trust.clock = known->clock;
        m_trusts.erase(known);
    }
    // Time changes nothing in their order: all of them count down together.
    const auto ends = [](const BuildingTrust &one) { return one.runway ? one.toldAt + *one.runway : Timestamp::max(); };
    const auto place = std::ranges::upper_bound(m_trusts, ends(trust), {}, ends);
    m_trusts.insert(place, trust);
    Q_EMIT trustChanged();
}

const BuildingTrust *BuildingStore::trust() const
{
    return m_trusts.empty() ? nullptr : &m_trusts.front();
}

const BuildingTrust *BuildingStore::trustOf(const DeviceState &device) const
{
    const auto found = std::ranges::find_if(m_trusts, [&device](const BuildingTrust &one) {
        return device.device.isEmpty() && one.gateway == device.name
               && (one.group.isEmpty() || one.group == device.node.group);
    });
    return found == m_trusts.end() ? nullptr : &*found;
}

QString BuildingStore::ownerOf(const BuildingTrust &trust) const
{
    if (m_trusts.size() < 2)
        return {};
    if (trust.group.isEmpty())
        return trust.gateway;
    const bool isAlone =
        std::ranges::count_if(m_trusts, [&](const BuildingTrust &one) { return one.group == trust.group; }) == 1;
    return isAlone ? trust.group : trust.group + u'/' + trust.gateway;
}

void BuildingStore::setAdmission(const Admission &admission)
{
    if (m_admissions.contains(admission))
        return;
    m_admissions.removeIf([&](const Admission &known) { return known.source == admission.source; });
    m_admissions.append(admission);
    std::ranges::sort(m_admissions, lessByName, [](const Admission &one) {
        return QStringList{one.site, one.gateway, one.source}.join(u' ');
    });
    Q_EMIT admissionChanged();
}

void BuildingStore::removeAdmission(const QString &source)
{
    if (m_admissions.removeIf([&](const Admission &known) { return known.source == source; }) > 0)
        Q_EMIT admissionChanged();
}

QString BuildingStore::ownerOf(const Admission &admission) const
{
    if (m_admissions.size() < 2)
        return {};
    if (admission.site.isEmpty())
        return admission.gateway;
    const bool isAlone =
        std::ranges::count_if(m_admissions, [&](const Admission &one) { return one.site == admission.site; }) == 1;
    return isAlone ? admission.site : admission.site + u'/' + admission.gateway;
}

void BuildingStore::setIdentityExpiry(std::optional<Timestamp> notAfter)
{
    m_identityExpiry = notAfter;
    Q_EMIT linkChanged();
}

bool BuildingStore::isCut() const
{
    return m_link.phase != LinkState::Phase::Connected && m_link.phase != LinkState::Phase::Example;
}

Freshness BuildingStore::freshness(const PointState &state, Timestamp now) const
{
    if (!state.last)
        return Freshness::Never;
    if (state.last->quality == Quality::Bad)
        return Freshness::Bad;
    if (isCut() || !device(state.device).online)
        return Freshness::Silent;
    if (state.isRecorded())
        return Freshness::Recorded;
    if (state.last->quality == Quality::Stale || now - state.lastAt > state.point.staleAfter)
        return Freshness::Stale;
    return Freshness::Fresh;
}

void BuildingStore::watch(int point)
{
    m_points[std::size_t(point)].samples.setCapacity(kWatchedSamples);
}

void BuildingStore::unwatch(int point)
{
    m_points[std::size_t(point)].samples.setCapacity(kRecentSamples);
}

} // namespace lintel
