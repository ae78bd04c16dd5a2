// SPDX-License-Identifier: GPL-3.0-only
#include "live/chart_lines.h"

#include <QChart>
#include <QPen>

namespace lintel {
namespace {

QPen penOf(const LiveSeries &series, const QColor &focus, const QColor &other)
{
    QPen pen(series.focused ? focus : other, series.focused ? 1.75 : 1.25);
    pen.setCapStyle(Qt::FlatCap);
    pen.setJoinStyle(Qt::RoundJoin);
    if (!series.focused && series.dash > 0)
        pen.setDashPattern(series.dash % 2 == 1 ? QList<qreal>{5, 3} : QList<qreal>{1.5, 2.5});
    return pen;
}

} // namespace

ChartLines::ChartLines(QObject *parent) : QObject(parent)
{
    connect(this, &ChartLines::changed, this, &ChartLines::draw);
}

void ChartLines::setAnchor(QObject *anchor)
{
    m_anchor = qobject_cast<QXYSeries *>(anchor);
    Q_EMIT changed();
}

void ChartLines::setPanel(LivePanel *panel)
{
    if (m_panel)
        m_panel->disconnect(this);
    m_panel = panel;
    if (m_panel)
        connect(m_panel, &LivePanel::drawn, this, &ChartLines::draw);
    Q_EMIT changed();
}

QLineSeries *ChartLines::line(qsizetype index)
{
    if (index < m_lines.size() && m_lines[index])
        return m_lines[index];
    auto *series = new QLineSeries;
    m_anchor->chart()->addSeries(series);
    for (QAbstractAxis *axis : m_anchor->attachedAxes())
        series->attachAxis(axis);
    m_lines.append(series);
    return series;
}

void ChartLines::draw()
{
    if (!m_active || !m_panel || !m_anchor || !m_anchor->chart() || m_anchor->attachedAxes().size() < 2)
        return;
    m_lines.removeIf([](const QPointer<QLineSeries> &gone) { return gone.isNull(); });
    if (!m_plotArea.isEmpty())
        m_anchor->chart()->setPlotArea(m_plotArea);
    // The focused line lies on top: comparison lines first.
    qsizetype used = 0;
    for (const bool focused : {false, true}) {
        for (const LiveSeries &series : m_panel->series()) {
            if (series.focused != focused)
                continue;
            const QPen pen = penOf(series, m_focusColor, m_otherColor);
            for (const QList<QPointF> &piece : series.pieces) {
                QLineSeries *target = line(used++);
                if (target->pen() != pen)
                    target->setPen(pen);
                target->replace(piece);
                target->setVisible(true);
            }
        }
    }
    // Spare lines stay in the chart, empty, for the next time there are more pieces.
    for (qsizetype i = used; i < m_lines.size(); ++i) {
        m_lines[i]->clear();
        m_lines[i]->setVisible(false);
    }
}

} // namespace lintel
