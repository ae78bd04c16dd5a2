// SPDX-License-Identifier: GPL-3.0-only
// A small line without axes: how a value went lately. Points are fractions of the item (0 … 1,
// y upwards); a point without a number ends a piece, and nothing is drawn across it.
#pragma once

#include <QColor>
#include <QList>
#include <QPointF>
#include <QQuickPaintedItem>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class Sparkline : public QQuickPaintedItem
{
    Q_OBJECT
    QML_ELEMENT
    Q_PROPERTY(QList<QPointF> line READ line WRITE setLine NOTIFY lineChanged)
    Q_PROPERTY(QColor color READ color WRITE setColor NOTIFY colorChanged)

public:
    explicit Sparkline(QQuickItem *parent = nullptr);

    [[nodiscard]] QList<QPointF> line() const { return m_line; }
    void setLine(const QList<QPointF> &line);
    [[nodiscard]] QColor color() const { return m_color; }
    void setColor(const QColor &color);

    void paint(QPainter *painter) override;

Q_SIGNALS:
    void lineChanged();
    void colorChanged();

private:
    QList<QPointF> m_line;
    QColor m_color;
};

} // namespace lintel
