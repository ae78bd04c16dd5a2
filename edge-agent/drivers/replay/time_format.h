// Time stamps of recordings, by a format such as "yyyy-MM-dd HH:mm:ss" or "M/d/yyyy H:mm".
// Values only; any thread.
#pragma once

#include "domain/timestamp.h"

#include <QString>
#include <QTimeZone>

namespace lintel {

class TimeFormat
{
public:
    /// Known letters: yyyy, MM or M, dd or d, HH or H, mm, ss, zzz (milliseconds); anything else is
    /// itself. Two letters want two digits, one letter takes one or two. "epoch_s" and "epoch_ms"
    /// are counts since 1970. `zone`: UTC, an IANA name, or an offset such as +01:00.
    [[nodiscard]] static Result<TimeFormat> make(const QString &format, const QString &zone);

    /// A time that daylight saving leaves out is Malformed; one that it has twice is the first.
    [[nodiscard]] Result<Timestamp> parse(QStringView text) const;

private:
    TimeFormat(QString format, const QTimeZone &zone) : m_format(std::move(format)), m_zone(zone) {}

    QString m_format;
    QTimeZone m_zone;
};

} // namespace lintel
