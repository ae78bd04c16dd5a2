// Structured logging on Qt's logging categories: qCInfo(category) << u"…" anywhere, and here is
// where it goes.
//
// Destinations: stderr (one logfmt line: ISO time, level, category, msg), the local syslog daemon
// (facility daemon, RFC 3164), and systemd-journald by its native protocol. A syslog or journald that
// is not there is replaced by stderr, and a line says so; one that is restarted is found again; what
// it does not take within a second goes to stderr, and for a while what it does not take at once.
//
// Qt's levels map to DEBUG, INFO, WARNING, CRITICAL ("ERROR" is qCCritical) and
// qFatal to CRITICAL.
//
// Values that belong to a message are named with field(): qCInfo(lc).noquote() << u"spool opened" <<
// log::field(u"path", path). A field whose name is a secret's (key, token, password …) prints as
// "[redacted]", and so does a PEM block wherever it stands.
//
// A line that repeats within ten seconds is counted, not printed; its count follows with the next
// line that differs, when the window ends and the line comes again, or at the end.
//
// install() and uninstall(): main thread. Logging itself: any thread.
#pragma once

#include "domain/result.h"

#include <QString>

namespace lintel::log {

enum class Level { Debug, Info, Warning, Error, Critical };
enum class Destination { Stderr, Syslog, Journald };

struct Settings {
    Level level = Level::Info;
    Destination destination = Destination::Stderr;
    QString program;                                                       // what the service calls us
    QString journalSocket = QStringLiteral("/run/systemd/journal/socket"); // others in tests
    QString syslogSocket = QStringLiteral("/dev/log");
};

/// Takes over Qt's messages until uninstall(). Unavailable when syslog or journald does not listen:
/// messages go to stderr then, and the error says it in a sentence.
[[nodiscard]] Result<void> install(const Settings &settings);
/// Prints pending repeat counts and gives messages back to Qt.
void uninstall();

/// name=value, quoted where needed; a secret's value is not shown.
[[nodiscard]] QString field(QStringView name, const QString &value);
[[nodiscard]] QString field(QStringView name, qint64 value);

/// Whether a field or configuration key of this name holds a secret.
[[nodiscard]] bool isSecretName(QStringView name);
/// The text with PEM blocks and the values of secret fields replaced by [redacted].
[[nodiscard]] QString redacted(const QString &text);

} // namespace lintel::log
