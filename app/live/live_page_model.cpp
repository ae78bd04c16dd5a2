// SPDX-License-Identifier: GPL-3.0-only
#include "live/live_page_model.h"

#include "live/recorded_time.h"
#include "live/suggestion.h"
#include "text/format.h"

#include <QDateTime>
#include <QLocale>
#include <QVariantMap>

#include <array>

namespace lintel {
namespace {

struct WindowChoice {
    int minutes;
    const char *label;
    int tickSeconds;
};

constexpr std::array kWindows{
    WindowChoice{1, QT_TRANSLATE_NOOP("LivePageModel", "1 min"), 15},
    WindowChoice{5, QT_TRANSLATE_NOOP("LivePageModel", "5 min"), 60},
    WindowChoice{15, QT_TRANSLATE_NOOP("LivePageModel", "15 min"), 180},
    WindowChoice{60, QT_TRANSLATE_NOOP("LivePageModel", "1 h"), 600},
    WindowChoice{480, QT_TRANSLATE_NOOP("LivePageModel", "8 h"), 3600},
    WindowChoice{1440, QT_TRANSLATE_NOOP("LivePageModel", "24 h"), 10800},
};

// A window that goes to a recording holds about so many of its readings.
constexpr int kReadingsOfRecording = 40;

} // namespace

LivePageModel::LivePageModel(BuildingStore &store, const DisplayUnits &units, QObject *parent)
    : QAbstractListModel(parent), m_store(store), m_units(units), m_picker(store, units)
{
    connect(&units, &DisplayUnits::changed, this, &LivePageModel::regroup);
    connect(&store, &BuildingStore::linkChanged, this, &LivePageModel::refreshed);
}

PageState::State LivePageModel::state() const
{
    return pageState(m_store, m_store.pointCount() > 0);
}

QString LivePageModel::heading() const
{
    return pageHeading(m_store, state());
}

QString LivePageModel::sentence() const
{
    return pageSentence(m_store, state());
}

QVariantList LivePageModel::windowChoices() const
{
    QVariantList choices;
    for (const WindowChoice &choice : kWindows) {
        choices.append(
            QVariantMap{{QStringLiteral("value"), choice.minutes}, {QStringLiteral("label"), tr(choice.label)}});
    }
    return choices;
}

void LivePageModel::setWindowMinutes(int minutes)
{
    const bool known = std::ranges::any_of(kWindows, [minutes](const WindowChoice &c) { return c.minutes == minutes; });
    if (!known || minutes == m_windowMinutes)
        return;
    const bool grew = minutes > m_windowMinutes;
    m_windowMinutes = minutes;
    m_minutesBefore.reset();
    Q_EMIT windowChanged();
    if (grew) {
        for (const int point : std::as_const(m_picked))
            wantHistory(point);
    }
    refresh();
}

void LivePageModel::setPaused(bool paused)
{
    if (paused == isPaused())
        return;
    m_pausedAt = paused ? std::optional(end()) : std::nullopt;
    m_readingsAtPause = m_store.readingCount();
    Q_EMIT pausedChanged();
    refresh();
}

QString LivePageModel::pausedText() const
{
    if (!m_pausedAt)
        return {};
    const QString at = format::time(*m_pausedAt, m_store.clock().now(), true);
    const quint64 missed = m_store.readingCount() - m_readingsAtPause;
    if (missed == 0)
        return tr("Paused at %1").arg(at);
    return tr("Paused at %1, %2 readings since").arg(at, QLocale().toString(missed));
}

void LivePageModel::setVisible(bool visible)
{
    if (visible == m_visible)
        return;
    m_visible = visible;
    Q_EMIT visibleChanged();
    if (visible)
        refresh();
}

void LivePageModel::setHover(double fraction)
{
    fraction = fraction < 0 || fraction > 1 ? -1 : fraction;
    if (fraction == m_hover)
        return;
    m_hover = fraction;
    Q_EMIT hoverChanged();
    refresh();
}

QString LivePageModel::hoverText() const
{
    if (m_hover < 0)
        return {};
    const Millis window = std::chrono::minutes(m_windowMinutes);
    const auto at = end() - window + Millis(qint64(m_hover * double(window.count())));
    return format::time(at, m_store.clock().now(), true);
}

bool LivePageModel::anyLate() const
{
    return std::ranges::any_of(m_panels, [](const LivePanel *panel) { return !panel->lateBands().isEmpty(); });
}

bool LivePageModel::anyGap() const
{
    return std::ranges::any_of(m_panels, [](const LivePanel *panel) { return !panel->gapBands().isEmpty(); });
}

QString LivePageModel::recordedText() const
{
    if (!isAtRecording())
        return {};
    const Timestamp to = end();
    return tr("recorded %1").arg(format::dateRange(to - std::chrono::minutes(m_windowMinutes), to));
}

void LivePageModel::goToNow()
{
    setRecorded(-1);
    refresh();
}

void LivePageModel::goTo(int point)
{
    const PointState &state = m_store.point(point);
    setRecorded(state.isRecorded() && state.last ? point : -1);
}

void LivePageModel::setRecorded(int point)
{
    if (point == m_recorded)
        return;
    m_recorded = point;
    m_pausedAt.reset();
    Q_EMIT pausedChanged();
    if (m_minutesBefore)
        m_windowMinutes = *std::exchange(m_minutesBefore, std::nullopt);
    if (isAtRecording()) {
        m_minutesBefore = m_windowMinutes;
        widenForRecording();
    }
    Q_EMIT windowChanged();
    for (const int picked : std::as_const(m_picked))
        wantHistory(picked);
}

/// Unless somebody has chosen a length for it, the window holds some rows of the recording.
void LivePageModel::widenForRecording()
{
    if (!isAtRecording() || !m_minutesBefore)
        return;
    const Millis wanted = kReadingsOfRecording * cadenceOf(m_store.point(m_recorded).samples.all());
    const auto fits = [&](const WindowChoice &choice) { return std::chrono::minutes(choice.minutes) >= wanted; };
    const auto choice = std::ranges::find_if(kWindows, fits);
    const int minutes = choice == kWindows.end() ? kWindows.back().minutes : choice->minutes;
    if (minutes <= m_windowMinutes)
        return;
    m_windowMinutes = minutes;
    Q_EMIT windowChanged();
    for (const int picked : std::as_const(m_picked))
        wantHistory(picked);
}

void LivePageModel::toggle(int point)
{
    if (point < 0 || point >= m_store.pointCount())
        return;
    m_chosenByHand = true;
    if (m_picked.contains(point)) {
        unpick(point);
        if (point == m_recorded)
            setRecorded(-1);
    } else {
        pick(point);
        goTo(point);
    }
    refresh();
}

void LivePageModel::show(int point)
{
    if (!m_picked.contains(point))
        toggle(point);
    focus(point);
}

void LivePageModel::focus(int point)
{
    for (LivePanel *panel : std::as_const(m_panels)) {
        if (!panel->contains(point))
            continue;
        panel->focus(point);
        goTo(point);
    }
    refresh();
}

void LivePageModel::clear()
{
    m_chosenByHand = true;
    const QList<int> picked = m_picked;
    for (const int point : picked)
        unpick(point);
    setRecorded(-1);
    refresh();
}

void LivePageModel::pick(int point)
{
    if (m_picked.contains(point) || m_picked.size() >= kMaxPicked)
        return;
    addToPanel(point);
    m_picked.append(point);
    m_picker.setPicked(point, true);
    m_store.watch(point);
    wantHistory(point);
}

void LivePageModel::addToPanel(int point)
{
    const PointState &state = m_store.point(point);
    const bool states = state.point.kind == Kind::Bool;
    const Unit unit = m_units.shown(state.point.unit);
    auto panel = std::ranges::find_if(
        m_panels, [&](const LivePanel *p) { return p->isStates() == states && (states || p->unit() == unit); });
    if (panel == m_panels.end()) {
        const int row = int(m_panels.size());
        beginInsertRows({}, row, row);
        m_panels.append(new LivePanel(m_store, m_units, unit, states, this));
        endInsertRows();
        panel = std::prev(m_panels.end());
        Q_EMIT panelCountChanged();
    }
    (*panel)->add(point);
}

void LivePageModel::regroup()
{
    QList<int> focused;
    for (const LivePanel *panel : std::as_const(m_panels)) {
        for (const LiveSeries &series : panel->series()) {
            if (series.focused)
                focused.append(series.point);
        }
    }
    beginResetModel();
    const QList<LivePanel *> before = std::exchange(m_panels, {});
    endResetModel();
    for (LivePanel *panel : before)
        panel->deleteLater(); // after the items that show it
    for (const int point : std::as_const(m_picked))
        addToPanel(point);
    // Of panels that became one the first decides.
    std::ranges::reverse(focused);
    for (const int point : std::as_const(focused)) {
        for (LivePanel *panel : std::as_const(m_panels)) {
            if (panel->contains(point))
                panel->focus(point);
        }
    }
    Q_EMIT panelCountChanged();
    refresh();
}

void LivePageModel::unpick(int point)
{
    if (!m_picked.removeOne(point))
        return;
    m_picker.setPicked(point, false);
    m_store.unwatch(point);
    for (qsizetype row = 0; row < m_panels.size(); ++row) {
        LivePanel *panel = m_panels[row];
        if (!panel->contains(point))
            continue;
        panel->remove(point);
        if (panel->series().isEmpty()) {
            beginRemoveRows({}, int(row), int(row));
            m_panels.removeAt(row);
            endRemoveRows();
            panel->deleteLater();
            Q_EMIT panelCountChanged();
        }
        return;
    }
}

/// Until somebody chooses.
void LivePageModel::suggest()
{
    if (m_chosenByHand)
        return;
    const QList<QList<int>> panels = suggestedPoints(m_store, m_units);
    QList<int> wanted;
    for (const QList<int> &panel : panels)
        wanted += panel;
    if (wanted == m_suggested)
        return;
    m_suggested = wanted;
    const auto order = [this](int a, int b) { return m_picked.indexOf(a) < m_picked.indexOf(b); };
    QList<int> first; // of each panel: their order is the panels'
    for (const QList<int> &panel : panels)
        first.append(panel.first());
    const bool keepsOrder = std::ranges::all_of(first, [this](int point) { return m_picked.contains(point); })
                            && std::ranges::is_sorted(first, order);
    const QList<int> picked = m_picked;
    for (const int point : picked) {
        if (!keepsOrder || !wanted.contains(point))
            unpick(point);
    }
    for (const int point : std::as_const(wanted))
        pick(point);
    // Who reported first decides nothing.
    for (const int point : std::as_const(first)) {
        for (LivePanel *panel : std::as_const(m_panels)) {
            if (panel->contains(point))
                panel->focus(point);
        }
    }
    if (!wanted.isEmpty())
        goTo(wanted.first());
}

void LivePageModel::wantHistory(int point)
{
    const Timestamp to = end();
    Q_EMIT historyWanted(point, to - std::chrono::minutes(m_windowMinutes), to);
}

Timestamp LivePageModel::end() const
{
    if (m_pausedAt)
        return *m_pausedAt;
    // A recording that is played back draws the window along with it.
    return isAtRecording() ? m_store.point(m_recorded).lastAt : m_store.clock().now();
}

void LivePageModel::computeTimeTicks(qint64 from, qint64 to)
{
    const auto choice = std::ranges::find(kWindows, m_windowMinutes, &WindowChoice::minutes);
    const qint64 step = qint64(choice->tickSeconds) * 1'000;
    // Ticks stand at round local times, also where the zone is not a whole number of hours away.
    const qint64 offset = QDateTime::fromMSecsSinceEpoch(to).offsetFromUtc() * 1'000LL;
    const QString format = step < 60'000 ? QStringLiteral("HH:mm:ss") : QStringLiteral("HH:mm");
    m_timeTicks.clear();
    for (qint64 at = ((from + offset) / step + 1) * step - offset; at <= to; at += step) {
        const double fraction = double(at - from) / double(to - from);
        m_timeTicks.append(QVariantMap{{QStringLiteral("fraction"), fraction},
                                       {QStringLiteral("label"), QDateTime::fromMSecsSinceEpoch(at).toString(format)}});
    }
}

void LivePageModel::refresh()
{
    suggest();
    widenForRecording();
    m_picker.refresh();
    if (m_visible) {
        const Timestamp to = end();
        const Timestamp from = to - std::chrono::minutes(m_windowMinutes);
        computeTimeTicks(toEpochMillis(from), toEpochMillis(to));
        for (LivePanel *panel : std::as_const(m_panels))
            panel->draw(toEpochMillis(from), toEpochMillis(to), m_store.clock().now(), m_hover);
    }
    Q_EMIT refreshed();
}

int LivePageModel::rowCount(const QModelIndex &parent) const
{
    return parent.isValid() ? 0 : panelCount();
}

QVariant LivePageModel::data(const QModelIndex &index, int role) const
{
    if (!index.isValid() || index.row() >= m_panels.size() || role != PanelRole)
        return {};
    return QVariant::fromValue(m_panels[index.row()]);
}

QHash<int, QByteArray> LivePageModel::roleNames() const
{
    return {{PanelRole, "panel"}};
}

} // namespace lintel
