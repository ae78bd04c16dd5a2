#include "broker-plugin/judging_time.h"

#include <algorithm>

namespace lintel::broker {

using namespace Qt::StringLiterals;

namespace {
constexpr std::chrono::seconds kWorthTelling{10};
} // namespace

JudgingTime::JudgingTime(const Clock &clock, std::function<void(const QString &sentence)> log)
    : m_clock(clock), m_log(std::move(log))
{}

Moment JudgingTime::now()
{
    const Mark wall{m_clock.now(), m_clock.monotonic()};
    if (!m_wall || wall.time >= m_wall->at(wall.running)) {
        believe(wall);
    } else {
        m_backSince = m_backSince.value_or(wall.running);
        const Millis back = m_wall->at(wall.running) - wall.time;
        if (mayHaveBeenAhead(wall.running)) {
            believe(wall);
        } else if (back >= kWorthTelling && !m_isTold) {
            m_isTold = true;
            m_log(
                u"The clock went back by %1 s, to %2. Certificates are judged by the time as it was before, until the "
                "broker's own is renewed, for an hour at most; see that the clock is right."_s.arg(
                    QString::number(std::chrono::floor<std::chrono::seconds>(back).count()), toIso8601(wall.time)));
        }
    }
    Timestamp time = m_wall->at(wall.running);
    if (m_start)
        time = std::max(time, m_start->at(wall.running));
    if (m_listed && !isAfterTheCertificate(m_listed->at(wall.running)))
        time = std::max(time, m_listed->at(wall.running));
    return {time, std::chrono::floor<Millis>(wall.running)};
}

bool JudgingTime::isAfterTheCertificate(Timestamp time) const
{
    return m_certificate && time >= m_certificate->second;
}

bool JudgingTime::mayHaveBeenAhead(Running running) const
{
    return running - *m_backSince >= kBelieveBefore || isAfterTheCertificate(m_wall->at(running));
}

void JudgingTime::believe(Mark wall)
{
    m_wall = wall;
    m_backSince.reset();
    if (std::exchange(m_isTold, false))
        m_log(u"Certificates are judged by the clock again, which says %1."_s.arg(toIso8601(wall.time)));
}

void JudgingTime::takeCertificate(Timestamp notBefore, Timestamp notAfter)
{
    const std::pair life{notBefore, notAfter};
    if (m_certificate == life)
        return;
    const bool isRenewed = m_certificate.has_value();
    m_certificate = life;
    m_start = Mark{notBefore, m_clock.monotonic()};
    if (!isRenewed)
        return;
    m_listed.reset();
    believe({m_clock.now(), m_clock.monotonic()});
}

void JudgingTime::takeSigned(Timestamp time)
{
    if (isAfterTheCertificate(time))
        return; // and what is known stays
    const Mark mark{time, m_clock.monotonic()};
    if (!m_listed || time > m_listed->at(mark.running))
        m_listed = mark;
}

} // namespace lintel::broker
