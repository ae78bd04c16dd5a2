#include "domain/timestamp.h"

#include <QStringView>

#include <array>
#include <optional>

namespace lintel {

namespace {

using namespace std::chrono;

/// Reads a time stamp from left to right; every step says whether it found what it wanted.
class Scanner
{
public:
    explicit Scanner(QStringView text) : m_text(text) {}

    [[nodiscard]] bool atEnd() const { return m_at == m_text.size(); }

    /// Exactly `digits` ASCII digits.
    [[nodiscard]] std::optional<int> number(int digits)
    {
        int value = 0;
        for (int i = 0; i < digits; ++i) {
            const std::optional<int> next = digit();
            if (!next)
                return std::nullopt;
            value = value * 10 + *next;
        }
        return value;
    }

    [[nodiscard]] std::optional<int> digit()
    {
        if (atEnd() || m_text[m_at] < u'0' || m_text[m_at] > u'9')
            return std::nullopt;
        return m_text[m_at++].unicode() - u'0';
    }

    /// One of these characters, or 0.
    [[nodiscard]] char16_t oneOf(QStringView wanted)
    {
        if (atEnd() || !wanted.contains(m_text[m_at]))
            return 0;
        return m_text[m_at++].unicode();
    }

private:
    QStringView m_text;
    qsizetype m_at = 0;
};

Error malformed(const QString &text)
{
    return Error{
        Errc::Malformed,
        QStringLiteral("\"%1\" is not a time with a zone; write it like 2026-11-21T09:41:00.000Z.").arg(text.left(64))};
}

Error outOfRange(const QString &text)
{
    return Error{Errc::OutOfRange,
                 QStringLiteral("\"%1\" names a day or a time of day that does not exist.").arg(text.left(64))};
}

/// Fraction of a second, cut to milliseconds; nothing when a '.' is not followed by a digit.
std::optional<Millis> fraction(Scanner &scanner)
{
    if (!scanner.oneOf(u"."))
        return Millis{0};
    std::optional<int> next = scanner.digit();
    if (!next)
        return std::nullopt;
    int ms = 0;
    for (int weight = 100; next; next = scanner.digit()) {
        ms += *next * weight;
        weight /= 10;
    }
    return Millis{ms};
}

struct Zone {
    int sign = 1;
    int hours = 0;
    int minutes = 0;
};

std::optional<Zone> zone(Scanner &scanner)
{
    const char16_t first = scanner.oneOf(u"Zz+-");
    if (first == 0)
        return std::nullopt;
    if (first == u'Z' || first == u'z')
        return Zone{};
    const auto hours = scanner.number(2);
    if (!hours || !scanner.oneOf(u":"))
        return std::nullopt;
    const auto minutes = scanner.number(2);
    if (!minutes)
        return std::nullopt;
    return Zone{first == u'-' ? -1 : 1, *hours, *minutes};
}

/// RFC 3339 has no others.
bool hasFourDigitYear(Timestamp t)
{
    constexpr Timestamp first{sys_days{year{0} / 1 / 1}};
    constexpr Timestamp end{sys_days{year{10'000} / 1 / 1}};
    return t >= first && t < end;
}

} // namespace

QString toIso8601(Timestamp t)
{
    // What lies outside is still told, never garbled.
    if (!hasFourDigitYear(t))
        return QStringLiteral("%1 ms since 1970").arg(toEpochMillis(t));
    const sys_days midnight = floor<days>(t);
    const year_month_day date{midnight};
    const hh_mm_ss<Millis> time{t - midnight};
    return QString::asprintf("%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", int(date.year()), unsigned(date.month()),
                             unsigned(date.day()), int(time.hours().count()), int(time.minutes().count()),
                             int(time.seconds().count()), int(time.subseconds().count()));
}

Result<Timestamp> timestampFromIso8601(const QString &text)
{
    Scanner scanner(text);
    std::array<int, 6> field{};
    constexpr std::array<int, 6> digits{4, 2, 2, 2, 2, 2};
    constexpr std::array<QStringView, 6> after{u"-", u"-", u"Tt ", u":", u":", u""};
    for (size_t i = 0; i < field.size(); ++i) {
        const auto value = scanner.number(digits[i]);
        if (!value || (!after[i].isEmpty() && !scanner.oneOf(after[i])))
            return malformed(text);
        field[i] = *value;
    }
    const auto ms = fraction(scanner);
    if (!ms)
        return malformed(text);
    const auto offset = zone(scanner);
    if (!offset || !scanner.atEnd())
        return malformed(text);

    const year_month_day date{year{field[0]}, month{unsigned(field[1])}, day{unsigned(field[2])}};
    if (!date.ok() || field[3] > 23 || field[4] > 59 || field[5] > 60 || offset->hours > 23 || offset->minutes > 59)
        return outOfRange(text);
    const Timestamp local = sys_days{date} + hours{field[3]} + minutes{field[4]} + seconds{field[5]} + *ms;
    const Timestamp utc = local - offset->sign * (hours{offset->hours} + minutes{offset->minutes});
    // A leap second (RFC 3339 section 5.7) exists only in the last minute of a day in UTC.
    if (field[5] == 60 && utc - *ms != floor<days>(utc))
        return outOfRange(text);
    // A zone or a leap second may lead out of the years that can be written.
    if (!hasFourDigitYear(utc))
        return outOfRange(text);
    return utc;
}

} // namespace lintel
