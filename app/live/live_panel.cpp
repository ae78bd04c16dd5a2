// SPDX-License-Identifier: GPL-3.0-only
#include "live/live_panel.h"

#include "feed/building_order.h"
#include "live/recorded_time.h"
#include "text/format.h"

#include <QVariantMap>

#include <cmath>
#include <limits>

namespace lintel {
namespace {

constexpr int kMaxSamples = 300;
constexpr int kLabelLength = 8; // what fits beside the plot: "1,204.31"

QVariantMap tick(double fraction, const QString &label)
{
    return {{QStringLiteral("fraction"), fraction}, {QStringLiteral("label"), label}};
}

/// The least that an axis spans: noise must not look like an event.
double minSpanOf(Unit unit)
{
    if (unit == Unit::PartsPerMillion)
        return 40;
    if (unit == Unit::Percent || unit == Unit::RelativeHumidity || unit == Unit::Lux)
        return 8;
    if (unit == Unit::Fahrenheit || unit == Unit::DeltaFahrenheit)
        return 2; // as much as one degree Celsius
    const int decimals = format::decimals(unit);
    return decimals == 0 ? 4.0 : 10 * std::pow(10.0, -decimals);
}

bool canBeNegative(Unit unit)
{
    return unit == Unit::Celsius || unit == Unit::Fahrenheit || unit == Unit::DeltaCelsius
           || unit == Unit::DeltaFahrenheit || unit == Unit::Kilowatt || unit == Unit::Watt || unit == Unit::Pascal
           || unit == Unit::None;
}

/// A step holds its value until the next one.
QList<QPointF> asSteps(const QList<QPointF> &line)
{
    QList<QPointF> steps;
    for (qsizetype i = 0; i < line.size(); ++i) {
        if (i > 0 && line[i].y() != line[i - 1].y())
            steps.append({line[i].x(), line[i - 1].y()});
        steps.append(line[i]);
    }
    return steps;
}

} // namespace

LivePanel::LivePanel(const BuildingStore &store, const DisplayUnits &units, Unit unit, bool states, QObject *parent)
    : QAbstractListModel(parent), m_store(store), m_units(units), m_unit(unit), m_states(states),
      m_unitText(states ? tr("on / off") : format::unit(unit))
{}

QString LivePanel::title() const
{
    return m_states ? tr("State") : format::nameOfQuantity(m_unit);
}

QString LivePanel::emptyText() const
{
    const auto focused = std::ranges::find_if(m_series, &LiveSeries::focused);
    const QString recorded = focused == m_series.end() ? QString() : recordedText(m_store.point(focused->point));
    if (recorded.isEmpty())
        return tr("No readings in this window");
    return recorded.at(0).toUpper() + recorded.mid(1);
}

int LivePanel::rowCount(const QModelIndex &parent) const
{
    return parent.isValid() ? 0 : int(m_series.size());
}

QVariant LivePanel::data(const QModelIndex &index, int role) const
{
    if (!index.isValid() || index.row() >= m_series.size())
        return {};
    const LiveSeries &series = m_series[index.row()];
    const PointState &state = m_store.point(series.point);
    switch (role) {
    case PointRole: return series.point;
    case NameRole: return nameOf(state.point);
    case DeviceRole: return labelOf(m_store, m_store.device(state.device));
    case ValueRole: return series.valueText;
    case UnitRole: return series.unitText;
    case NoteRole: return series.noteText;
    case MutedRole: return series.freshness != Freshness::Fresh && series.freshness != Freshness::Recorded;
    case FocusedRole: return series.focused;
    case DashRole: return series.dash;
    case AccessibleRole:
        return tr("%1 of %2, %3 %4, %5")
            .arg(nameOf(state.point), m_store.device(state.device).name, series.valueText, series.unitText,
                 series.noteText);
    default: return {};
    }
}

QHash<int, QByteArray> LivePanel::roleNames() const
{
    return {{PointRole, "point"},   {NameRole, "name"},
            {DeviceRole, "device"}, {ValueRole, "valueText"},
            {UnitRole, "unitText"}, {NoteRole, "noteText"},
            {MutedRole, "muted"},   {FocusedRole, "focused"},
            {DashRole, "dash"},     {AccessibleRole, "accessibleText"}};
}

void LivePanel::add(int point)
{
    const auto place = std::ranges::find_if(
        m_series, [&](const LiveSeries &series) { return pointComesBefore(m_store, point, series.point); });
    const auto focused = std::ranges::find_if(m_series, &LiveSeries::focused);
    const int toFocus = focused == m_series.end() ? point : focused->point;
    const int row = int(place - m_series.begin());
    beginInsertRows({}, row, row);
    LiveSeries series;
    series.point = point;
    m_series.insert(row, series);
    endInsertRows();
    focus(toFocus);
}

void LivePanel::remove(int point)
{
    for (qsizetype row = 0; row < m_series.size(); ++row) {
        if (m_series[row].point != point)
            continue;
        const bool wasFocused = m_series[row].focused;
        beginRemoveRows({}, int(row), int(row));
        m_series.removeAt(row);
        endRemoveRows();
        if (!m_series.isEmpty())
            focus(wasFocused ? m_series.first().point : std::ranges::find_if(m_series, &LiveSeries::focused)->point);
        return;
    }
}

void LivePanel::focus(int point)
{
    int dash = 0;
    for (LiveSeries &series : m_series) {
        series.focused = series.point == point;
        series.dash = series.focused ? 0 : dash++;
    }
    if (!m_series.isEmpty())
        Q_EMIT dataChanged(index(0), index(int(m_series.size()) - 1), {FocusedRole, DashRole});
}

bool LivePanel::contains(int point) const
{
    return std::ranges::any_of(m_series, [point](const LiveSeries &series) { return series.point == point; });
}

void LivePanel::draw(qint64 from, qint64 to, Timestamp now, double hover)
{
    drawLines(from, to);
    drawBands(from, to, now);
    const qint64 hoverAt = hover < 0 ? -1 : from + qint64(hover * double(to - from));
    for (LiveSeries &series : m_series)
        describe(series, {from, to}, now, hoverAt);
    if (!m_series.isEmpty())
        Q_EMIT dataChanged(index(0), index(int(m_series.size()) - 1),
                           {ValueRole, UnitRole, NoteRole, MutedRole, AccessibleRole});
    Q_EMIT drawn();
}

void LivePanel::drawLines(qint64 from, qint64 to)
{
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    QList<QList<LinePiece>> lines;
    m_hasSamples = false;
    for (const LiveSeries &series : m_series) {
        const PointState &state = m_store.point(series.point);
        auto samples = state.samples.around(from, to);
        // A window that stands still does not look ahead.
        if (!samples.empty() && samples.back().at > to)
            samples = samples.first(samples.size() - 1);
        lines.append(decimate(samples, gapAfter(state), kMaxSamples));
        for (LinePiece &piece : lines.last()) {
            for (Sample &sample : piece) {
                if (state.point.kind != Kind::Bool)
                    sample.value = m_units.number(sample.value, state.point.unit);
                if (sample.at < from || sample.at > to)
                    continue;
                low = std::min(low, sample.value);
                high = std::max(high, sample.value);
                m_hasSamples = true;
            }
        }
    }
    const Scale scale =
        m_states ? Scale{-0.25, 1.25, 1, 0} : niceScale(low, high, minSpanOf(m_unit), !canBeNegative(m_unit));
    drawScale(scale);

    const double length = double(to - from);
    for (qsizetype i = 0; i < m_series.size(); ++i) {
        m_series[i].pieces.clear();
        for (const LinePiece &piece : lines[i]) {
            QList<QPointF> line;
            line.reserve(piece.size());
            for (const Sample &sample : piece)
                line.append({double(sample.at - from) / length, scale.fraction(sample.value)});
            // A reading that stands alone between two holes is a short dash, or nobody would see it.
            if (line.size() == 1)
                line = {line[0] - QPointF(0.0015, 0), line[0] + QPointF(0.0015, 0)};
            m_series[i].pieces.append(m_states ? asSteps(line) : line);
        }
    }
}

void LivePanel::drawScale(const Scale &scale)
{
    m_valueTicks.clear();
    if (!m_hasSamples) {
        m_unitText = m_states ? tr("on / off") : format::unit(m_unit);
        return; // a scale of nothing says nothing
    }
    if (m_states) {
        m_valueTicks = {tick(scale.fraction(0), tr("off")), tick(scale.fraction(1), tr("on"))};
        return;
    }
    const auto larger = format::largerUnit(m_unit, std::max(std::abs(scale.min), std::abs(scale.max)));
    const int decimals = std::max(0, int(-std::floor(std::log10(scale.step / larger.factor) + 1e-9)));
    const int count = int(std::lround((scale.max - scale.min) / scale.step));
    const bool isLong = format::number(scale.max / larger.factor, decimals).size() > kLabelLength;
    m_unitText = isLong
                     ? tr("%1 above %2").arg(format::unit(m_unit), format::number(scale.min, scale.decimals)).trimmed()
                     : larger.symbol;
    for (int i = 0; i <= count; ++i) {
        const QString label = !isLong  ? format::number((scale.min + i * scale.step) / larger.factor, decimals)
                              : i == 0 ? QStringLiteral("0")
                                       : QLatin1Char('+') + format::number(i * scale.step, scale.decimals);
        m_valueTicks.append(tick(double(i) / count, label));
    }
}

void LivePanel::drawBands(qint64 from, qint64 to, Timestamp now)
{
    m_lateBands.clear();
    m_gapBands.clear();
    m_story.clear();
    const auto focused = std::ranges::find_if(m_series, &LiveSeries::focused);
    if (focused == m_series.end())
        return;
    const PointState &state = m_store.point(focused->point);
    const auto samples = state.samples.around(from, to);
    const double length = double(to - from);
    const auto words = [&](const TimeSpan &span) {
        const QString begin = format::time(fromEpochMillis(span.from), now, length < 600'000);
        const QString end = format::time(fromEpochMillis(span.to), now, length < 600'000);
        return begin == end ? begin : tr("%1 – %2").arg(begin, end);
    };
    const auto band = [&](const TimeSpan &span, const QString &label) {
        return QVariantMap{{QStringLiteral("from"), std::clamp(double(span.from - from) / length, 0.0, 1.0)},
                           {QStringLiteral("to"), std::clamp(double(span.to - from) / length, 0.0, 1.0)},
                           {QStringLiteral("label"), label}};
    };
    QStringList sentences;
    const bool isRecorded = state.isRecorded();
    // All of a recording came when it was played back: that is no story.
    const auto late = isRecorded ? QList<TimeSpan>() : lateSpans(samples, gapAfter(state));
    TimeSpan told;
    for (const TimeSpan &span : late) {
        if (span.to < from || span.from > to)
            continue;
        // A sensor takes its first reading before it is connected; that alone is no story.
        if (span.from == span.to && span.from == samples.front().at)
            continue;
        m_lateBands.append(band(span, tr("arrived late")));
        told = span;
    }
    if (m_lateBands.size() == 1)
        sentences.append(tr("%1 arrived late").arg(words({std::max(told.from, from), std::min(told.to, to)})));
    else if (m_lateBands.size() > 1)
        sentences.append(tr("%n stretches arrived late", nullptr, int(m_lateBands.size())));
    // Between the end of a recording and now nothing is missing.
    const qint64 due = isRecorded && !samples.empty() ? std::min(to, samples.back().at) : to;
    const auto holes = gaps(samples, gapAfter(state), from, due);
    for (const TimeSpan &span : holes)
        m_gapBands.append(band(span, tr("no readings")));
    if (holes.size() == 1 && holes.last().to == to && !isRecorded)
        sentences.append(
            tr("no readings since %1").arg(format::time(fromEpochMillis(holes.last().from), now, length < 600'000)));
    else if (holes.size() == 1)
        sentences.append(tr("no readings %1").arg(words(holes.last())));
    else if (holes.size() > 1)
        sentences.append(tr("%n gaps", nullptr, int(holes.size())));
    m_story = sentences.join(tr(", "));
}

void LivePanel::setValue(LiveSeries &series, const Value &value) const
{
    const auto shown = m_units.quantity(value, m_store.point(series.point).point.unit);
    series.valueText = shown.number;
    series.unitText = m_states ? QString() : shown.unit;
}

void LivePanel::describeAt(LiveSeries &series, qint64 at) const
{
    const PointState &state = m_store.point(series.point);
    const qint64 gap = gapAfter(state);
    const auto near = state.samples.around(at, at);
    const Sample *best = nullptr;
    for (const Sample &sample : near) {
        if (!best || std::abs(sample.at - at) < std::abs(best->at - at))
            best = &sample;
    }
    // Nothing is read out of a hole.
    const bool bracketed = near.size() < 2 || near.back().at - near.front().at <= 2 * gap;
    if (best && bracketed && std::abs(best->at - at) <= std::max<qint64>(gap, best->span)) {
        setValue(series, m_states ? Value{best->value > 0.5} : Value{best->value});
        series.noteText = best->late && !state.isRecorded() ? tr("arrived late") : QString();
        series.freshness = Freshness::Fresh;
    } else {
        series.valueText = QStringLiteral("–");
        series.noteText = tr("no reading");
        series.freshness = Freshness::Stale;
    }
}

void LivePanel::describe(LiveSeries &series, const TimeSpan &window, Timestamp now, qint64 hoverAt) const
{
    const PointState &state = m_store.point(series.point);
    series.freshness = m_store.freshness(state, now);
    series.unitText = m_states ? QString() : format::unit(m_unit);
    if (hoverAt >= 0) {
        describeAt(series, hoverAt);
        return;
    }
    if (!state.last) {
        series.valueText = QStringLiteral("–");
        series.noteText = tr("no reading yet");
        return;
    }
    setValue(series, state.last->value);
    if (state.isRecorded() && series.freshness != Freshness::Bad) {
        // In a window of that time it goes without saying.
        const qint64 at = toEpochMillis(state.lastAt);
        series.noteText =
            at >= window.from && at <= window.to ? QString() : tr("of %1").arg(format::date(state.lastAt));
        return;
    }
    const QString age = format::age(now - state.lastAt);
    switch (series.freshness) {
    case Freshness::Fresh: series.noteText.clear(); break;
    case Freshness::Bad: series.noteText = tr("sensor reports a bad value"); break;
    case Freshness::Silent:
        series.noteText = m_store.isCut() ? tr("last known, %1").arg(age) : tr("offline, %1").arg(age);
        break;
    default: series.noteText = tr("stale, %1").arg(age); break;
    }
}

} // namespace lintel
