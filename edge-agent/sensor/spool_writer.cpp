#include "sensor/spool_writer.h"

#include <algorithm>
#include <vector>

namespace lintel {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr auto retryInterval = 1s;
constexpr size_t groupSize = 64; // batches a transaction

} // namespace

SpoolWriter::SpoolWriter(QString device, int capacity, const Clock &clock, ReadingSpool &spool, QObject *parent)
    : QObject(parent), m_device(std::move(device)), m_capacity(size_t(std::max(1, capacity))), m_clock(clock),
      m_spool(spool)
{}

void SpoolWriter::add(QList<Reading> readings, std::chrono::nanoseconds measuredAt)
{
    if (readings.isEmpty())
        return;
    if (m_waiting.size() >= m_capacity)
        dropOldest();
    m_waiting.push_back({std::move(readings), measuredAt});
}

void SpoolWriter::dropOldest()
{
    const Waiting &oldest = m_waiting.front();
    const auto count = quint64(oldest.readings.size());
    if (!m_gone)
        m_gone = Gone{0, oldest.measuredAt, oldest.measuredAt};
    m_gone->readings += count;
    m_gone->to = oldest.measuredAt;
    m_lost += count;
    m_waiting.pop_front();
    Q_EMIT trouble(Error{
        Errc::Full,
        u"The memory for readings that cannot be stored is full; the oldest ones are lost. Free the disk, or raise sampling.memory_batches."_s});
    Q_EMIT lossHappened();
}

bool SpoolWriter::flush()
{
    return m_clock.monotonic() < m_retryAt ? m_waiting.empty() : flushNow();
}

bool SpoolWriter::flushNow()
{
    if (m_waiting.empty())
        return true;
    const bool isStamped = m_waiting.front().readings.front().deviceTime != Timestamp{};
    if (!isStamped && !isPlausible(m_clock.now())) {
        if (!std::exchange(m_saidClock, true))
            Q_EMIT trouble(Error{
                Errc::Unavailable,
                u"The clock has not been set (it says %1); readings wait in memory until it is. Check the time synchronisation."_s
                    .arg(toIso8601(m_clock.now()))});
        return false;
    }
    while (!m_waiting.empty()) {
        const size_t count = std::min(groupSize, m_waiting.size());
        std::vector<IncomingBatch> group;
        quint64 readings = 0;
        for (size_t i = 0; i < count; ++i) {
            group.push_back(batchOf(m_waiting[i]));
            readings += quint64(group.back().batch.readings.size());
        }
        if (m_gone) {
            group.front().batch.losses.append(Loss{m_device,
                                                   {},
                                                   0,
                                                   0,
                                                   m_gone->readings,
                                                   wallTime(m_gone->from),
                                                   wallTime(m_gone->to),
                                                   LossReason::StorageFailed});
        }
        const auto appended = m_spool.append(group);
        if (!appended) {
            m_retryAt = m_clock.monotonic() + retryInterval;
            Q_EMIT trouble(Error{appended.error().code,
                                 u"Readings cannot be stored and wait in memory: %1"_s.arg(appended.error().message)});
            return false;
        }
        m_gone.reset();
        m_waiting.erase(m_waiting.begin(), m_waiting.begin() + ptrdiff_t(count));
        m_accepted += readings;
        for (const Loss &loss : appended->evicted)
            Q_EMIT trouble(Error{
                Errc::Full,
                u"The spool is full: its oldest %1 readings were lost before the gateway took them. Raise spool.max_bytes, or look after the connection."_s
                    .arg(loss.readings)});
        Q_EMIT stored(appended->last);
    }
    return true;
}

/// Where the wall clock stood then, seen from now: right also for what was measured before the
/// clock was set.
Timestamp SpoolWriter::wallTime(std::chrono::nanoseconds measuredAt) const
{
    return m_clock.now() - std::chrono::round<Millis>(m_clock.monotonic() - measuredAt);
}

IncomingBatch SpoolWriter::batchOf(const Waiting &waiting) const
{
    IncomingBatch incoming{ReadingBatch{m_device, waiting.readings, {}}, std::nullopt};
    const Timestamp measured = wallTime(waiting.measuredAt);
    for (Reading &reading : incoming.batch.readings) {
        if (reading.deviceTime == Timestamp{})
            reading.deviceTime = measured;
    }
    return incoming;
}

SpoolWriter::Counts SpoolWriter::counts() const
{
    return {m_accepted, m_lost, m_waiting.size(), !isPlausible(m_clock.now())};
}

} // namespace lintel
