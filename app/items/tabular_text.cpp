// SPDX-License-Identifier: GPL-3.0-only
#include "items/tabular_text.h"

#include <QFontMetricsF>
#include <QPainter>

#include <cmath>

namespace lintel {
namespace {

bool isDigit(QChar c)
{
    return c >= QLatin1Char('0') && c <= QLatin1Char('9');
}

qreal digitWidth(const QFontMetricsF &metrics)
{
    qreal width = 0;
    for (char16_t digit = u'0'; digit <= u'9'; ++digit)
        width = std::max(width, metrics.horizontalAdvance(QChar(digit)));
    return width;
}

/// Calls `each` with every piece of text and its left edge: digits one by one, the rest in runs.
template <class Each>
qreal layOut(const QString &text, const QFontMetricsF &metrics, Each each)
{
    const qreal cell = digitWidth(metrics);
    qreal x = 0;
    qsizetype i = 0;
    while (i < text.size()) {
        if (isDigit(text[i])) {
            const QString digit(text[i]);
            each(x + (cell - metrics.horizontalAdvance(digit)) / 2, digit);
            x += cell;
            ++i;
            continue;
        }
        qsizetype end = i;
        while (end < text.size() && !isDigit(text[end]))
            ++end;
        const QString run = text.mid(i, end - i);
        each(x, run);
        x += metrics.horizontalAdvance(run);
        i = end;
    }
    return x;
}

} // namespace

TabularText::TabularText(QQuickItem *parent) : QQuickPaintedItem(parent)
{
    setAntialiasing(true);
}

void TabularText::setText(const QString &text)
{
    if (text == m_text)
        return;
    m_text = text;
    measure();
    Q_EMIT textChanged();
}

void TabularText::setFont(const QFont &font)
{
    if (font == m_font)
        return;
    m_font = font;
    measure();
    Q_EMIT fontChanged();
}

void TabularText::setColor(const QColor &color)
{
    if (color == m_color)
        return;
    m_color = color;
    update();
    Q_EMIT colorChanged();
}

void TabularText::setHorizontalAlignment(Qt::Alignment alignment)
{
    if (alignment == m_alignment)
        return;
    m_alignment = alignment;
    update();
    Q_EMIT alignmentChanged();
}

void TabularText::measure()
{
    const QFontMetricsF metrics(m_font);
    setImplicitSize(std::ceil(layOut(m_text, metrics, [](qreal, const QString &) {})), std::ceil(metrics.height()));
    setBaselineOffset(std::ceil(metrics.ascent()));
    update();
}

void TabularText::paint(QPainter *painter)
{
    const QFontMetricsF metrics(m_font);
    painter->setFont(m_font);
    painter->setPen(m_color);
    const qreal left = m_alignment & Qt::AlignRight ? width() - implicitWidth() : 0;
    layOut(m_text, metrics,
           [&](qreal x, const QString &piece) { painter->drawText(QPointF(left + x, baselineOffset()), piece); });
}

} // namespace lintel
