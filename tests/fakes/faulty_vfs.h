// A disk for SQLite that can run full and lose its power. It passes everything on to the system's
// files and remembers what has been synced. After a power cut every access fails; restart() then
// puts the files into a state that a real disk could be in: all that was synced, and an arbitrary
// choice of the 512-byte sectors written since.
//
// Give name() to DatabaseOptions::vfs. Only for connections with an exclusive lock (it has no shared
// memory). One thread. Must outlive the connections that use it.
#pragma once

#include <QByteArray>

#include <memory>
#include <optional>
#include <random>

namespace lintel {

class FaultyVfs
{
public:
    FaultyVfs();
    ~FaultyVfs();
    FaultyVfs(const FaultyVfs &) = delete;
    FaultyVfs &operator=(const FaultyVfs &) = delete;

    [[nodiscard]] QByteArray name() const;

    /// Files may grow by so many bytes more in total; nothing = as many as they like.
    void setRoom(std::optional<qint64> bytes);
    /// The power goes after so many writes, syncs and truncations more.
    void cutPowerAfter(int operations);
    [[nodiscard]] bool hasPower() const;
    /// Operations since the beginning, to choose a moment for a power cut.
    [[nodiscard]] int operations() const;
    /// Power is back. Every connection must be closed.
    void restart(std::mt19937 &random);

    struct Private;

private:
    std::unique_ptr<Private> d;
};

} // namespace lintel
