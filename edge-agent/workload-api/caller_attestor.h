// Who calls: what the kernel says about the process at the other end of a Unix socket, as selectors
// with SPIRE's names, so that entries made for a SPIRE agent fit:
//   unix:uid:N  unix:gid:N  unix:supplementary_gid:N  unix:path:/usr/bin/x  unix:sha256:hex
//   systemd:id:x.service
//
// A pid alone proves nothing: it may have been reused since the connection was made, so the process
// must still be the one that began when the server accepted (UnixPeer::startedAt), before and after
// everything is read, and still be the user that it was. Reading another user's executable needs
// CAP_SYS_PTRACE; without it path and sha256 are left out. Paths are believed only when the file
// that this process sees there is the one that runs (a caller may have mounts of its own).
//
// One thread; reads /proc. A whole executable, when an entry wants its hash, is read elsewhere.
#pragma once

#include "domain/result.h"
#include "grpc/grpc_types.h"
#include "workload-api/executable_hashes.h"
#include "workload-api/workload_issuer.h"

namespace lintel::workloads {

struct Caller {
    grpc::UnixPeer process;
    Selectors selectors;
    QString executable;                         // as the kernel names it; empty when it may not be read
    QByteArray executableFile;                  // which file that is: device, inode, size and times
    std::shared_ptr<const ExecutableHash> hash; // once an entry has asked for it

    /// For people: "pid 4242 of uid 1000 (/usr/bin/x)".
    [[nodiscard]] QString toString() const;
};

class CallerAttestor
{
public:
    /// Another `procDir` is for tests.
    explicit CallerAttestor(QString procDir = QStringLiteral("/proc")) : m_procDir(procDir), m_hashes(procDir) {}

    /// Denied: the process has ended, or is not the one that connected.
    [[nodiscard]] Result<Caller> attest(const grpc::UnixPeer &peer) const;
    [[nodiscard]] bool isStillThere(const Caller &caller) const;
    enum class Match { No, NotYet, Yes };
    /// Whether the caller has all of `wanted`; never for an empty set. When nothing but the hash of its executable
    /// is missing, that is read meanwhile: NotYet until hashes() says more.
    [[nodiscard]] Match matches(Caller &caller, const Selectors &wanted);
    [[nodiscard]] const ExecutableHashes &hashes() const { return m_hashes; }

private:
    QString m_procDir;
    ExecutableHashes m_hashes;
};

/// Whether a caller can have all of these at all. Others ("lintel:device") are for somebody else.
[[nodiscard]] bool isForCallers(const Selectors &wanted);

/// The unit that a process belongs to, from its /proc/<pid>/cgroup: the first part of the path that
/// is no slice, as systemd finds it. Only root can make that one; what lies below is the user's.
[[nodiscard]] QString systemdUnitOf(const QByteArray &cgroupFile);

} // namespace lintel::workloads
