// Reads a driver once a period and hands on what is worth reporting; also reads for whoever asks in
// between. One thread; the owner calls tick().
#pragma once

#include "drivers/sensor_driver.h"
#include "ports/clock.h"
#include "sensor/report_filter.h"
#include "sensor/spool_writer.h"

#include <QObject>

#include <functional>
#include <vector>

namespace lintel {

class Sampler : public QObject
{
    Q_OBJECT
public:
    using Done = std::function<void(Result<QList<Reading>>)>;

    Sampler(ReportRules rules, SensorDriver &driver, const Clock &clock, SpoolWriter &writer,
            QObject *parent = nullptr);

    /// The first sample is taken by the next tick().
    void start();
    void stop() { m_isRunning = false; }
    void tick();
    /// A fresh reading of every point, stamped with now; it is not stored. A read that is under way
    /// answers too.
    void readNow(Done done);

    [[nodiscard]] quint64 samples() const { return m_samples; }
    /// The last thing that each point said, reported or not.
    [[nodiscard]] QList<Reading> lastReadings() const { return m_last.values(); }

Q_SIGNALS:
    void trouble(const lintel::Error &what);

private:
    void startRead();
    void onFinished(const QList<Reading> &readings);
    void onFailed(const Error &why);
    void conclude(const QList<Reading> &readings);
    [[nodiscard]] QList<Reading> asBad() const;

    SensorDriver &m_driver;
    const Clock &m_clock;
    SpoolWriter &m_writer;
    Millis m_period;
    ReportFilter m_filter;
    QHash<QString, Reading> m_last;
    std::vector<Done> m_waiters;
    std::chrono::nanoseconds m_next{};
    std::chrono::nanoseconds m_readAt{};
    quint64 m_samples = 0;
    bool m_isRunning = false;
    bool m_isReading = false;
    bool m_isSampleDue = false; // the read under way is a sample
};

} // namespace lintel
