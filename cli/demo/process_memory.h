// Memory of a process, from /proc/<pid>/smaps_rollup. Free functions; any thread.
#pragma once

#include <QByteArrayView>
#include <QList>

#include <optional>

namespace lintel::demo {

struct MemorySample {
    qint64 rssKib = 0;
    qint64 pssKib = 0; // pages shared with others count by their share
};

/// Nothing when the process is gone or the kernel does not tell.
[[nodiscard]] std::optional<MemorySample> sampleMemory(qint64 pid);
[[nodiscard]] std::optional<MemorySample> parseSmapsRollup(QByteArrayView text);
/// Rss and Pss each by themselves; zero of nothing.
[[nodiscard]] MemorySample median(QList<MemorySample> samples);

} // namespace lintel::demo
