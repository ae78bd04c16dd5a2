// SPDX-License-Identifier: GPL-3.0-only
#include "text/natural_order.h"

namespace lintel {
namespace {

bool isDigit(QChar c)
{
    return c >= QLatin1Char('0') && c <= QLatin1Char('9');
}

qsizetype endOfNumber(const QString &text, qsizetype from)
{
    while (from < text.size() && isDigit(text[from]))
        ++from;
    return from;
}

QStringView withoutZeros(QStringView number)
{
    while (number.size() > 1 && number.front() == QLatin1Char('0'))
        number = number.sliced(1);
    return number;
}

} // namespace

bool lessByName(const QString &a, const QString &b)
{
    qsizetype i = 0;
    qsizetype j = 0;
    while (i < a.size() && j < b.size()) {
        if (isDigit(a[i]) && isDigit(b[j])) {
            const qsizetype endA = endOfNumber(a, i);
            const qsizetype endB = endOfNumber(b, j);
            const QStringView numberA = withoutZeros(QStringView(a).sliced(i, endA - i));
            const QStringView numberB = withoutZeros(QStringView(b).sliced(j, endB - j));
            if (numberA.size() != numberB.size())
                return numberA.size() < numberB.size();
            if (numberA != numberB)
                return numberA < numberB;
            i = endA;
            j = endB;
            continue;
        }
        const QChar lowerA = a[i].toLower();
        const QChar lowerB = b[j].toLower();
        if (lowerA != lowerB)
            return lowerA < lowerB;
        ++i;
        ++j;
    }
    const qsizetype restA = a.size() - i;
    const qsizetype restB = b.size() - j;
    return restA != restB ? restA < restB : a < b;
}

} // namespace lintel
