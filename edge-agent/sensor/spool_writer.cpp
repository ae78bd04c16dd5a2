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
    Waiting next{std::move(readings), measuredAt};
    if (m_isHeld)
        note(&next); // before it is held, so that the note never says less
    if (m_waiting.size() >= m_capacity)
        dropOldest();
    m_waiting.push_back(std::move(next));
}

void SpoolWriter::dropOldest()
{
    const Waiting &oldest = m_waiting.front();
    const auto count = quint64(oldest.readings.size());
    const bool isFirst = !m_gone;
    if (isFirst)
        m_gone = Gone{0, oldest.measuredAt, oldest.measuredAt};
    m_gone->readings += count;
    m_gone->to = oldest.measuredAt;
    m_lost += count;
    m_waiting.pop_front();
    if (isFirst)
        Q_EMIT trouble(Error{
            Errc::Full,
            u"The memory for readings that cannot be stored is full; the oldest ones are lost. Free the disk, or raise sampling.memory_batches."_s});
    Q_EMIT lossHappened();
}

/// What waits and what went, with one that is about to wait. The time of what was measured before the clock
/// was set is unknown as yet.
void SpoolWriter::note(const Waiting *next)
{
    if (m_isRepeatable)
        return;
    Unstored all;
    all.readings = held() + (m_gone ? m_gone->readings : 0) + (next ? quint64(next->readings.size()) : 0);
    const Waiting *oldest = m_waiting.empty() ? next : &m_waiting.front();
    const Waiting *newest = next || m_waiting.empty() ? next : &m_waiting.back();
    if (oldest && newest && !isClockWaitedFor()) {
        all.from = m_gone ? wallTime(m_gone->from) : timeOf(*oldest);
        all.to = timeOf(*newest);
    }
    const auto noted = m_spool.noteUnstored(all);
    if (!noted && std::exchange(m_isNoted, false)) {
        Q_EMIT trouble(Error{
            noted.error().code,
            u"If this process ends now, nobody will know of the %1 readings in its memory, because that cannot be noted: %2"_s
                .arg(all.readings)
                .arg(noted.error().message)});
    }
    m_isNoted = bool(noted);
}

quint64 SpoolWriter::held() const
{
    quint64 readings = 0;
    for (const Waiting &waiting : m_waiting)
        readings += quint64(waiting.readings.size());
    return readings;
}

bool SpoolWriter::flush()
{
    return m_clock.monotonic() < m_retryAt ? m_waiting.empty() : flushNow();
}

/// True while the clock was never set and the readings depend on it.
bool SpoolWriter::isClockWaitedFor() const
{
    const bool isStamped = !m_waiting.empty() && m_waiting.front().readings.front().deviceTime != Timestamp{};
    return !isStamped && !isPlausible(m_clock.now());
}

bool SpoolWriter::flushNow()
{
    if (m_waiting.empty())
        return true;
    if (isClockWaitedFor()) {
        if (!std::exchange(m_saidClock, true))
            Q_EMIT trouble(Error{
                Errc::Unavailable,
                u"The clock has not been set (it says %1); readings wait in memory until it is. Check the time synchronisation."_s
                    .arg(toIso8601(m_clock.now()))});
        if (!std::exchange(m_isHeld, true))
            note();
        return false;
    }
    while (!m_waiting.empty()) {
        const std::vector<IncomingBatch> group = nextGroup();
        const auto appended = m_spool.append(group);
        if (!appended) {
            m_retryAt = m_clock.monotonic() + retryInterval;
            if (!std::exchange(m_isHeld, true) || !m_isNoted)
                note();
            if (std::exchange(m_refusal, appended.error().message) != appended.error().message)
                Q_EMIT trouble(Error{appended.error().code, u"Readings cannot be stored and wait in memory: %1"_s.arg(
                                                                appended.error().message)});
            return false;
        }
        m_gone.reset();
        for (size_t i = 0; i < group.size(); ++i) {
            m_accepted += quint64(m_waiting.front().readings.size());
            m_waiting.pop_front();
        }
        if (m_waiting.empty()) {
            m_isHeld = false;
            m_isNoted = true;
            if (!std::exchange(m_refusal, {}).isEmpty())
                Q_EMIT notice(u"Readings are stored again, and so are those that waited in memory."_s);
        }
        for (const Loss &loss : appended->evicted)
            Q_EMIT trouble(Error{
                Errc::Full,
                u"The spool is full: its oldest %1 readings were lost before the gateway took them. Raise spool.max_bytes, or look after the connection."_s
                    .arg(loss.readings)});
        Q_EMIT stored(appended->last);
    }
    return true;
}

/// The next batches of a transaction, the first with what went before them.
std::vector<IncomingBatch> SpoolWriter::nextGroup() const
{
    std::vector<IncomingBatch> group;
    for (size_t i = 0; i < std::min(groupSize, m_waiting.size()); ++i) {
        group.push_back(batchOf(m_waiting[i]));
        if (m_isHeld && !m_isRepeatable)
            group.back().settles = quint64(m_waiting[i].readings.size());
    }
    if (!m_gone)
        return group;
    IncomingBatch &first = group.front();
    first.settles += m_gone->readings;
    first.batch.losses.append(Loss{
        m_device, {}, 0, 0, m_gone->readings, wallTime(m_gone->from), wallTime(m_gone->to), LossReason::StorageFailed});
    return group;
}

/// Where the wall clock stood then, seen from now: right also for what was measured before the
/// clock was set.
Timestamp SpoolWriter::wallTime(std::chrono::nanoseconds measuredAt) const
{
    return m_clock.now() - std::chrono::round<Millis>(m_clock.monotonic() - measuredAt);
}

Timestamp SpoolWriter::timeOf(const Waiting &waiting) const
{
    const Timestamp stamped = waiting.readings.front().deviceTime;
    return stamped == Timestamp{} ? wallTime(waiting.measuredAt) : stamped;
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
    Counts counts{m_accepted, m_lost, m_waiting.size(), held(), {}, m_isNoted, !isPlausible(m_clock.now())};
    if (!m_waiting.empty() && !isClockWaitedFor())
        counts.heldSince = timeOf(m_waiting.front());
    return counts;
}

} // namespace lintel
