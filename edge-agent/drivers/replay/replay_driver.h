// Plays a recorded CSV file back, each row once, with its recorded time stamps. How the position
// survives kill -9 is told in drivers/recorded_driver.h.
// Thread rules: drivers/sensor_driver.h.
#pragma once

#include "drivers/recorded_driver.h"
#include "drivers/replay/csv_reader.h"
#include "drivers/replay/replay_config.h"
#include "drivers/replay/time_format.h"
#include "drivers/sensor_driver.h"
#include "ports/clock.h"
#include "ports/state_store.h"

#include <QFile>

#include <optional>

namespace lintel {

class ReplayDriver final : public SensorDriver, public RecordedDriver
{
    Q_OBJECT
public:
    ReplayDriver(ReplayConfig config, const Clock &clock, StateStore &state, QObject *parent = nullptr);

    [[nodiscard]] DriverInfo info() const override;
    [[nodiscard]] QList<Point> points() const override;
    [[nodiscard]] Result<void> open() override;
    /// The row that was taken last: what the recording says is "now".
    void read() override;
    [[nodiscard]] RecordedDriver *recorded() override { return this; }

    [[nodiscard]] Result<void> resume(const StreamId &stream, quint64 readings) override;
    [[nodiscard]] Result<QList<RecordedRow>> take(int max) override;
    [[nodiscard]] Result<void> accepted(quint64 readings) override;
    [[nodiscard]] std::optional<Millis> untilNext() const override;
    [[nodiscard]] quint64 window() const override;

    /// Rows left out because they were broken, since start.
    [[nodiscard]] quint64 brokenRows() const { return m_brokenRows; }

private:
    struct Position {
        QByteArray recording; // fingerprint of file and map
        StreamId stream;
        quint64 readings = 0; // ever appended to the spool of that stream
        qint64 offset = 0;
        qint64 line = 0;
    };

    [[nodiscard]] Result<void> readHeader();
    [[nodiscard]] Result<void> skip(quint64 readings);
    void noteTaken();
    [[nodiscard]] Result<void> loadNext();
    [[nodiscard]] Result<RecordedRow> rowOf(const CsvRecord &record) const;
    [[nodiscard]] Result<Value> valueOf(const ColumnMap::Column &column, const QString &cell) const;
    [[nodiscard]] Result<QByteArray> fingerprint();
    [[nodiscard]] Result<std::optional<Position>> savedPosition() const;
    [[nodiscard]] Result<void> save(const Position &position);
    [[nodiscard]] Error brokenRow(const QString &why) const;
    void schedule();

    ReplayConfig m_config;
    const Clock &m_clock;
    StateStore &m_state;
    QFile m_file;
    CsvReader m_csv;
    std::optional<TimeFormat> m_time;
    qsizetype m_timeIndex = -1;
    QList<qsizetype> m_indexes; // of each column of the map
    qsizetype m_width = 0;      // fields a row must have
    QByteArray m_recording;
    StreamId m_stream;
    Position m_saved;
    std::optional<RecordedRow> m_next; // read ahead, not yet taken
    std::optional<Error> m_failure;    // ends the playback, once what was read before is taken
    RecordedRow m_last;
    std::optional<Timestamp> m_lastTime;
    std::chrono::nanoseconds m_due{}; // monotonic
    qint64 m_consumedOffset = 0;      // behind the last row that was taken
    qint64 m_consumedLine = 0;
    quint64 m_brokenRows = 0;
    quint64 m_rowsSinceSave = 0;
    bool m_isReading = false;
};

} // namespace lintel
