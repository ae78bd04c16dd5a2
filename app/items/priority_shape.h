// SPDX-License-Identifier: GPL-3.0-only
// The shape of a priority, because colour never stands alone: 1 a filled square, 2 a filled
// triangle, 3 a ring, 0 nothing.
#pragma once

#include <QColor>
#include <QQuickPaintedItem>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class PriorityShape : public QQuickPaintedItem
{
    Q_OBJECT
    QML_ELEMENT
    Q_PROPERTY(int priority READ priority WRITE setPriority NOTIFY priorityChanged)
    Q_PROPERTY(QColor color READ color WRITE setColor NOTIFY colorChanged)

public:
    explicit PriorityShape(QQuickItem *parent = nullptr);

    [[nodiscard]] int priority() const { return m_priority; }
    void setPriority(int priority);
    [[nodiscard]] QColor color() const { return m_color; }
    void setColor(const QColor &color);

    void paint(QPainter *painter) override;

Q_SIGNALS:
    void priorityChanged();
    void colorChanged();

private:
    int m_priority = 0;
    QColor m_color;
};

} // namespace lintel
