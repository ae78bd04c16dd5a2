// Arbitrary domain values from a seed, edges included, for round-trip tests.
#pragma once

#include "domain/point.h"

#include <QRandomGenerator>

#include <bit>

namespace lintel::random_values {

inline QString text(QRandomGenerator &random)
{
    static const QStringList pieces{QStringLiteral("air_temp"),   QStringLiteral("ü"),    QStringLiteral("温度"),
                                    QStringLiteral("\U0001F321"), QString(QChar(0xFEFF)), QString(QChar(0)),
                                    QStringLiteral("/"),          QStringLiteral(" ")};
    QString out;
    for (int i = random.bounded(5); i > 0; --i)
        out += pieces[random.bounded(int(pieces.size()))];
    return out;
}

/// Small numbers, and numbers at the edge of each width.
inline quint64 bits(QRandomGenerator &random)
{
    return random.generate64() >> random.bounded(64);
}

inline qint64 number(QRandomGenerator &random)
{
    const auto value = static_cast<qint64>(bits(random));
    return random.bounded(2) ? value : static_cast<qint64>(~static_cast<quint64>(value));
}

/// Never NaN, so that == can be asked.
inline double real(QRandomGenerator &random)
{
    if (random.bounded(4) == 0)
        return random.bounded(2) ? std::numeric_limits<double>::infinity() : -0.0;
    const auto value = std::bit_cast<double>(random.generate64());
    return value == value ? value : 0.5;
}

inline Unit unit(QRandomGenerator &random)
{
    return allUnits()[size_t(random.bounded(int(allUnits().size())))].unit;
}

inline Value value(QRandomGenerator &random)
{
    switch (random.bounded(4)) {
    case 0: return real(random);
    case 1: return number(random);
    case 2: return random.bounded(2) == 1;
    default: return text(random);
    }
}

inline Reading reading(QRandomGenerator &random)
{
    constexpr Quality qualities[]{Quality::Bad, Quality::Good, Quality::Stale};
    return {text(random),
            value(random),
            unit(random),
            fromEpochMillis(number(random)),
            qualities[random.bounded(3)],
            random.bounded(2) == 1};
}

inline Loss loss(QRandomGenerator &random)
{
    const StreamId stream = random.bounded(3)
                                ? QUuid(random.generate(), quint16(random.bounded(65536)), 3, 4, 5, 6, 7, 8, 9, 10, 11)
                                : QUuid();
    return {text(random),
            stream,
            bits(random),
            bits(random),
            bits(random),
            fromEpochMillis(number(random)),
            fromEpochMillis(number(random)),
            static_cast<LossReason>(1 + random.bounded(4))};
}

inline ReadingBatch batch(QRandomGenerator &random)
{
    ReadingBatch out{text(random), {}, {}};
    for (int i = random.bounded(8); i > 0; --i)
        out.readings.append(reading(random));
    for (int i = random.bounded(3); i > 0; --i)
        out.losses.append(loss(random));
    return out;
}

inline Point point(QRandomGenerator &random)
{
    Point out{text(random),          text(random), static_cast<Kind>(random.bounded(4)),
              unit(random),          {},           text(random),
              text(random),          text(random), text(random),
              Millis{number(random)}};
    for (int i = random.bounded(6); i > 0; --i)
        out.tags.append(text(random));
    return out;
}

} // namespace lintel::random_values
