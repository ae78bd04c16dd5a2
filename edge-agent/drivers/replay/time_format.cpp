#include "drivers/replay/time_format.h"

#include <QDateTime>

#include <array>
#include <optional>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

struct Fields {
    int year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0, millisecond = 0;
};

struct Token {
    QStringView letters;
    int Fields::*field;
    int minDigits;
    int maxDigits;
};

// Longer ones first.
constexpr std::array tokens{
    Token{u"yyyy", &Fields::year, 4, 4}, Token{u"zzz", &Fields::millisecond, 3, 3}, Token{u"MM", &Fields::month, 2, 2},
    Token{u"dd", &Fields::day, 2, 2},    Token{u"HH", &Fields::hour, 2, 2},         Token{u"mm", &Fields::minute, 2, 2},
    Token{u"ss", &Fields::second, 2, 2}, Token{u"M", &Fields::month, 1, 2},         Token{u"d", &Fields::day, 1, 2},
    Token{u"H", &Fields::hour, 1, 2},
};

const Token *tokenAt(QStringView format)
{
    for (const Token &token : tokens) {
        if (format.startsWith(token.letters))
            return &token;
    }
    return nullptr;
}

/// Takes digits from the front of the text.
std::optional<int> number(QStringView &text, int minDigits, int maxDigits)
{
    int value = 0;
    int digits = 0;
    while (digits < maxDigits && digits < text.size() && text[digits] >= u'0' && text[digits] <= u'9')
        value = value * 10 + (text[digits++].unicode() - u'0');
    if (digits < minDigits)
        return std::nullopt;
    text = text.sliced(digits);
    return value;
}

std::optional<QTimeZone> zoneOf(const QString &name)
{
    if (name == "UTC"_L1 || name == "Z"_L1)
        return QTimeZone::utc();
    const bool isOffset = name.size() == 6 && (name[0] == u'+' || name[0] == u'-') && name[3] == u':';
    if (isOffset) {
        bool hoursOk = false;
        bool minutesOk = false;
        const int hours = QStringView(name).sliced(1, 2).toInt(&hoursOk);
        const int minutes = QStringView(name).sliced(4, 2).toInt(&minutesOk);
        const int seconds = (hours * 60 + minutes) * 60;
        if (!hoursOk || !minutesOk || hours > 14 || minutes > 59)
            return std::nullopt;
        return QTimeZone(name[0] == u'-' ? -seconds : seconds);
    }
    const QTimeZone zone(name.toLatin1());
    if (!zone.isValid())
        return std::nullopt;
    return zone;
}

} // namespace

Result<TimeFormat> TimeFormat::make(const QString &format, const QString &zone)
{
    const auto known = zoneOf(zone);
    if (!known)
        return Error{
            Errc::NotFound,
            u"\"%1\" is no time zone of this machine; write UTC, an offset such as +01:00, or a name such as Europe/Brussels (package tzdata)."_s
                .arg(zone)};
    if (!format.startsWith("epoch_"_L1)
        && !(format.contains("yyyy"_L1) && format.contains(u'M') && format.contains(u'd')))
        return Error{
            Errc::Malformed,
            u"\"%1\" is no time format; it needs yyyy, MM and dd at least, or is epoch_s or epoch_ms."_s.arg(format)};
    return TimeFormat(format, *known);
}

Result<Timestamp> TimeFormat::parse(QStringView text) const
{
    const auto malformed = [&] {
        return Error{Errc::Malformed, u"\"%1\" is not a time of the form %2"_s.arg(text.left(40)).arg(m_format)};
    };
    if (m_format.startsWith("epoch_"_L1)) {
        bool isNumber = false;
        const qint64 count = text.toLongLong(&isNumber);
        const qint64 limit = 253'402'300'799; // the year 9999
        const qint64 factor = m_format == "epoch_ms"_L1 ? 1 : 1000;
        if (!isNumber || count < 0 || count > limit * 1000 / factor)
            return malformed();
        return fromEpochMillis(count * factor);
    }
    Fields fields;
    QStringView rest = text;
    for (QStringView format = m_format; !format.isEmpty();) {
        if (const Token *token = tokenAt(format)) {
            const auto value = number(rest, token->minDigits, token->maxDigits);
            if (!value)
                return malformed();
            fields.*(token->field) = *value;
            format = format.sliced(token->letters.size());
            continue;
        }
        if (rest.isEmpty() || rest.front() != format.front())
            return malformed();
        rest = rest.sliced(1);
        format = format.sliced(1);
    }
    const QDate date(fields.year, fields.month, fields.day);
    const QTime time(fields.hour, fields.minute, fields.second, fields.millisecond);
    if (!rest.isEmpty() || !date.isValid() || !time.isValid())
        return malformed();
    const QDateTime moment(date, time, m_zone);
    if (!moment.isValid() || moment.date() != date || moment.time() != time)
        return Error{Errc::Malformed,
                     u"\"%1\" does not exist in this time zone: daylight saving leaves it out"_s.arg(text.left(40))};
    return fromEpochMillis(moment.toMSecsSinceEpoch());
}

} // namespace lintel
