#include "adapters/log/log.h"

#include "adapters/log/log_line.h"

#include <QLoggingCategory>
#include <QMutex>
#include <QMutexLocker>

#include <chrono>
#include <cstring>
#include <memory>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace lintel::log {

using namespace Qt::StringLiterals;

namespace {

/// Where lines go. The mutex is here because Qt's message handler is called on any thread.
struct Sink {
    QMutex mutex;
    Settings settings;
    RepeatFilter repeats;
    int service = -1; // connected to syslog or journald
    std::chrono::steady_clock::time_point impatientUntil;
    bool isInstalled = false;
};

Sink &sink()
{
    static Sink one;
    return one;
}

Level levelOf(QtMsgType type)
{
    switch (type) {
    case QtDebugMsg: return Level::Debug;
    case QtInfoMsg: return Level::Info;
    case QtWarningMsg: return Level::Warning;
    case QtCriticalMsg: return Level::Error;
    case QtFatalMsg: return Level::Critical;
    }
    return Level::Info;
}

void writeStderr(const QByteArray &text)
{
    const char *at = text.constData();
    auto left = size_t(text.size());
    while (left > 0) {
        const ssize_t written = ::write(STDERR_FILENO, at, left);
        if (written < 0)
            return; // nobody reads; there is nowhere to say so
        at += written;
        left -= size_t(written);
    }
}

// A service that hangs must not stop the threads that log: it is waited for a moment, and then not at all
// for a while.
constexpr timeval kPatience{1, 0};
constexpr auto kImpatience = std::chrono::seconds{10};

/// `service` and `remedy` belong to the sentence for a service that does not listen.
Result<int> connectDatagram(const QString &path, const QString &service, const QString &remedy)
{
    sockaddr_un address{};
    const QByteArray local = path.toLocal8Bit();
    address.sun_family = AF_UNIX;
    if (size_t(local.size()) >= sizeof address.sun_path)
        return Error{Errc::OutOfRange, u"The path of the socket of %1 is too long."_s.arg(service)};
    std::memcpy(address.sun_path, local.constData(), size_t(local.size()));
    const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0)
        return Error{Errc::Io, u"No socket for %1: %2."_s.arg(service, QString::fromLocal8Bit(std::strerror(errno)))};
    (void)::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
    if (::connect(socket, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0)
        return socket;
    const QString why = QString::fromLocal8Bit(std::strerror(errno));
    ::close(socket);
    return Error{
        Errc::Unavailable,
        u"%1 does not listen at %2 (%3); logging to stderr instead. Start %4 or set observability.logging.destination."_s
            .arg(service, path, why, remedy)};
}

Result<int> connectService(const Settings &settings)
{
    return settings.destination == Destination::Syslog
               ? connectDatagram(settings.syslogSocket, u"syslog"_s, u"a syslog daemon"_s)
               : connectDatagram(settings.journalSocket, u"journald"_s, u"systemd-journald"_s);
}

/// 0, or why not.
int sendTo(Sink &to, const QByteArray &datagram)
{
    if (to.service < 0)
        return ENOTCONN;
    const auto now = std::chrono::steady_clock::now();
    const int flags = MSG_NOSIGNAL | (now < to.impatientUntil ? MSG_DONTWAIT : 0);
    for (;;) {
        if (::send(to.service, datagram.constData(), size_t(datagram.size()), flags) >= 0)
            return 0;
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            to.impatientUntil = now + kImpatience;
        return errno;
    }
}

/// It hangs, or the line is too long for it; another connection would not help.
bool isFull(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EMSGSIZE || error == ENOBUFS;
}

void write(Sink &to, const Line &line)
{
    if (to.settings.destination == Destination::Stderr) {
        writeStderr(toLogfmt(line));
        return;
    }
    const QByteArray datagram = to.settings.destination == Destination::Syslog
                                    ? toSyslog(line, to.settings.program, ::getpid())
                                    : toJournal(line, to.settings.program);
    int error = sendTo(to, datagram);
    if (error == 0)
        return;
    if (!isFull(error)) {
        // A service that was restarted listens on a new socket.
        if (to.service >= 0)
            ::close(std::exchange(to.service, -1));
        if (const auto again = connectService(to.settings))
            to.service = *again;
        error = sendTo(to, datagram);
    }
    if (error != 0)
        writeStderr(toLogfmt(line));
}

void handle(QtMsgType type, const QMessageLogContext &context, const QString &message)
{
    Sink &to = sink();
    const Level level = levelOf(type);
    if (level < to.settings.level)
        return;
    const auto now = std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
    const Line line{now, level, QString::fromUtf8(context.category ? context.category : "default"), redacted(message)};
    const QMutexLocker lock(&to.mutex);
    for (const Line &one : to.repeats.offer(line, std::chrono::steady_clock::now().time_since_epoch()))
        write(to, one);
}

/// What is below the level is not even formatted.
QString rulesFor(Level level)
{
    switch (level) {
    case Level::Debug: return u"*.debug=true\nqt.*.debug=false"_s;
    case Level::Info: return u"*.debug=false"_s;
    case Level::Warning: return u"*.debug=false\n*.info=false"_s;
    case Level::Error:
    case Level::Critical: return u"*.debug=false\n*.info=false\n*.warning=false"_s;
    }
    return {};
}

} // namespace

Result<void> install(const Settings &settings)
{
    uninstall();
    Sink &to = sink();
    Result<void> outcome;
    {
        const QMutexLocker lock(&to.mutex);
        to.settings = settings;
        to.repeats = RepeatFilter{};
        to.impatientUntil = {};
        if (settings.destination != Destination::Stderr) {
            const auto service = connectService(settings);
            if (service) {
                to.service = *service;
            } else {
                to.settings.destination = Destination::Stderr;
                outcome = service.error();
            }
        }
        to.isInstalled = true;
    }
    QLoggingCategory::setFilterRules(rulesFor(settings.level));
    qInstallMessageHandler(handle);
    return outcome;
}

void uninstall()
{
    Sink &to = sink();
    const QMutexLocker lock(&to.mutex);
    if (!to.isInstalled)
        return;
    qInstallMessageHandler(nullptr);
    QLoggingCategory::setFilterRules({});
    for (const Line &line : to.repeats.flush())
        write(to, line);
    if (to.service >= 0)
        ::close(std::exchange(to.service, -1));
    to.isInstalled = false;
}

} // namespace lintel::log
