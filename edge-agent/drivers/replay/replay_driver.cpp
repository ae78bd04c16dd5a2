#include "drivers/replay/replay_driver.h"

#include "domain/qt_cbor.h"

#include <QCborMap>
#include <QCborValue>
#include <QCryptographicHash>
#include <QFileInfo>
#include <QRegularExpression>

#include <algorithm>
#include <cmath>

namespace lintel {

using namespace Qt::StringLiterals;
using Pace = ReplayConfig::Pace;

namespace {

constexpr auto positionKey = "replay/position"_L1;
constexpr qint64 fingerprintBytes = 4096;
/// Between two saved positions a restart re-reads at most this many rows, and sends none of them twice.
constexpr quint64 rowsBetweenSaves = 500;

constexpr auto recordingKey = "recording"_L1;
constexpr auto streamKey = "stream"_L1;
constexpr auto readingsKey = "readings"_L1;
constexpr auto offsetKey = "offset"_L1;
constexpr auto lineKey = "line"_L1;

qsizetype indexOf(const QStringList &header, const QString &name)
{
    for (qsizetype i = 0; i < header.size(); ++i) {
        if (header[i].trimmed() == name)
            return i;
    }
    return -1;
}

} // namespace

ReplayDriver::ReplayDriver(ReplayConfig config, const Clock &clock, StateStore &state, QObject *parent)
    : SensorDriver(parent), m_config(std::move(config)), m_clock(clock), m_state(state), m_file(m_config.file),
      m_csv(m_file, m_config.map.separator)
{}

DriverInfo ReplayDriver::info() const
{
    return {u"replay"_s, u"replay of %1: recorded, not measured now"_s.arg(QFileInfo(m_config.file).fileName()), false};
}

QList<Point> ReplayDriver::points() const
{
    QList<Point> points;
    for (const ColumnMap::Column &column : m_config.map.columns)
        points.append(column.point);
    return points;
}

Result<void> ReplayDriver::open()
{
    auto time = TimeFormat::make(m_config.map.timeFormat, m_config.map.timeZone);
    if (!time)
        return time.error();
    m_time = *time;
    if (!m_file.open(QIODevice::ReadOnly))
        return Error{Errc::NotFound, u"The recording %1 cannot be opened: %2. Check driver.file."_s.arg(
                                         m_config.file, m_file.errorString())};
    auto recording = fingerprint();
    if (!recording)
        return recording.error();
    m_recording = *recording;
    return readHeader();
}

Result<QByteArray> ReplayDriver::fingerprint()
{
    QCryptographicHash hash(QCryptographicHash::Sha256);
    hash.addData(m_file.peek(fingerprintBytes));
    hash.addData(m_config.mapText);
    return hash.result();
}

Result<void> ReplayDriver::readHeader()
{
    const auto header = m_csv.next();
    if (!header)
        return Error{Errc::Malformed, u"%1 has no header line: %2."_s.arg(m_config.file, header.error().message)};
    const qsizetype shift = m_config.map.hasUnnamedRowId ? 1 : 0;
    const auto find = [&](const QString &name) { return indexOf(header->fields, name.trimmed()); };
    m_width = header->fields.size() + shift;
    const qsizetype time = find(m_config.map.timeColumn);
    if (time < 0)
        return Error{Errc::NotFound, u"%1 has no column \"%2\"; its header names %3."_s.arg(
                                         m_config.file, m_config.map.timeColumn, header->fields.join(u", "_s))};
    m_timeIndex = time + shift;
    m_indexes.clear();
    for (const ColumnMap::Column &column : m_config.map.columns) {
        const qsizetype index = find(column.header);
        if (index < 0)
            return Error{Errc::NotFound, u"%1 has no column \"%2\"; its header names %3."_s.arg(
                                             m_config.file, column.header, header->fields.join(u", "_s))};
        m_indexes.append(index + shift);
    }
    m_consumedOffset = m_csv.offset();
    m_consumedLine = m_csv.linesBefore();
    return {};
}

Result<void> ReplayDriver::resume(const StreamId &stream, quint64 readings)
{
    m_stream = stream;
    const auto saved = savedPosition();
    if (!saved)
        return saved.error();
    const bool isOurs =
        *saved && (*saved)->recording == m_recording && (*saved)->stream == stream && (*saved)->readings <= readings;
    if (!isOurs) {
        if (*saved)
            Q_EMIT trouble(Error{
                Errc::Conflict,
                u"The recording, its map or the spool is another one than before; the replay of %1 begins at its start."_s
                    .arg(m_config.file)});
        // Before the first row, so that a crash after it finds where the numbering began.
        if (const auto begun = save({m_recording, stream, readings, m_consumedOffset, m_consumedLine}); !begun)
            return begun.error();
        return loadNext();
    }
    m_saved = **saved;
    if (const auto there = m_csv.seek(m_saved.offset, m_saved.line); !there)
        return there.error();
    m_consumedOffset = m_saved.offset;
    m_consumedLine = m_saved.line;
    if (const auto first = loadNext(); !first)
        return first;
    if (const auto skipped = skip(readings - m_saved.readings); !skipped)
        return skipped;
    m_due = m_clock.monotonic();
    return {};
}

/// The rows that were appended since the position was saved: those with so many readings.
Result<void> ReplayDriver::skip(quint64 readings)
{
    while (readings > 0 && m_next) {
        const quint64 ofRow = quint64(m_next->size());
        if (ofRow > readings) {
            Q_EMIT trouble(Error{
                Errc::Conflict,
                u"%1:%2: the spool does not hold this row as a whole, so the recording was changed while it was played; the replay goes on behind it."_s
                    .arg(m_config.file)
                    .arg(m_csv.line())});
        }
        readings -= std::min(readings, ofRow);
        noteTaken();
        if (const auto next = loadNext(); !next)
            return next;
    }
    return {};
}

void ReplayDriver::noteTaken()
{
    m_last = *m_next;
    m_lastTime = m_next->front().deviceTime;
    ++m_rowsSinceSave;
}

Result<QList<RecordedRow>> ReplayDriver::take(int max)
{
    if (m_failure)
        return *m_failure;
    QList<RecordedRow> rows;
    while (rows.size() < max && m_next && m_due <= m_clock.monotonic()) {
        rows.append(*m_next);
        noteTaken();
        if (const auto next = loadNext(); !next)
            m_failure = next.error(); // said by the next call: the rows before it still count
    }
    return rows;
}

Result<void> ReplayDriver::accepted(quint64 readings)
{
    const bool isOver = !m_next;
    if (m_rowsSinceSave < rowsBetweenSaves && !isOver)
        return {};
    return save({m_recording, m_stream, readings, m_consumedOffset, m_consumedLine});
}

std::optional<Millis> ReplayDriver::untilNext() const
{
    if (m_failure)
        return Millis{0};
    if (!m_next)
        return std::nullopt;
    const auto wait = std::chrono::ceil<Millis>(m_due - m_clock.monotonic());
    return std::max(wait, Millis{0});
}

quint64 ReplayDriver::window() const
{
    return m_config.pace == Pace::AsAcknowledged ? quint64(m_config.window) : 0;
}

void ReplayDriver::read()
{
    if (m_isReading)
        return;
    m_isReading = true;
    QMetaObject::invokeMethod(
        this,
        [this] {
            m_isReading = false;
            if (m_last.isEmpty())
                Q_EMIT readFailed(Error{Errc::Unavailable,
                                        u"The replay of %1 has not come to its first row yet."_s.arg(m_config.file)});
            else
                Q_EMIT readFinished(m_last);
        },
        Qt::QueuedConnection);
}

/// Reads ahead to the next row that has values; broken ones are said and left out, or end it.
Result<void> ReplayDriver::loadNext()
{
    m_consumedOffset = m_next ? m_csv.offset() : m_consumedOffset;
    m_consumedLine = m_next ? m_csv.linesBefore() : m_consumedLine;
    m_next.reset();
    while (!m_csv.atEnd()) {
        const auto record = m_csv.next();
        if (!record && record.error().code != Errc::Malformed)
            return Error{record.error().code,
                         u"%1:%2: %3."_s.arg(m_config.file).arg(m_csv.line()).arg(record.error().message)};
        const auto row = record ? rowOf(*record) : Result<RecordedRow>(record.error());
        if (!row) {
            const Error broken = brokenRow(row.error().message);
            if (m_config.brokenRow == ReplayConfig::BrokenRow::Refuse)
                return broken;
            ++m_brokenRows;
            Q_EMIT trouble(broken);
            continue;
        }
        if (row->isEmpty())
            continue; // nothing but missing values
        m_next = *row;
        schedule();
        return {};
    }
    return {};
}

/// When the row that was read ahead is due.
void ReplayDriver::schedule()
{
    const auto now = m_clock.monotonic();
    if (m_config.pace == Pace::AsAcknowledged || !m_lastTime) {
        m_due = now;
        return;
    }
    const double speed = m_config.pace == Pace::Accelerated ? m_config.speed : 1.0;
    const Millis apart = std::max(Millis{0}, m_next->front().deviceTime - *m_lastTime);
    // From the moment the row before was due, so that small delays do not add up.
    m_due += std::chrono::nanoseconds{qint64(double(std::chrono::nanoseconds{apart}.count()) / speed)};
    constexpr auto farBehind = std::chrono::seconds{30};
    if (m_due < now - farBehind)
        m_due = now;
}

Error ReplayDriver::brokenRow(const QString &why) const
{
    return Error{Errc::Malformed, u"%1:%2: %3; %4."_s.arg(m_config.file)
                                      .arg(m_csv.line())
                                      .arg(why, m_config.brokenRow == ReplayConfig::BrokenRow::Refuse
                                                    ? u"the replay ends here (driver.broken_row is refuse)"_s
                                                    : u"the row is left out"_s)};
}

Result<RecordedRow> ReplayDriver::rowOf(const CsvRecord &record) const
{
    if (record.fields.size() != m_width)
        return Error{Errc::Malformed, u"expected %1 fields, found %2"_s.arg(m_width).arg(record.fields.size())};
    const auto time = m_time->parse(record.fields[m_timeIndex].trimmed());
    if (!time)
        return Error{time.error().code, u"column \"%1\": %2"_s.arg(m_config.map.timeColumn, time.error().message)};
    RecordedRow row;
    for (qsizetype i = 0; i < m_indexes.size(); ++i) {
        const ColumnMap::Column &column = m_config.map.columns[i];
        const QString cell = record.fields[m_indexes[i]].trimmed();
        if (cell.isEmpty() || m_config.map.missing.contains(cell))
            continue;
        const auto value = valueOf(column, cell);
        if (!value)
            return value.error();
        row.append(Reading{column.point.id, *value, column.point.unit, *time, Quality::Good, false});
    }
    return row;
}

Result<Value> ReplayDriver::valueOf(const ColumnMap::Column &column, const QString &cell) const
{
    const auto notA = [&](const QString &what) {
        static const QRegularExpression decimalComma(u"^[+-]?[0-9.]*,[0-9]+$"_s);
        const QString hint = decimalComma.match(cell).hasMatch() ? u" (a decimal comma; write a point)"_s : QString();
        return Error{Errc::Malformed,
                     u"column \"%1\": \"%2\" is not %3%4"_s.arg(column.header, cell.left(40), what, hint)};
    };
    bool ok = false;
    switch (column.point.kind) {
    case Kind::Number: {
        const double number = cell.toDouble(&ok) * column.scale + column.offset;
        if (!ok || !std::isfinite(number)) // the scale may lead out of what a double holds
            return notA(u"a number"_s);
        return Value{number};
    }
    case Kind::Integer: {
        const qint64 number = cell.toLongLong(&ok);
        if (!ok)
            return notA(u"a whole number"_s);
        return Value{number};
    }
    case Kind::Bool: {
        const QString lower = cell.toLower();
        if (lower == "1"_L1 || lower == "true"_L1 || lower == "on"_L1)
            return Value{true};
        if (lower == "0"_L1 || lower == "false"_L1 || lower == "off"_L1)
            return Value{false};
        return notA(u"0 or 1"_s);
    }
    case Kind::Text: return Value{cell};
    }
    return notA(u"of a known kind"_s);
}

Result<std::optional<ReplayDriver::Position>> ReplayDriver::savedPosition() const
{
    const auto stored = m_state.load(positionKey);
    if (!stored)
        return stored.error();
    if (!*stored)
        return std::optional<Position>{};
    const QCborMap map = cborMap(**stored);
    Position position;
    position.recording = map.value(recordingKey).toByteArray();
    position.stream = QUuid::fromRfc4122(map.value(streamKey).toByteArray());
    position.readings = quint64(wholeNumber(map.value(readingsKey)));
    position.offset = wholeNumber(map.value(offsetKey));
    position.line = wholeNumber(map.value(lineKey));
    return std::optional{position};
}

Result<void> ReplayDriver::save(const Position &position)
{
    QCborMap map;
    map[recordingKey] = position.recording;
    map[streamKey] = position.stream.toRfc4122();
    map[readingsKey] = qint64(position.readings);
    map[offsetKey] = position.offset;
    map[lineKey] = position.line;
    const auto saved = m_state.save(positionKey, QCborValue(map).toCbor());
    if (saved) {
        m_saved = position;
        m_rowsSinceSave = 0;
    }
    return saved;
}

} // namespace lintel
