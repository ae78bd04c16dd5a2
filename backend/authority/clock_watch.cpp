#include "authority/clock_watch.h"

#include <QMutexLocker>
#include <QStringList>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
QString inWords(Millis span)
{
    const qint64 minutes = std::chrono::duration_cast<std::chrono::minutes>(std::chrono::abs(span)).count();
    if (minutes >= 2 * 24 * 60)
        return u"%1 days"_s.arg(minutes / (24 * 60));
    return minutes >= 120 ? u"%1 hours"_s.arg(minutes / 60) : u"%1 minutes"_s.arg(minutes);
}
} // namespace

// --- ClockMark -----------------------------------------------------------------------------------

QString ClockMark::toText() const
{
    return u"%1 %2 %3"_s.arg(toEpochMillis(wall))
        .arg(monotonic.value_or(std::chrono::nanoseconds{}).count())
        .arg(bootId);
}

std::optional<ClockMark> ClockMark::parse(const QString &text)
{
    const QStringList parts = text.split(u' ');
    if (parts.size() != 3)
        return {};
    bool isTime = false;
    bool isSpan = false;
    const ClockMark mark{fromEpochMillis(parts.at(0).toLongLong(&isTime)),
                         std::chrono::nanoseconds{parts.at(1).toLongLong(&isSpan)}, parts.at(2)};
    return isTime && isSpan ? std::optional(mark) : std::nullopt;
}

// --- ClockWatch ----------------------------------------------------------------------------------

bool ClockWatch::Anchor::agreesWith(const Anchor &other) const
{
    return std::chrono::abs(other.wall - at(other.monotonic)) <= kTolerance;
}

ClockWatch::ClockWatch(const Clock &clock) : m_clock(clock), m_good(see()), m_last(m_good) {}

void ClockWatch::begin(const ClockMark &last, const QString &bootId)
{
    const QMutexLocker lock(&m_mutex);
    const Anchor seen = see();
    m_good.reset();
    m_doubt.reset();
    m_last = Anchor{last.wall, seen.monotonic};
    const bool isSameStart =
        last.monotonic && *last.monotonic <= seen.monotonic && !bootId.isEmpty() && last.bootId == bootId;
    if (isSameStart)
        m_good = Anchor{last.wall, *last.monotonic};
    m_isOnTrial = !isSameStart;
    follow(seen, false);
}

ClockWatch::Reading ClockWatch::look(bool mayBecomeSure)
{
    const QMutexLocker lock(&m_mutex);
    const Anchor seen = see();
    follow(seen, mayBecomeSure);
    return judge(seen);
}

void ClockWatch::follow(const Anchor &seen, bool mayBecomeSure)
{
    if (m_good && m_good->agreesWith(seen)) {
        // Seldom, so that many small steps make a jump.
        if (seen.monotonic - m_good->monotonic >= kSteady) {
            m_good = seen;
            m_isOnTrial = false;
        }
        m_doubt.reset();
        return;
    }
    if (m_good && m_isOnTrial) {
        m_good.reset();
        m_doubt = seen;
    }
    const bool wasHardlyOff = !m_good && m_last && m_last->agreesWith(seen);
    if (!wasHardlyOff) {
        if (!m_doubt || !m_doubt->agreesWith(seen)) {
            m_doubt = seen;
            return;
        }
        if (seen.monotonic - m_doubt->monotonic < kSteady || !mayBecomeSure)
            return;
    }
    m_good = seen;
    m_isOnTrial = wasHardlyOff;
    m_doubt.reset();
}

void ClockWatch::accept()
{
    const QMutexLocker lock(&m_mutex);
    m_good = see();
    m_isOnTrial = false;
    m_doubt.reset();
}

void ClockWatch::startOver()
{
    const QMutexLocker lock(&m_mutex);
    m_good = see();
    m_last = m_good;
    m_isOnTrial = true;
    m_doubt.reset();
}

bool ClockWatch::isOnTrial() const
{
    const QMutexLocker lock(&m_mutex);
    return !m_good || m_isOnTrial;
}

ClockMark ClockWatch::mark(const QString &bootId) const
{
    const QMutexLocker lock(&m_mutex);
    const Anchor seen = see();
    return {judge(seen).now, seen.monotonic, m_good && !m_isOnTrial ? bootId : QString()};
}

ClockWatch::Reading ClockWatch::judge(const Anchor &seen) const
{
    if (m_good && m_good->agreesWith(seen))
        return {seen.wall, State::Sure};
    if (m_good && !m_isOnTrial)
        return {m_good->at(seen.monotonic), State::Jumped};
    const bool isBehind = m_last && seen.wall < m_last->wall;
    return {seen.wall, isBehind ? State::Behind : State::Waiting};
}

ClockWatch::Reading ClockWatch::reading() const
{
    const QMutexLocker lock(&m_mutex);
    return judge(see());
}

QString ClockWatch::sentence(bool mayBecomeSure) const
{
    const QMutexLocker lock(&m_mutex);
    const Anchor seen = see();
    const Reading reading = judge(seen);
    if (reading.isSure())
        return {};
    QString what;
    switch (reading.state) {
    case State::Sure: break;
    case State::Waiting:
        what = u"The machine was started anew, and its clock is %1 later than when the authority ran last."_s;
        break;
    case State::Behind:
        what = u"The machine was started anew, and its clock is %1 behind the time when the authority ran last."_s;
        break;
    case State::Jumped:
        what = seen.wall > reading.now ? u"The clock jumped %1 ahead; the authority does not follow it."_s
                                       : u"The clock went back by %1; the authority does not follow it."_s;
        break;
    }
    const Timestamp expected = reading.state == State::Jumped ? reading.now : m_last ? m_last->wall : seen.wall;
    what = what.arg(inWords(seen.wall - expected)) + u" Nothing is forgotten or destroyed meanwhile. "_s;
    if (!mayBecomeSure)
        return what
               + u"By this clock no root of the authority is valid, so only an operator can say that it is right: "
                 "lintelctl authority accept-clock"_s;
    const Anchor since = m_doubt && m_doubt->agreesWith(seen) ? *m_doubt : seen;
    return what
           + u"Set it right; if it is right, it is believed from %1 on, or at once by: lintelctl authority accept-clock"_s
                 .arg(toIso8601(since.at(since.monotonic + kSteady)));
}

} // namespace lintel::authority
