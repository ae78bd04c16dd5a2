#include "adapters/log/log_line.h"

#include <QDateTime>
#include <QLocale>
#include <QRegularExpression>

#include <array>

namespace lintel::log {

using namespace Qt::StringLiterals;

namespace {

constexpr std::array<QStringView, 14> secretWords{
    u"password", u"passwd", u"passphrase", u"secret",     u"token", u"private_key", u"privatekey",
    u"api_key",  u"apikey", u"credential", u"join_token", u"pin",   u"key_pem",     u"jwt",
};

struct Field {
    QString name;
    QString value; // without quotes
};

struct Parts {
    QString text;
    QList<Field> fields;
};

// Built at first use: a static in a library would cost every process its compilation.
const QRegularExpression &fieldPattern()
{
    static const QRegularExpression pattern(
        u"(?:^|(?<=\\s))([A-Za-z][A-Za-z0-9_.]*)=(\"(?:[^\"\\\\]|\\\\.)*\"|[^\\s\"]\\S*)"_s);
    return pattern;
}

QString unquoted(QStringView value)
{
    if (!value.startsWith(u'"'))
        return value.toString();
    QString plain;
    for (qsizetype i = 1; i + 1 < value.size(); ++i) {
        if (value[i] == u'\\' && i + 2 < value.size())
            ++i;
        plain.append(value[i]);
    }
    return plain;
}

/// The fields stand at the end of a message, where field() put them.
Parts split(const QString &message)
{
    Parts parts;
    qsizetype textEnd = message.size();
    auto matches = fieldPattern().globalMatch(message);
    qsizetype expectedStart = -1;
    while (matches.hasNext()) {
        const auto match = matches.next();
        const bool follows =
            expectedStart >= 0
            && QStringView(message).sliced(expectedStart, match.capturedStart() - expectedStart).trimmed().isEmpty();
        if (!follows) {
            parts.fields.clear();
            textEnd = match.capturedStart();
        }
        parts.fields.append({match.captured(1), unquoted(match.capturedView(2))});
        expectedStart = match.capturedEnd();
    }
    if (expectedStart >= 0 && !QStringView(message).sliced(expectedStart).trimmed().isEmpty())
        return {message, {}};
    parts.text = message.left(textEnd).trimmed();
    return parts;
}

/// Fit for one line.
QString printable(const QString &value)
{
    QString out;
    for (const QChar c : value) {
        if (c == u'\n')
            out += u"\\n"_s;
        else
            out += c.category() == QChar::Other_Control ? QChar(u' ') : c;
    }
    return out;
}

QString quoted(const QString &value)
{
    QString out;
    for (const QChar c : value) {
        if (c == u'"' || c == u'\\')
            out += u'\\';
        out += c;
    }
    return u'"' + printable(out) + u'"';
}

QString quotedIfNeeded(const QString &value)
{
    const bool isPlain = !value.isEmpty() && std::none_of(value.begin(), value.end(), [](QChar c) {
        return c.isSpace() || c == u'"' || c == u'\\' || c == u'=' || c.category() == QChar::Other_Control;
    });
    return isPlain ? value : quoted(value);
}

void appendJournalField(QByteArray &datagram, const QByteArray &name, const QByteArray &value)
{
    datagram += name;
    if (!value.contains('\n')) {
        datagram += '=' + value + '\n';
        return;
    }
    datagram += '\n';
    const auto size = quint64(value.size());
    for (int shift = 0; shift < 64; shift += 8)
        datagram += char((size >> shift) & 0xff); // little endian, as the protocol says
    datagram += value + '\n';
}

Line repeated(const Line &line, quint64 times)
{
    Line note = line;
    note.message = field(u"repeated", qint64(times));
    note.message.prepend(u"the line before came again "_s);
    return note;
}

} // namespace

bool isSecretName(QStringView name)
{
    const QString lower = name.toString().toLower();
    return std::any_of(secretWords.begin(), secretWords.end(), [&lower](QStringView word) {
        // "pin" is too short to look for inside other words
        return word.size() > 3 ? lower.contains(word) : (lower == word || lower.endsWith(u'_' + word.toString()));
    });
}

QString field(QStringView name, const QString &value)
{
    return name.toString() + u'=' + (isSecretName(name) ? u"[redacted]"_s : quotedIfNeeded(value));
}

QString field(QStringView name, qint64 value)
{
    return field(name, QString::number(value));
}

QString redacted(const QString &text)
{
    QString out = text;
    if (out.contains("-----BEGIN"_L1)) {
        static const QRegularExpression pem(u"-----BEGIN [A-Z0-9 ]+-----.*?(-----END [A-Z0-9 ]+-----|$)"_s,
                                            QRegularExpression::DotMatchesEverythingOption);
        out.replace(pem, u"[redacted]"_s);
    }
    if (!out.contains(u'=') && !out.contains(u':'))
        return out;
    static const QRegularExpression assignment(
        u"([A-Za-z][A-Za-z0-9_.]*)(\\s*[=:]\\s*)(\"(?:[^\"\\\\]|\\\\.)*\"|[^\\s\",;]+)"_s);
    qsizetype at = 0;
    for (auto match = assignment.match(out, at); match.hasMatch(); match = assignment.match(out, at)) {
        at = match.capturedEnd(2);
        if (!isSecretName(match.capturedView(1)))
            continue;
        out.replace(match.capturedStart(3), match.capturedLength(3), u"[redacted]"_s);
        at = match.capturedStart(3) + 10;
    }
    return out;
}

int syslogPriority(Level level)
{
    switch (level) {
    case Level::Debug: return 7;
    case Level::Info: return 6;
    case Level::Warning: return 4;
    case Level::Error: return 3;
    case Level::Critical: return 2;
    }
    return 6;
}

QByteArray levelName(Level level)
{
    switch (level) {
    case Level::Debug: return "DEBUG"_ba;
    case Level::Info: return "INFO"_ba;
    case Level::Warning: return "WARNING"_ba;
    case Level::Error: return "ERROR"_ba;
    case Level::Critical: return "CRITICAL"_ba;
    }
    return "INFO"_ba;
}

QByteArray toLogfmt(const Line &line)
{
    const Parts parts = split(line.message);
    QString text =
        u"%1 level=%2 category=%3 msg=%4"_s.arg(toIso8601(line.time), QLatin1StringView(levelName(line.level)),
                                                quotedIfNeeded(line.category), quoted(parts.text));
    for (const Field &one : parts.fields)
        text += u' ' + one.name + u'=' + quotedIfNeeded(one.value);
    return text.toUtf8() + '\n';
}

QByteArray toJournal(const Line &line, const QString &program)
{
    const Parts parts = split(line.message);
    QByteArray datagram;
    appendJournalField(datagram, "MESSAGE"_ba, line.message.toUtf8());
    appendJournalField(datagram, "PRIORITY"_ba, QByteArray::number(syslogPriority(line.level)));
    appendJournalField(datagram, "SYSLOG_IDENTIFIER"_ba, program.toUtf8());
    appendJournalField(datagram, "LINTEL_CATEGORY"_ba, line.category.toUtf8());
    for (const Field &one : parts.fields) {
        QByteArray name = one.name.toUpper().toLatin1();
        name.replace('.', '_');
        appendJournalField(datagram, "LINTEL_" + name.left(50), one.value.toUtf8());
    }
    return datagram;
}

QByteArray toSyslog(const Line &line, const QString &program, qint64 pid)
{
    constexpr int kDaemonFacility = 3;
    const QDateTime at = QDateTime::fromMSecsSinceEpoch(toEpochMillis(line.time));
    // "Nov  1 09:41:00": English month, day padded with a blank.
    const QString when = QLocale::c().toString(at, u"MMM"_s) + u' ' + QString::number(at.date().day()).rightJustified(2)
                         + u' ' + at.toString(u"HH:mm:ss"_s);
    return u"<%1>%2 %3[%4]: %5: %6"_s
        .arg(QString::number(kDaemonFacility * 8 + syslogPriority(line.level)), when, program, QString::number(pid),
             line.category, printable(line.message))
        .toUtf8();
}

QList<Line> RepeatFilter::offer(const Line &line, std::chrono::nanoseconds now)
{
    const bool isSame =
        m_any && line.level == m_last.level && line.category == m_last.category && line.message == m_last.message;
    if (isSame && now - m_since < m_window) {
        ++m_repeats;
        m_last.time = line.time;
        return {};
    }
    QList<Line> out = flush();
    m_last = line;
    m_since = now;
    m_any = true;
    out.append(line);
    return out;
}

QList<Line> RepeatFilter::flush()
{
    if (m_repeats == 0)
        return {};
    const quint64 times = std::exchange(m_repeats, 0);
    return {repeated(m_last, times)};
}

} // namespace lintel::log
