// SPDX-License-Identifier: GPL-3.0-only
#include "items/sparkline.h"

#include <QPainter>
#include <QPolygonF>

#include <cmath>

namespace lintel {

Sparkline::Sparkline(QQuickItem *parent) : QQuickPaintedItem(parent)
{
    setAntialiasing(true);
}

void Sparkline::setLine(const QList<QPointF> &line)
{
    if (line == m_line)
        return;
    m_line = line;
    update();
    Q_EMIT lineChanged();
}

void Sparkline::setColor(const QColor &color)
{
    if (color == m_color)
        return;
    m_color = color;
    update();
    Q_EMIT colorChanged();
}

void Sparkline::paint(QPainter *painter)
{
    painter->setPen(QPen(m_color, 1.5, Qt::SolidLine, Qt::FlatCap, Qt::RoundJoin));
    QPolygonF piece;
    const auto finish = [&] {
        if (piece.size() > 1)
            painter->drawPolyline(piece);
        else if (piece.size() == 1)
            painter->drawLine(piece[0] - QPointF(1, 0), piece[0] + QPointF(1, 0));
        piece.clear();
    };
    for (const QPointF &point : m_line) {
        if (std::isnan(point.x()))
            finish();
        else
            piece.append({point.x() * width(), 1 + (1 - point.y()) * (height() - 2)});
    }
    finish();
}

} // namespace lintel
