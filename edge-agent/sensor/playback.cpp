#include "sensor/playback.h"

#include <algorithm>
#include <utility>

namespace lintel {

namespace {

constexpr int rowsAtOnce = 64;

} // namespace

Playback::Playback(RecordedDriver &recording, const Clock &clock, ReadingSpool &spool, SpoolWriter &writer,
                   QObject *parent)
    : QObject(parent), m_recording(recording), m_clock(clock), m_spool(spool), m_writer(writer)
{}

Result<void> Playback::start()
{
    const SpoolStatus status = m_spool.status();
    if (const auto resumed = m_recording.resume(status.stream, status.totalReadings); !resumed)
        return resumed;
    m_state = State::Playing;
    return {};
}

void Playback::stop()
{
    if (m_state == State::Playing && settle())
        m_state = State::Stopped;
}

void Playback::tick()
{
    while (m_state == State::Playing && settle()) {
        const auto wait = m_recording.untilNext();
        if (!wait) {
            m_state = State::Finished;
            Q_EMIT finished(m_rows);
            return;
        }
        const int most = room();
        if (*wait > Millis{0} || most <= 0)
            return;
        const auto rows = m_recording.take(most);
        if (!rows)
            return fail(rows.error());
        if (rows->isEmpty())
            return;
        for (const RecordedRow &row : *rows)
            m_writer.add(row, m_clock.monotonic());
        m_rows += quint64(rows->size());
        m_isUnsettled = true;
    }
}

/// True when everything that was taken is stored and the driver knows.
bool Playback::settle()
{
    if (!m_isUnsettled)
        return true;
    if (!m_writer.flush())
        return false;
    m_isUnsettled = false;
    const auto told = m_recording.accepted(m_spool.status().totalReadings);
    if (!told)
        Q_EMIT trouble(told.error()); // the position is derived from an older one then
    return true;
}

int Playback::room() const
{
    const quint64 window = m_recording.window();
    if (window == 0)
        return rowsAtOnce;
    const quint64 pending = m_spool.status().pendingBatches;
    return pending >= window ? 0 : int(std::min<quint64>(rowsAtOnce, window - pending));
}

void Playback::fail(const Error &why)
{
    m_state = State::Failed;
    Q_EMIT trouble(why);
}

} // namespace lintel
