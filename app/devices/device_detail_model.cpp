// SPDX-License-Identifier: GPL-3.0-only
#include "devices/device_detail_model.h"

#include "devices/device_condition.h"
#include "feed/building_order.h"
#include "live/decimation.h"
#include "live/recorded_time.h"
#include "text/format.h"

#include <QLocale>
#include <QVariantMap>

#include <limits>

namespace lintel {
namespace {

constexpr Millis kTrendWindow = std::chrono::minutes(15);
constexpr int kTrendSamples = 80;

/// The stretch of the trend line: the last quarter of an hour, or as much of a recording as fills it.
RecordedSpan trendSpan(const PointState &state, Timestamp now)
{
    if (!state.isRecorded() || !state.last)
        return {now - kTrendWindow, now};
    return {state.lastAt - std::max(kTrendWindow, kTrendSamples / 2 * cadenceOf(state.samples.all())), state.lastAt};
}

QVariantMap fact(const QString &label, const QString &text)
{
    return {{QStringLiteral("label"), label}, {QStringLiteral("text"), text}};
}

} // namespace

DeviceDetailModel::DeviceDetailModel(const BuildingStore &store, const DisplayUnits &units, QObject *parent)
    : QAbstractListModel(parent), m_store(store), m_units(units)
{
    connect(&store, &BuildingStore::deviceChanged, this, [this](int device) {
        if (device == m_device)
            list();
    });
    connect(&store, &BuildingStore::valueChanged, this,
            [this](int point) { m_dirty = m_dirty || m_store.point(point).device == m_device; });
    connect(&store, &BuildingStore::samplesChanged, this,
            [this](int point) { m_dirty = m_dirty || m_store.point(point).device == m_device; });
    connect(&store, &BuildingStore::linkChanged, this, &DeviceDetailModel::refresh);
    connect(&units, &DisplayUnits::changed, this, &DeviceDetailModel::refresh);
}

void DeviceDetailModel::setDevice(int device)
{
    if (device == m_device)
        return;
    m_device = device;
    Q_EMIT deviceChanged();
    list();
    wantHistory();
}

/// What the trend lines need, for points that this console has not heard for that long.
void DeviceDetailModel::wantHistory()
{
    for (const int point : std::as_const(m_points)) {
        const RecordedSpan span = trendSpan(m_store.point(point), m_store.clock().now());
        Q_EMIT historyWanted(point, span.from, span.to);
    }
}

void DeviceDetailModel::list()
{
    const QList<int> points = isSet() ? m_store.device(m_device).points : QList<int>();
    if (points != m_points) {
        beginResetModel();
        m_points = points;
        endResetModel();
        Q_EMIT countChanged();
    }
    refresh();
}

void DeviceDetailModel::flush()
{
    if (m_dirty)
        refresh();
}

void DeviceDetailModel::refresh()
{
    m_dirty = false;
    if (!m_points.isEmpty())
        Q_EMIT dataChanged(index(0), index(count() - 1),
                           {ValueRole, UnitRole, AgeRole, MutedRole, PriorityRole, TrendRole, AccessibleRole});
    Q_EMIT refreshed();
}

QString DeviceDetailModel::name() const
{
    return isSet() ? m_store.device(m_device).name : QString();
}

QString DeviceDetailModel::place() const
{
    return isSet() ? placeOf(m_store, m_store.device(m_device)) : QString();
}

QString DeviceDetailModel::stateText() const
{
    return isSet() ? conditionOf(m_store, m_store.device(m_device), m_store.clock().now()).text : QString();
}

QString DeviceDetailModel::reason() const
{
    return isSet() ? conditionOf(m_store, m_store.device(m_device), m_store.clock().now()).reason : QString();
}

int DeviceDetailModel::priority() const
{
    return isSet() ? conditionOf(m_store, m_store.device(m_device), m_store.clock().now()).priority : 0;
}

QVariantList DeviceDetailModel::facts() const
{
    if (!isSet())
        return {};
    const DeviceState &device = m_store.device(m_device);
    const Timestamp now = m_store.clock().now();
    QVariantList facts;
    facts.append(fact(tr("Site"), device.node.group));
    // Without a connection nobody knows how it is now.
    if (m_store.isCut())
        facts.append(fact(tr("State"), tr("unknown, no connection")));
    else if (device.isOnlyExpected)
        facts.append(fact(tr("State"), tr("never heard of")));
    else
        facts.append(fact(device.online ? tr("Online since") : tr("Offline since"), format::time(device.since, now)));
    const QString last = lastReadingText(m_store, device, now);
    if (isRecorded(m_store, device))
        facts.append(fact(tr("Recorded"), recordedRange()));
    else
        facts.append(fact(tr("Last reading"), device.lastReading ? format::ago(now - *device.lastReading) : last));
    if (!device.device.isEmpty())
        facts.append(fact(tr("Through"), device.node.node));
    facts.append(fact(tr("Readings lost"),
                      device.lostReadings == 0 ? tr("none reported") : QLocale().toString(device.lostReadings)));
    if (!device.identity.isAbnormal()) // otherwise it is the state above
        facts.append(fact(tr("Identity"), device.identity.state == DeviceIdentity::State::Valid
                                              ? tr("valid")
                                              : tr("nothing reported")));
    if (const BuildingTrust *trust = m_store.trustOf(device))
        facts += trustFacts(*trust, now);
    return facts;
}

QVariantList DeviceDetailModel::trustFacts(const BuildingTrust &trust, Timestamp now) const
{
    QVariantList facts;
    const auto left = trust.left(now);
    facts.append(fact(tr("Trust without the uplink"), left ? format::span(*left) : tr("no end in sight")));
    if (!trust.credential.isEmpty() && left)
        facts.append(fact(tr("Ends first"), trust.credential));
    if (!trust.clock.isEmpty())
        facts.append(fact(tr("Clock"), trust.clock));
    return facts;
}

QString DeviceDetailModel::recordedRange() const
{
    std::optional<RecordedSpan> range;
    for (const int point : std::as_const(m_points)) {
        const auto span = recordedSpan(m_store.point(point));
        if (span)
            range = range ? RecordedSpan{std::min(range->from, span->from), std::max(range->to, span->to)} : *span;
    }
    return range ? format::dateRange(range->from, range->to) : tr("nothing yet");
}

QList<QPointF> DeviceDetailModel::trend(const PointState &state) const
{
    const RecordedSpan span = trendSpan(state, m_store.clock().now());
    const qint64 from = toEpochMillis(span.from);
    const qint64 to = toEpochMillis(span.to);
    const auto samples = state.samples.around(from, to);
    // A few seconds in a quarter of an hour are a stroke, not a trend.
    if (samples.empty() || samples.back().at - samples.front().at < (to - from) / 30)
        return {};
    const auto pieces = decimate(samples, gapAfter(state), kTrendSamples);
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    for (const LinePiece &piece : pieces) {
        for (const Sample &sample : piece) {
            low = std::min(low, sample.value);
            high = std::max(high, sample.value);
        }
    }
    // A value that hardly moves is a quiet line in the middle, not a mountain range of noise.
    const double least = 4 * std::pow(10.0, -format::decimals(state.point.unit));
    if (high - low < least) {
        const double middle = (low + high) / 2;
        low = middle - least / 2;
        high = middle + least / 2;
    }
    QList<QPointF> line;
    for (const LinePiece &piece : pieces) {
        if (!line.isEmpty())
            line.append({std::numeric_limits<double>::quiet_NaN(), 0});
        for (const Sample &sample : piece)
            line.append({double(sample.at - from) / double(to - from), (sample.value - low) / (high - low)});
    }
    return line;
}

int DeviceDetailModel::rowCount(const QModelIndex &parent) const
{
    return parent.isValid() ? 0 : count();
}

QVariant DeviceDetailModel::data(const QModelIndex &index, int role) const
{
    if (!index.isValid() || index.row() >= count())
        return {};
    const PointState &state = m_store.point(m_points[index.row()]);
    const Timestamp now = m_store.clock().now();
    const Freshness freshness = m_store.freshness(state, now);
    const QString name = nameOf(state.point);
    const auto shown =
        state.last ? m_units.quantity(state.last->value, state.last->unit) : m_units.nothing(state.point.unit);
    const auto age = [&]() -> QString {
        if (!state.last)
            return tr("no reading yet");
        const QString text = format::age(now - state.lastAt);
        if (state.isRecorded())
            return tr("recorded %1").arg(format::time(state.lastAt, now));
        switch (freshness) {
        case Freshness::Stale: return tr("stale, %1").arg(text);
        case Freshness::Silent: return tr("last known, %1").arg(text);
        case Freshness::Bad: return tr("bad value, %1").arg(text);
        default: return text;
        }
    };
    switch (role) {
    case PointRole: return m_points[index.row()];
    case NameRole: return name;
    case IdRole: return state.point.id;
    case ValueRole: return shown.number;
    case UnitRole: return shown.unit;
    case AgeRole: return age();
    case MutedRole: return freshness != Freshness::Fresh && freshness != Freshness::Recorded;
    case PriorityRole: return freshness == Freshness::Bad ? 2 : freshness == Freshness::Stale ? 3 : 0;
    case TrendRole: return QVariant::fromValue(trend(state));
    case ChartableRole: return state.point.kind != Kind::Text;
    case AccessibleRole: return tr("%1, %2 %3, %4").arg(name, shown.number, shown.unit, age());
    default: return {};
    }
}

QHash<int, QByteArray> DeviceDetailModel::roleNames() const
{
    return {{PointRole, "point"},
            {NameRole, "name"},
            {IdRole, "pointId"},
            {ValueRole, "valueText"},
            {UnitRole, "unitText"},
            {AgeRole, "ageText"},
            {MutedRole, "muted"},
            {PriorityRole, "priority"},
            {TrendRole, "trend"},
            {ChartableRole, "chartable"},
            {AccessibleRole, "accessibleText"}};
}

} // namespace lintel
