// SPDX-License-Identifier: GPL-3.0-only
#include "items/hatch.h"

#include <QPainter>

#include <cmath>

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
    const int lines = m_pitch > 0 ? int(std::ceil((width() + height()) / m_pitch - 0.5)) : 0;
    for (int line = 0; line < lines; ++line) {
        const qreal x = (line + 0.5) * m_pitch;
        painter->drawLine(QPointF(x, 0), QPointF(x - height(), height()));
    }
}

} // namespace lintel
