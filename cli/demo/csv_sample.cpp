#include "demo/csv_sample.h"

#include <QSet>

#include <algorithm>
#include <array>
#include <cmath>

namespace lintel::demo {

using namespace Qt::StringLiterals;

namespace {

constexpr int kMaxRows = 20'000;
constexpr qint64 kMaxLineBytes = 64 * 1024;
constexpr int kIntervalsLookedAt = 200;

/// What a column map calls it, and what QDateTime does.
struct TimeForm {
    QLatin1StringView map;
    QLatin1StringView qt;
};
// Month first before day first: the second is taken when the first does not fit every row.
constexpr std::array kTimeForms{
    TimeForm{"yyyy-MM-dd HH:mm:ss"_L1, "yyyy-MM-dd HH:mm:ss"_L1},
    TimeForm{"yyyy-MM-dd HH:mm"_L1, "yyyy-MM-dd HH:mm"_L1},
    TimeForm{"yyyy-MM-dd HH:mm:ss.zzz"_L1, "yyyy-MM-dd HH:mm:ss.zzz"_L1},
    TimeForm{"yyyy-MM-ddTHH:mm:ss"_L1, "yyyy-MM-ddTHH:mm:ss"_L1},
    TimeForm{"yyyy-MM-ddTHH:mm"_L1, "yyyy-MM-ddTHH:mm"_L1},
    TimeForm{"yyyy-MM-ddTHH:mm:ssZ"_L1, "yyyy-MM-ddTHH:mm:ss'Z'"_L1},
    TimeForm{"yyyy-MM-ddTHH:mm:ss.zzzZ"_L1, "yyyy-MM-ddTHH:mm:ss.zzz'Z'"_L1},
    TimeForm{"yyyy/MM/dd HH:mm:ss"_L1, "yyyy/MM/dd HH:mm:ss"_L1},
    TimeForm{"yyyy/MM/dd HH:mm"_L1, "yyyy/MM/dd HH:mm"_L1},
    TimeForm{"yyyy-MM-dd"_L1, "yyyy-MM-dd"_L1},
    TimeForm{"M/d/yyyy H:mm"_L1, "M/d/yyyy H:mm"_L1},
    TimeForm{"M/d/yyyy H:mm:ss"_L1, "M/d/yyyy H:mm:ss"_L1},
    TimeForm{"d/M/yyyy H:mm"_L1, "d/M/yyyy H:mm"_L1},
    TimeForm{"d/M/yyyy H:mm:ss"_L1, "d/M/yyyy H:mm:ss"_L1},
    TimeForm{"d.M.yyyy H:mm"_L1, "d.M.yyyy H:mm"_L1},
    TimeForm{"d.M.yyyy H:mm:ss"_L1, "d.M.yyyy H:mm:ss"_L1},
};

/// Fields of one line; quotes may hold the separator and doubled quotes.
QStringList split(const QString &line, QChar separator)
{
    QStringList fields;
    QString field;
    bool quoted = false;
    for (qsizetype i = 0; i < line.size(); ++i) {
        const QChar c = line[i];
        if (quoted && c == u'"' && line.mid(i + 1, 1) == u"\"") {
            field += c;
            ++i;
        } else if (c == u'"') {
            quoted = !quoted;
        } else if (c == separator && !quoted) {
            fields.append(std::exchange(field, {}).trimmed());
        } else {
            field += c;
        }
    }
    fields.append(field.trimmed());
    return fields;
}

char separatorOf(const QString &header)
{
    const std::array candidates{',', ';', '\t'};
    return *std::max_element(candidates.begin(), candidates.end(), [&](char a, char b) {
        return split(header, QLatin1Char(a)).size() < split(header, QLatin1Char(b)).size();
    });
}

bool isMissing(const QString &cell)
{
    return cell.isEmpty() || missingCells().contains(cell);
}

bool isNumber(const QString &cell)
{
    bool ok = false;
    return std::isfinite(cell.toDouble(&ok)) && ok;
}

/// A plain number is a time only where the header says so.
bool saysTime(const QString &header)
{
    const QString name = header.toLower();
    return name.contains("time"_L1) || name.contains("date"_L1) || name.contains("epoch"_L1) || name == "ts"_L1;
}

std::optional<QDateTime> epochOf(const QString &cell, bool millis)
{
    bool ok = false;
    const qint64 count = cell.toLongLong(&ok);
    const qint64 at = millis ? count : count * 1'000;
    // 1990 to 2100: anything else is a number, or the other unit.
    if (!ok || at < 631'152'000'000 || at > 4'102'444'800'000)
        return {};
    return QDateTime::fromMSecsSinceEpoch(at, Qt::UTC);
}

std::optional<QDateTime> timeOf(const QString &cell, QLatin1StringView qtFormat)
{
    QDateTime time = QDateTime::fromString(cell, QString(qtFormat));
    if (!time.isValid())
        return {};
    time.setTimeSpec(Qt::UTC);
    return time;
}

class Column
{
public:
    void look(const QString &cell)
    {
        m_isText = m_isText || (!isMissing(cell) && !isNumber(cell));
        m_hasNumber = m_hasNumber || isNumber(cell);
        m_hasHole = m_hasHole || isMissing(cell);
    }
    [[nodiscard]] bool isNumbers() const { return m_hasNumber && !m_isText; }
    [[nodiscard]] bool isFull() const { return !m_hasHole; }

private:
    bool m_isText = false;
    bool m_hasNumber = false;
    bool m_hasHole = false;
};

using Rows = QList<QStringList>;

QList<QDateTime> timesOf(const Rows &rows, qsizetype column, const TimeForm &form)
{
    QList<QDateTime> times;
    for (const QStringList &row : rows) {
        const QString cell = row.value(column);
        const auto time =
            form.map.startsWith("epoch"_L1) ? epochOf(cell, form.map == "epoch_ms"_L1) : timeOf(cell, form.qt);
        if (!time)
            return {};
        times.append(*time);
    }
    return times;
}

void takeTimes(CsvShape &shape, qsizetype column, const TimeForm &form, const QList<QDateTime> &times)
{
    shape.timeColumn = column;
    shape.timeFormat = form.map;
    QSet<qint64> seen;
    for (qsizetype i = 0; i < times.size() && shape.repeatedTimeRow == 0; ++i) {
        const qint64 at = times[i].toMSecsSinceEpoch();
        if (seen.contains(at))
            shape.repeatedTimeRow = i + 1;
        seen.insert(at);
    }
    QList<qint64> intervals;
    for (qsizetype i = 1; i < std::min<qsizetype>(times.size(), kIntervalsLookedAt); ++i) {
        const qint64 apart = times[i - 1].msecsTo(times[i]);
        if (apart > 0)
            intervals.append(apart);
    }
    if (intervals.isEmpty())
        return;
    std::sort(intervals.begin(), intervals.end());
    shape.rowInterval = std::chrono::milliseconds{intervals[intervals.size() / 2]};
}

void findTimes(CsvShape &shape, const Rows &rows, qsizetype shift)
{
    const std::array counts{TimeForm{"epoch_s"_L1, {}}, TimeForm{"epoch_ms"_L1, {}}};
    for (qsizetype column = 0; column < shape.header.size(); ++column) {
        const auto tryForm = [&](const TimeForm &form) {
            if (timesOf(rows.mid(0, 1), column + shift, form).isEmpty())
                return false;
            const QList<QDateTime> times = timesOf(rows, column + shift, form);
            if (!times.isEmpty())
                takeTimes(shape, column, form, times);
            if (shape.repeatedTimeRow > 0)
                shape.repeatedTime = rows[shape.repeatedTimeRow - 1].value(column + shift);
            return !times.isEmpty();
        };
        if (std::any_of(kTimeForms.begin(), kTimeForms.end(), tryForm))
            return;
        if (saysTime(shape.header[column]) && std::any_of(counts.begin(), counts.end(), tryForm))
            return;
    }
}

} // namespace

QStringList missingCells()
{
    return {u"NaN"_s,  u"nan"_s,  u"NA"_s,   u"N/A"_s, u"#N/A"_s,    u"null"_s,
            u"NULL"_s, u"None"_s, u"none"_s, u"-"_s,   u"#VALUE!"_s, u"?"_s};
}

Result<CsvShape> shapeOf(QIODevice &device)
{
    const auto nextLine = [&device] {
        QString line = QString::fromUtf8(device.readLine(kMaxLineBytes));
        while (line.endsWith(u'\n') || line.endsWith(u'\r'))
            line.chop(1);
        return line;
    };
    QString first = nextLine();
    if (first.startsWith(QChar::ByteOrderMark))
        first.remove(0, 1);
    if (first.trimmed().isEmpty())
        return Error{Errc::Malformed, u"it has no header line"_s};
    CsvShape shape;
    shape.separator = separatorOf(first);
    shape.header = split(first, QLatin1Char(shape.separator));

    Rows rows;
    while (!device.atEnd() && rows.size() < kMaxRows) {
        const QString line = nextLine();
        if (!line.trimmed().isEmpty())
            rows.append(split(line, QLatin1Char(shape.separator)));
    }
    if (rows.isEmpty())
        return Error{Errc::Malformed, u"it has no row below its header"_s};
    shape.hasUnnamedRowId = rows.first().size() == shape.header.size() + 1;
    const qsizetype shift = shape.hasUnnamedRowId ? 1 : 0;
    findTimes(shape, rows, shift);
    QList<Column> columns(shape.header.size());
    for (const QStringList &row : std::as_const(rows)) {
        for (qsizetype i = 0; i < columns.size(); ++i)
            columns[i].look(row.value(i + shift));
    }
    for (qsizetype i = 0; i < columns.size(); ++i) {
        const bool isFirstOfItsName = shape.header.indexOf(shape.header[i]) == i;
        if (i != shape.timeColumn && !shape.header[i].isEmpty() && isFirstOfItsName && columns[i].isNumbers())
            shape.numberColumns.append(i);
    }
    return shape;
}

} // namespace lintel::demo
