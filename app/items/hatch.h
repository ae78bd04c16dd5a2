// SPDX-License-Identifier: GPL-3.0-only
// Fine diagonal lines over a value that is not of the present, and over a hole in a chart.
#pragma once

#include <QColor>
#include <QQuickPaintedItem>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class Hatch : public QQuickPaintedItem
{
    Q_OBJECT
    QML_ELEMENT
    Q_PROPERTY(QColor color READ color WRITE setColor NOTIFY colorChanged)
    /// Pixels between two lines, along the horizontal.
    Q_PROPERTY(qreal pitch MEMBER m_pitch NOTIFY colorChanged)

public:
    explicit Hatch(QQuickItem *parent = nullptr);

    [[nodiscard]] QColor color() const { return m_color; }
    void setColor(const QColor &color);

    void paint(QPainter *painter) override;

Q_SIGNALS:
    void colorChanged();

private:
    QColor m_color;
    qreal m_pitch = 8;
};

} // namespace lintel
