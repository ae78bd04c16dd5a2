// SPDX-License-Identifier: GPL-3.0-only
// One line of text whose digits all take the same room, so that a number does not jump when it
// changes. Inter's digits are proportional and Qt 6.4 cannot switch its tabular figures on, so each
// digit is centred in the width of the widest one. GUI thread; painted in the scene graph's.
#pragma once

#include <QColor>
#include <QFont>
#include <QQuickPaintedItem>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class TabularText : public QQuickPaintedItem
{
    Q_OBJECT
    QML_ELEMENT
    Q_PROPERTY(QString text READ text WRITE setText NOTIFY textChanged)
    Q_PROPERTY(QFont font READ font WRITE setFont NOTIFY fontChanged)
    Q_PROPERTY(QColor color READ color WRITE setColor NOTIFY colorChanged)
    /// Qt::AlignLeft or Qt::AlignRight inside a width larger than the text's.
    Q_PROPERTY(
        Qt::Alignment horizontalAlignment READ horizontalAlignment WRITE setHorizontalAlignment NOTIFY alignmentChanged)

public:
    explicit TabularText(QQuickItem *parent = nullptr);

    [[nodiscard]] QString text() const { return m_text; }
    void setText(const QString &text);
    [[nodiscard]] QFont font() const { return m_font; }
    void setFont(const QFont &font);
    [[nodiscard]] QColor color() const { return m_color; }
    void setColor(const QColor &color);
    [[nodiscard]] Qt::Alignment horizontalAlignment() const { return m_alignment; }
    void setHorizontalAlignment(Qt::Alignment alignment);

    void paint(QPainter *painter) override;

Q_SIGNALS:
    void textChanged();
    void fontChanged();
    void colorChanged();
    void alignmentChanged();

private:
    void measure();

    QString m_text;
    QFont m_font;
    QColor m_color;
    Qt::Alignment m_alignment = Qt::AlignLeft;
};

} // namespace lintel
