// SPDX-License-Identifier: GPL-3.0-only
#include "connection/connection_model.h"

#include "text/format.h"

namespace lintel {
namespace {

using namespace std::chrono_literals;

// What the host said of its buffer counts as known for this long.
constexpr Millis kCustodyFresh = 60s;
constexpr Millis kTrustLow = 15min;

} // namespace

ConnectionModel::ConnectionModel(const BuildingStore &store, QString place, QObject *parent)
    : QObject(parent), m_store(store), m_place(std::move(place))
{
    connect(&store, &BuildingStore::linkChanged, this, &ConnectionModel::refreshed);
    connect(&store, &BuildingStore::custodyChanged, this, &ConnectionModel::refreshed);
    connect(&store, &BuildingStore::trustChanged, this, &ConnectionModel::refreshed);
    connect(&store, &BuildingStore::deviceChanged, this, &ConnectionModel::refreshed);
}

void ConnectionModel::refresh()
{
    Q_EMIT refreshed();
}

QString ConnectionModel::stateText() const
{
    const LinkState &link = m_store.link();
    const Timestamp now = m_store.clock().now();
    switch (link.phase) {
    case LinkState::Phase::Starting:
    case LinkState::Phase::Connecting: return tr("connecting");
    case LinkState::Phase::Connected: return tr("connected since %1").arg(format::time(link.since, now));
    case LinkState::Phase::Lost: return tr("not connected since %1").arg(format::time(link.since, now));
    case LinkState::Phase::Failed: return tr("cannot connect");
    case LinkState::Phase::Example: return tr("offline, example data");
    }
    return {};
}

QString ConnectionModel::sentence() const
{
    const LinkState &link = m_store.link();
    if (link.phase == LinkState::Phase::Example)
        return tr("These devices do not exist. Start without --offline to see a building.");
    QString text = link.sentence;
    if (link.nextTry) {
        const Millis left = *link.nextTry - m_store.clock().now();
        if (left > 1s)
            text += QLatin1Char(' ') + tr("Next attempt in %1.").arg(format::age(left));
    }
    return text.trimmed();
}

QString ConnectionModel::hostText() const
{
    return m_store.link().broker;
}

QString ConnectionModel::placeText() const
{
    if (!m_place.isEmpty())
        return m_place;
    // Without a choice of sites it is the one that devices name, if they agree.
    QString site;
    for (int i = 0; i < m_store.deviceCount(); ++i) {
        const QString &group = m_store.device(i).node.group;
        if (!site.isEmpty() && site != group)
            return tr("All sites");
        site = group;
    }
    return site.isEmpty() ? tr("All sites") : site;
}

int ConnectionModel::priority() const
{
    switch (m_store.link().phase) {
    case LinkState::Phase::Lost:
    case LinkState::Phase::Failed: return 2;
    case LinkState::Phase::Example: return 3;
    default: return isPartial() ? 2 : 0;
    }
}

bool ConnectionModel::isPartial() const
{
    return m_store.link().phase == LinkState::Phase::Connected && !m_store.link().sentence.isEmpty();
}

bool ConnectionModel::isExample() const
{
    return m_store.link().phase == LinkState::Phase::Example;
}

QString ConnectionModel::reportingText() const
{
    int measuring = 0; // a gateway that only carries others measures nothing
    int online = 0;
    for (int i = 0; i < m_store.deviceCount(); ++i) {
        const DeviceState &device = m_store.device(i);
        measuring += device.points.isEmpty() ? 0 : 1;
        online += device.online && !device.points.isEmpty() ? 1 : 0;
    }
    if (measuring == 0)
        return {};
    return m_store.isCut() ? tr("– of %1").arg(measuring) : tr("%1 of %2").arg(online).arg(measuring);
}

bool ConnectionModel::knowsCustody() const
{
    const auto &custody = m_store.custody();
    return custody.asOf && m_store.clock().now() - *custody.asOf < kCustodyFresh && !m_store.isCut();
}

QString ConnectionModel::oldestUnsentText() const
{
    const auto &custody = m_store.custody();
    if (!knowsCustody())
        return {};
    // Readings of a recording that is played back are as old as they were recorded, not waiting so long.
    constexpr Millis kOneDay = std::chrono::hours(24);
    if (custody.oldestUnsent && m_store.hasRecordings() && *custody.asOf - *custody.oldestUnsent > kOneDay)
        return {};
    if (custody.oldestUnsent)
        return format::stopwatch(*custody.asOf - *custody.oldestUnsent);
    return custody.pendingReadings && *custody.pendingReadings == 0 ? tr("none") : QString();
}

/// The gateway's, and this console's own where no gateway tells. A console that is cut off knows
/// nothing of the gateway's.
std::optional<Millis> ConnectionModel::trustLeft() const
{
    const Timestamp now = m_store.clock().now();
    if (knowsTrust())
        return m_store.trust()->left(now);
    const auto expiry = m_store.identityExpiry();
    if (m_store.trust() || !expiry)
        return std::nullopt;
    return *expiry - now;
}

QString ConnectionModel::trustRunwayText() const
{
    if (const auto left = trustLeft())
        return *left > 0ms ? format::span(*left) : tr("none");
    return knowsTrust() ? tr("no end") : QString();
}

int ConnectionModel::trustPriority() const
{
    const auto left = trustLeft();
    if (!left)
        return 0;
    return *left <= 0ms ? 1 : *left < kTrustLow ? 2 : 0;
}

QString ConnectionModel::trustOwner() const
{
    return knowsTrust() ? m_store.ownerOf(*m_store.trust()) : QString();
}

QString ConnectionModel::trustSentence() const
{
    if (!knowsTrust())
        return {};
    const BuildingTrust &trust = *m_store.trust();
    const auto left = trust.left(m_store.clock().now());
    const QString owner = m_store.ownerOf(trust);
    if (!left)
        return tr("Trust does not end without the uplink");
    if (*left <= 0ms && trust.credential.isEmpty())
        return owner.isEmpty() ? tr("Trust has ended") : tr("Trust has ended in %1").arg(owner);
    if (*left <= 0ms)
        return owner.isEmpty() ? tr("Trust has ended: %1").arg(trust.credential)
                               : tr("Trust has ended in %1: %2").arg(owner, trust.credential);
    return owner.isEmpty() ? tr("Trust holds for %1 without the uplink").arg(format::span(*left))
                           : tr("Trust holds for %1 without the uplink in %2").arg(format::span(*left), owner);
}

QString ConnectionModel::bufferRunwayText() const
{
    const auto &custody = m_store.custody();
    return knowsCustody() && custody.bufferRunway ? format::runway(*custody.bufferRunway) : QString();
}

QString ConnectionModel::lastMessageText() const
{
    const auto last = m_store.lastMessage();
    return last ? tr("last message %1").arg(format::ago(m_store.clock().now() - *last)) : tr("no message yet");
}

} // namespace lintel
