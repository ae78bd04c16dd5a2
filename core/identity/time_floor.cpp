#include "identity/time_floor.h"

#include <QMutexLocker>

#include <algorithm>

namespace lintel {

namespace {

constexpr auto kStoreStep = std::chrono::minutes{10};
constexpr std::chrono::minutes kUsualError{15};
constexpr std::chrono::hours kAnyTime{24 * 365 * 100};

QString storeKey()
{
    return QStringLiteral("identity/time_floor");
}

// Nothing of this program existed before; later floors come from what it meets.
constexpr Timestamp kEarliest{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}};

} // namespace

TimeFloor::TimeFloor(const Clock &clock, StateStore *store)
    : m_clock(clock), m_store(store), m_floor(kEarliest), m_floorSetAt(clock.monotonic())
{}

Result<void> TimeFloor::open()
{
    if (m_store == nullptr)
        return {};
    const auto stored = m_store->load(storeKey());
    if (!stored)
        return stored.error();
    if (!*stored)
        return {};
    bool ok = false;
    const qint64 ms = (*stored)->toLongLong(&ok);
    if (!ok) {
        return Error{
            Errc::Malformed,
            QStringLiteral("The stored time floor is unreadable; it starts again at %1.").arg(toIso8601(kEarliest))};
    }
    const QMutexLocker lock(&m_mutex);
    m_stored = fromEpochMillis(ms);
    if (m_stored > m_floor) {
        m_floor = m_stored;
        m_floorSetAt = m_clock.monotonic();
    }
    return {};
}

Timestamp TimeFloor::floor() const
{
    const QMutexLocker lock(&m_mutex);
    return m_floor + std::chrono::floor<Millis>(m_clock.monotonic() - m_floorSetAt);
}

Timestamp TimeFloor::now() const
{
    return std::max(m_clock.now(), floor());
}

Millis TimeFloor::clockIsBehindBy() const
{
    return std::max(floor() - m_clock.now(), Millis{0});
}

Millis TimeFloor::doubt() const
{
    return clockIsBehindBy() > Millis{0} ? Millis{kAnyTime} : Millis{kUsualError};
}

void TimeFloor::assume(Timestamp time)
{
    if (time <= floor())
        return;
    const QMutexLocker lock(&m_mutex);
    m_floor = time;
    m_floorSetAt = m_clock.monotonic();
}

Result<void> TimeFloor::raise(Timestamp time)
{
    if (time <= floor())
        return {};
    {
        const QMutexLocker lock(&m_mutex);
        m_floor = time;
        m_floorSetAt = m_clock.monotonic();
        if (m_store == nullptr || time - m_stored < kStoreStep)
            return {};
        m_stored = time;
    }
    return m_store->save(storeKey(), QByteArray::number(toEpochMillis(time)));
}

} // namespace lintel
