// A file that one process holds alone, for as long as it works on what the file stands for. The kernel
// releases it with the process, also when that is killed, so a lock is never left behind; the file itself
// stays, and whether it is there means nothing. For file systems of this machine. Owned by whoever works
// there; any thread.
#pragma once

#include "domain/result.h"

#include <QString>

#include <memory>

namespace lintel {

class LockFile
{
public:
    /// Makes the file (0600) when it is not there; its folder must exist. Conflict: somebody holds it, and the
    /// sentence is `whenHeld`. Full: the disk has no room for it; Io: it cannot be made.
    [[nodiscard]] static Result<std::unique_ptr<LockFile>> take(const QString &path, const QString &whenHeld);
    ~LockFile();
    LockFile(const LockFile &) = delete;
    LockFile &operator=(const LockFile &) = delete;

private:
    explicit LockFile(int descriptor) : m_descriptor(descriptor) {}
    int m_descriptor;
};

} // namespace lintel
