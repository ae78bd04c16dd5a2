// Takes what became too old out of the historian, a little at a time, so that ingestion waits for
// milliseconds at most. Begins soon after start() and looks again each hour. A clock that jumped ahead
// would make everything too old: nothing goes before the clock was checked by somebody else.
// Owner: main(). Thread: the historian's, which must outlive it. Failure: trouble(), and the next try
// an hour later; nothing is half removed.
#pragma once

#include "historian/historian.h"

#include <QObject>
#include <QTimer>

#include <functional>

namespace lintel {

class Retention : public QObject
{
    Q_OBJECT
public:
    static constexpr int kBatch = 1'000; // readings a transaction

    /// `maxAge` of the device's time; zero keeps everything. `isClockChecked` is asked before each batch: a
    /// connection to the broker, whose TLS handshake compared the clock with certificates.
    Retention(historian::Historian &historian, const Clock &clock, Millis maxAge, std::function<bool()> isClockChecked,
              QObject *parent = nullptr);

    void start();

Q_SIGNALS:
    void trouble(const lintel::Error &what);
    /// How many went, after all of it is done.
    void removed(quint64 readings);

private:
    void step();

    historian::Historian &m_historian;
    const Clock &m_clock;
    const Millis m_maxAge;
    const std::function<bool()> m_isClockChecked;
    quint64 m_gone = 0; // in this round
    QTimer m_timer;
};

} // namespace lintel
