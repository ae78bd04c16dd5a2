// Only one process works on an authority's state: whoever holds this. The kernel releases it with the
// process, also when that is killed. Owned by whoever opens the state; any thread.
#pragma once

#include "domain/result.h"

#include <QString>

#include <memory>

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
    explicit StateLock(int descriptor) : m_descriptor(descriptor) {}
    int m_descriptor;
};

} // namespace lintel::authority
