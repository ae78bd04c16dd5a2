// SPDX-License-Identifier: GPL-3.0-only
#include "items/priority_shape.h"

#include <QPainter>

namespace lintel {

PriorityShape::PriorityShape(QQuickItem *parent) : QQuickPaintedItem(parent)
{
    setAntialiasing(true);
    setImplicitSize(12, 12);
}

void PriorityShape::setPriority(int priority)
{
    if (priority == m_priority)
        return;
    m_priority = priority;
    update();
    Q_EMIT priorityChanged();
}

void PriorityShape::setColor(const QColor &color)
{
    if (color == m_color)
        return;
    m_color = color;
    update();
    Q_EMIT colorChanged();
}

void PriorityShape::paint(QPainter *painter)
{
    const QRectF box = boundingRect();
    painter->setPen(Qt::NoPen);
    painter->setBrush(m_color);
    switch (m_priority) {
    case 1: painter->drawRect(box.adjusted(1, 1, -1, -1)); break;
    case 2:
        painter->drawPolygon(QPolygonF{
            {box.center().x(), box.top() + 0.5}, {box.right(), box.bottom() - 0.5}, {box.left(), box.bottom() - 0.5}});
        break;
    case 3:
        painter->setBrush(Qt::NoBrush);
        painter->setPen(QPen(m_color, 2));
        painter->drawEllipse(box.adjusted(1.5, 1.5, -1.5, -1.5));
        break;
    default: break;
    }
}

} // namespace lintel
