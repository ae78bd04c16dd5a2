#include "sensor/sampler.h"

#include <utility>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

Value nothingOf(Kind kind)
{
    switch (kind) {
    case Kind::Number: return 0.0;
    case Kind::Integer: return qint64{0};
    case Kind::Bool: return false;
    case Kind::Text: return QString();
    }
    return 0.0;
}

} // namespace

Sampler::Sampler(ReportRules rules, SensorDriver &driver, const Clock &clock, SpoolWriter &writer, QObject *parent)
    : QObject(parent), m_driver(driver), m_clock(clock), m_writer(writer), m_period(rules.period),
      m_filter(std::move(rules))
{
    connect(&m_driver, &SensorDriver::readFinished, this, &Sampler::onFinished);
    connect(&m_driver, &SensorDriver::readFailed, this, &Sampler::onFailed);
    connect(&m_writer, &SpoolWriter::lossHappened, this, [this] { m_filter.forget(); });
}

void Sampler::start()
{
    m_isRunning = true;
    m_next = m_clock.monotonic();
}

void Sampler::tick()
{
    const auto now = m_clock.monotonic();
    if (!m_isRunning || now < m_next)
        return;
    m_next += m_period;
    if (m_next <= now)
        m_next = now + m_period; // after a pause there is one sample, not many
    if (m_isReading && m_isSampleDue) {
        Q_EMIT trouble(Error{
            Errc::Timeout,
            u"The sample before is still being read; this one is left out. Raise sampling.period if the hardware is slow."_s});
        return;
    }
    m_isSampleDue = true;
    startRead();
}

void Sampler::readNow(Done done)
{
    m_waiters.push_back(std::move(done));
    startRead();
}

void Sampler::startRead()
{
    if (std::exchange(m_isReading, true))
        return;
    m_readAt = m_clock.monotonic();
    m_driver.read();
}

void Sampler::onFinished(const QList<Reading> &readings)
{
    for (const Reading &reading : readings)
        m_last.insert(reading.point, reading);
    conclude(readings);
}

void Sampler::onFailed(const Error &why)
{
    Q_EMIT trouble(why);
    const std::vector<Done> waiters = std::exchange(m_waiters, {});
    conclude(asBad());
    for (const Done &done : waiters)
        done(why);
}

void Sampler::conclude(const QList<Reading> &readings)
{
    m_isReading = false;
    if (std::exchange(m_isSampleDue, false)) {
        ++m_samples;
        m_writer.add(m_filter.select(readings, m_readAt), m_readAt);
        m_writer.flush();
    }
    const std::vector<Done> waiters = std::exchange(m_waiters, {});
    if (waiters.empty())
        return;
    QList<Reading> stamped = readings;
    for (Reading &reading : stamped) {
        if (reading.deviceTime == Timestamp{})
            reading.deviceTime = m_clock.now();
    }
    for (const Done &done : waiters)
        done(stamped);
}

/// Every point as it was last seen, but not to be trusted.
QList<Reading> Sampler::asBad() const
{
    QList<Reading> readings;
    for (const Point &point : m_driver.points()) {
        const auto last = m_last.constFind(point.id);
        const Value value = last == m_last.constEnd() ? nothingOf(point.kind) : last->value;
        readings.append(Reading{point.id, value, point.unit, {}, Quality::Bad, false});
    }
    return readings;
}

} // namespace lintel
