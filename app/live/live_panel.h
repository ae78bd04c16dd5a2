// SPDX-License-Identifier: GPL-3.0-only
// One small multiple of the Live page: all picked points shown in one unit, over the page's time window.
// Owned by LivePageModel. GUI thread.
//
// Everything that is drawn is given in fractions of the plot (0 … 1, y upwards), so the page needs
// no arithmetic. Lines are handed to Qt Charts by ChartLines.
#pragma once

#include "feed/building_store.h"
#include "live/decimation.h"
#include "text/display_units.h"

#include <QAbstractListModel>
#include <QPointF>
#include <QtQml/qqmlregistration.h>

namespace lintel {

/// One picked point: its line and its row in the legend.
struct LiveSeries {
    int point = 0;
    bool focused = false;
    int dash = 0; // comparison lines are told apart by their dashes: 0, 1, 2 …
    QList<QList<QPointF>> pieces;
    QString valueText;
    QString unitText;
    QString noteText; // age, "no reading yet", "offline"
    Freshness freshness = Freshness::Never;
};

class LivePanel : public QAbstractListModel
{
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("Panels belong to the Live page's model.")
    Q_PROPERTY(QString title READ title CONSTANT)
    /// "°C"; of numbers that are large for what they change by: "kWh above 49,867,200".
    Q_PROPERTY(QString unitText READ unitText NOTIFY drawn)
    /// What stands in a plot without a line.
    Q_PROPERTY(QString emptyText READ emptyText NOTIFY drawn)
    /// [{fraction, label}], bottom to top.
    Q_PROPERTY(QVariantList valueTicks READ valueTicks NOTIFY drawn)
    /// [{from, to, label}] of the focused line: readings that came late, and holes.
    Q_PROPERTY(QVariantList lateBands READ lateBands NOTIFY drawn)
    Q_PROPERTY(QVariantList gapBands READ gapBands NOTIFY drawn)
    /// What happened in this window, in a sentence; empty when nothing did.
    Q_PROPERTY(QString story READ story NOTIFY drawn)
    Q_PROPERTY(bool hasSamples READ hasSamples NOTIFY drawn)

public:
    enum Role {
        PointRole = Qt::UserRole + 1,
        NameRole,
        DeviceRole,
        ValueRole,
        UnitRole,
        NoteRole,
        MutedRole,
        FocusedRole,
        DashRole,
        AccessibleRole
    };

    /// `unit` is the one that is shown: an owner makes new panels when `units` change.
    LivePanel(const BuildingStore &store, const DisplayUnits &units, Unit unit, bool states, QObject *parent);

    [[nodiscard]] Unit unit() const { return m_unit; }
    [[nodiscard]] bool isStates() const { return m_states; }
    [[nodiscard]] QString title() const;
    [[nodiscard]] QString unitText() const { return m_unitText; }
    [[nodiscard]] QString emptyText() const;
    [[nodiscard]] QVariantList valueTicks() const { return m_valueTicks; }
    [[nodiscard]] QVariantList lateBands() const { return m_lateBands; }
    [[nodiscard]] QVariantList gapBands() const { return m_gapBands; }
    [[nodiscard]] QString story() const { return m_story; }
    [[nodiscard]] bool hasSamples() const { return m_hasSamples; }
    [[nodiscard]] const QList<LiveSeries> &series() const { return m_series; }

    [[nodiscard]] int rowCount(const QModelIndex &parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex &index, int role) const override;
    [[nodiscard]] QHash<int, QByteArray> roleNames() const override;

    /// In the order of the building, whoever was picked first.
    void add(int point);
    void remove(int point);
    void focus(int point);
    [[nodiscard]] bool contains(int point) const;

    /// Computes lines, scale and bands for the window; `now` is the time of ages. `hover` is a
    /// fraction of the window whose values the legend shows, or negative for the present.
    void draw(qint64 from, qint64 to, Timestamp now, double hover);

Q_SIGNALS:
    void drawn();

private:
    void drawLines(qint64 from, qint64 to);
    void drawScale(const Scale &scale);
    void drawBands(qint64 from, qint64 to, Timestamp now);
    void describe(LiveSeries &series, const TimeSpan &window, Timestamp now, qint64 hoverAt) const;
    void describeAt(LiveSeries &series, qint64 at) const;
    void setValue(LiveSeries &series, const Value &value) const;

    const BuildingStore &m_store;
    const DisplayUnits &m_units;
    Unit m_unit;
    bool m_states; // on/off points: drawn as steps
    QList<LiveSeries> m_series;
    QString m_unitText;
    QVariantList m_valueTicks;
    QVariantList m_lateBands;
    QVariantList m_gapBands;
    QString m_story;
    bool m_hasSamples = false;
};

} // namespace lintel
