#include "demo/process_memory.h"

#include <QFile>

#include <algorithm>

namespace lintel::demo {

namespace {

std::optional<qint64> field(QByteArrayView text, QByteArrayView name)
{
    const qsizetype at = text.indexOf(name);
    if (at < 0 || (at > 0 && text[at - 1] != '\n'))
        return {};
    const qsizetype end = text.indexOf('\n', at);
    QByteArrayView line = text.sliced(at + name.size(), (end < 0 ? text.size() : end) - at - name.size()).trimmed();
    if (!line.endsWith("kB"))
        return {};
    bool ok = false;
    const qint64 value = line.chopped(2).trimmed().toLongLong(&ok);
    return ok ? std::optional(value) : std::nullopt;
}

} // namespace

std::optional<MemorySample> parseSmapsRollup(QByteArrayView text)
{
    const auto rss = field(text, "Rss:");
    const auto pss = field(text, "Pss:");
    if (!rss || !pss)
        return {};
    return MemorySample{*rss, *pss};
}

std::optional<MemorySample> sampleMemory(qint64 pid)
{
    QFile file(QStringLiteral("/proc/%1/smaps_rollup").arg(pid));
    if (!file.open(QIODevice::ReadOnly))
        return {};
    return parseSmapsRollup(file.readAll());
}

MemorySample median(QList<MemorySample> samples)
{
    if (samples.isEmpty())
        return {};
    const auto middle = samples.begin() + samples.size() / 2;
    std::nth_element(samples.begin(), middle, samples.end(),
                     [](const MemorySample &a, const MemorySample &b) { return a.rssKib < b.rssKib; });
    const qint64 rss = middle->rssKib;
    std::nth_element(samples.begin(), middle, samples.end(),
                     [](const MemorySample &a, const MemorySample &b) { return a.pssKib < b.pssKib; });
    return {rss, middle->pssKib};
}

} // namespace lintel::demo
