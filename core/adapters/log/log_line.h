// The pure part of logging: one message as a value, how it is written, and how repeats are held
// back. Values only; one thread at a time.
#pragma once

#include "adapters/log/log.h"
#include "domain/timestamp.h"

#include <QByteArray>
#include <QList>
#include <QString>

#include <chrono>

namespace lintel::log {

struct Line {
    Timestamp time{};
    Level level = Level::Info;
    QString category;
    QString message; // "text key=value key=value", already redacted

    friend bool operator==(const Line &, const Line &) = default;
};

/// 2026-11-21T09:41:00.000Z level=INFO category=lintel.sensor msg="spool opened" path=/var/…
[[nodiscard]] QByteArray toLogfmt(const Line &line);
/// The journal's native datagram: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, LINTEL_CATEGORY and one
/// LINTEL_<NAME> per field (systemd.journal-fields(7), JOURNAL_NATIVE_PROTOCOL).
[[nodiscard]] QByteArray toJournal(const Line &line, const QString &program);
/// The local syslog daemon's datagram (RFC 3164, section 4.1): <priority of facility daemon>, local
/// time, "program[pid]: category: message". Control characters print as blanks, line breaks as \n.
[[nodiscard]] QByteArray toSyslog(const Line &line, const QString &program, qint64 pid);
/// RFC 5424 severities: 7 debug … 2 critical.
[[nodiscard]] int syslogPriority(Level level);
[[nodiscard]] QByteArray levelName(Level level);

/// Holds back what repeats. offer() returns what is to be written now.
class RepeatFilter
{
public:
    explicit RepeatFilter(Millis window = Millis{10'000}) : m_window(window) {}

    [[nodiscard]] QList<Line> offer(const Line &line, std::chrono::nanoseconds now);
    /// The pending count, at the end.
    [[nodiscard]] QList<Line> flush();

private:
    Millis m_window;
    Line m_last;
    std::chrono::nanoseconds m_since{};
    quint64 m_repeats = 0;
    bool m_any = false;
};

} // namespace lintel::log
