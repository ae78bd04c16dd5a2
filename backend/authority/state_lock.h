// Only one process works on an authority's state: whoever holds this. Owned by whoever opens the state;
// any thread.
#pragma once

#include "domain/result.h"

#include <QString>

#include <memory>

namespace lintel {
class LockFile;
}

namespace lintel::authority {

class StateLock
{
public:
    /// Makes the directory (0700) when it is not there. Conflict: an authority runs on this state.
    [[nodiscard]] static Result<std::unique_ptr<StateLock>> take(const QString &stateDir);
    ~StateLock();
    StateLock(const StateLock &) = delete;
    StateLock &operator=(const StateLock &) = delete;

private:
    explicit StateLock(std::unique_ptr<LockFile> file);
    std::unique_ptr<LockFile> m_file;
};

} // namespace lintel::authority
