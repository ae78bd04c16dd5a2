#include "workload-api/caller_attestor.h"

#include "workload-api/process_files.h"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lintel::workloads {

using namespace Qt::StringLiterals;

namespace {

/// The words after "Uid:" and the like in /proc/<pid>/status.
QList<QByteArray> wordsOf(const QByteArray &status, const QByteArray &key)
{
    for (const QByteArray &line : status.split('\n')) {
        if (line.startsWith(key))
            return line.mid(key.size()).simplified().split(' ');
    }
    return {};
}

void addExecutable(const Descriptor &process, Caller &caller)
{
    std::array<char, 4096> buffer{};
    const ssize_t length = ::readlinkat(process.number(), "exe", buffer.data(), buffer.size());
    const Descriptor file(::openat(process.number(), "exe", O_PATH | O_CLOEXEC));
    struct stat running {
    };
    if (length <= 0 || length == ssize_t(buffer.size()) || !file.isOpen() || ::fstat(file.number(), &running) != 0)
        return;
    const QByteArray path(buffer.data(), length);
    caller.executable = QString::fromUtf8(path);
    caller.executableFile = fingerprintOf(running);
    struct stat seen {
    };
    if (path.startsWith('/') && ::stat(path.constData(), &seen) == 0 && seen.st_dev == running.st_dev
        && seen.st_ino == running.st_ino)
        caller.selectors.insert(u"unix:path:"_s + caller.executable);
}

Error gone(const grpc::UnixPeer &peer)
{
    return {Errc::Denied, u"The process that connected (pid %1) has ended."_s.arg(peer.pid)};
}

} // namespace

bool isForCallers(const Selectors &wanted)
{
    return !wanted.isEmpty() && std::all_of(wanted.begin(), wanted.end(), [](const QString &selector) {
        return selector.startsWith("unix:"_L1) || selector.startsWith("systemd:"_L1);
    });
}

QString systemdUnitOf(const QByteArray &cgroupFile)
{
    for (const QByteArray &line : cgroupFile.split('\n')) {
        const qsizetype first = line.indexOf(':');
        const qsizetype second = line.indexOf(':', first + 1);
        if (first < 0 || second < 0)
            continue;
        const QByteArray controllers = line.mid(first + 1, second - first - 1);
        const bool isSystemd = line.startsWith("0:") ? controllers.isEmpty() : controllers == "name=systemd";
        if (!isSystemd)
            continue;
        for (QByteArray part : line.mid(second + 1).split('/')) {
            if (part.startsWith('_')) // how systemd escapes names that the kernel uses itself
                part.remove(0, 1);
            if (part.isEmpty() || part.endsWith(".slice"))
                continue;
            return part.endsWith(".service") || part.endsWith(".scope") ? QString::fromUtf8(part) : QString();
        }
    }
    return {};
}

QString Caller::toString() const
{
    const QString who = u"pid %1 of uid %2"_s.arg(process.pid).arg(process.uid);
    return executable.isEmpty() ? who : u"%1 (%2)"_s.arg(who, executable);
}

Result<Caller> CallerAttestor::attest(const grpc::UnixPeer &peer) const
{
    const Descriptor process = openProcess(m_procDir, peer.pid);
    if (peer.startedAt == 0 || !process.isOpen() || startOf(process) != peer.startedAt)
        return gone(peer);

    Caller caller;
    caller.process = peer;
    const auto status = readIn(process, "status");
    if (!status)
        return gone(peer);
    // The effective ones, second of four. A program that became another user keeps its connection.
    const QList<QByteArray> users = wordsOf(*status, "Uid:");
    const QList<QByteArray> groups = wordsOf(*status, "Gid:");
    if (users.value(1) != QByteArray::number(peer.uid) || groups.value(1) != QByteArray::number(peer.gid))
        return Error{
            Errc::Denied,
            u"Pid %1 is another user or group than when it connected; it has to connect anew."_s.arg(peer.pid)};
    caller.selectors.insert(u"unix:uid:%1"_s.arg(peer.uid));
    caller.selectors.insert(u"unix:gid:%1"_s.arg(peer.gid));
    for (const QByteArray &group : wordsOf(*status, "Groups:")) {
        if (!group.isEmpty())
            caller.selectors.insert(u"unix:supplementary_gid:"_s + QString::fromLatin1(group));
    }
    if (const auto cgroup = readIn(process, "cgroup")) {
        if (const QString unit = systemdUnitOf(*cgroup); !unit.isEmpty())
            caller.selectors.insert(u"systemd:id:"_s + unit);
    }
    addExecutable(process, caller);
    if (startOf(process) != peer.startedAt)
        return gone(peer);
    return caller;
}

bool CallerAttestor::isStillThere(const Caller &caller) const
{
    const Descriptor process = openProcess(m_procDir, caller.process.pid);
    return process.isOpen() && startOf(process) == caller.process.startedAt;
}

CallerAttestor::Match CallerAttestor::matches(Caller &caller, const Selectors &wanted)
{
    if (wanted.isEmpty())
        return Match::No;
    const Selectors missing = wanted - caller.selectors;
    if (missing.isEmpty())
        return Match::Yes;
    for (const QString &selector : missing) {
        if (!selector.startsWith("unix:sha256:"_L1))
            return Match::No;
    }
    if (caller.executableFile.isEmpty())
        return Match::No;
    if (!caller.hash)
        caller.hash = m_hashes.ask(caller.process, caller.executableFile);
    if (!caller.hash->isKnown)
        return Match::NotYet;
    if (!caller.hash->hex.isEmpty())
        caller.selectors.insert(u"unix:sha256:"_s + caller.hash->hex);
    return caller.selectors.contains(wanted) ? Match::Yes : Match::No;
}

} // namespace lintel::workloads
