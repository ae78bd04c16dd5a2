// Feeds a recording into the spool, one batch a row, and keeps its side of the promise in
// drivers/recorded_driver.h: rows that were taken are stored before more are taken, and the driver
// is told when they are. One thread; the owner calls tick().
#pragma once

#include "drivers/recorded_driver.h"
#include "ports/clock.h"
#include "ports/reading_spool.h"
#include "sensor/spool_writer.h"

#include <QObject>

namespace lintel {

class Playback : public QObject
{
    Q_OBJECT
public:
    enum class State { Stopped, Playing, Finished, Failed };
    Q_ENUM(State)

    Playback(RecordedDriver &recording, const Clock &clock, ReadingSpool &spool, SpoolWriter &writer,
             QObject *parent = nullptr);

    [[nodiscard]] Result<void> start();
    void stop();
    /// Takes what is due and what the window allows.
    void tick();

    [[nodiscard]] State state() const { return m_state; }
    [[nodiscard]] quint64 rows() const { return m_rows; }

Q_SIGNALS:
    /// The recording is over and all of it is stored.
    void finished(quint64 rows);
    void trouble(const lintel::Error &what);

private:
    [[nodiscard]] bool settle();
    [[nodiscard]] int room() const;
    void fail(const Error &why);

    RecordedDriver &m_recording;
    const Clock &m_clock;
    ReadingSpool &m_spool;
    SpoolWriter &m_writer;
    State m_state = State::Stopped;
    quint64 m_rows = 0;
    bool m_isUnsettled = false; // rows were taken and the driver has not been told that they are stored
};

} // namespace lintel
