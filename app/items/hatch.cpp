// SPDX-License-Identifier: GPL-3.0-only
#include "items/hatch.h"

#include <QPainter>

namespace lintel {

Hatch::Hatch(QQuickItem *parent) : QQuickPaintedItem(parent)
{
    setAntialiasing(true);
}

void Hatch::setColor(const QColor &color)
{
    if (color == m_color)
        return;
    m_color = color;
    update();
    Q_EMIT colorChanged();
}

void Hatch::paint(QPainter *painter)
{
    painter->setPen(QPen(m_color, 1));
    painter->setClipRect(boundingRect());
    for (qreal x = m_pitch / 2; x < width() + height(); x += m_pitch)
        painter->drawLine(QPointF(x, 0), QPointF(x - height(), height()));
}

} // namespace lintel
