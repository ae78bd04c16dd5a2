#include "demo/recordings.h"

#include "demo/csv_sample.h"
#include "domain/unit.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QRegularExpression>
#include <QSet>

#include <algorithm>

namespace lintel::demo {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr qsizetype kMaxNamed = 6; // files in a sentence

struct Known {
    QLatin1StringView start; // of the header line, without quotes
    QLatin1StringView map;
    std::chrono::milliseconds rowInterval;
};
constexpr Known kKnown[] = {
    {"date,Temperature,Humidity,Light,CO2,HumidityRatio,Occupancy"_L1, "replay-uci"_L1, 1min},
    {"Datetime,AHU: Supply Air Temperature"_L1, "replay-lbnl-szcav"_L1, 1min},
    {"Day of Week,Date and Time,Total Cooling (kW)"_L1, "replay-nrel-rsf"_L1, 1h},
};

/// The Building Data Genome names a column after site, use and building, "Fox_office_Israel"; its meters
/// tell kilowatt-hours.
bool isGenome(const CsvShape &shape)
{
    static const QRegularExpression name(u"^[A-Z][a-z]+_[a-z]+_[A-Z][A-Za-z]+$"_s);
    return shape.header.value(shape.timeColumn) == u"timestamp"
           && std::all_of(shape.numberColumns.begin(), shape.numberColumns.end(),
                          [&](qsizetype i) { return name.match(shape.header[i]).hasMatch(); });
}

/// "Total Cooling (kW)", "Supply air [°C]": the unit that the header names, else none.
Unit unitOf(const QString &header)
{
    static const QRegularExpression bracket(u"[\\(\\[]\\s*([^\\)\\]]+?)\\s*[\\)\\]]\\s*$"_s);
    const QString named = bracket.match(header).captured(1);
    if (named.isEmpty())
        return Unit::None;
    for (const UnitInfo &info : allUnits()) {
        const bool isIt = named == info.symbol || named == info.code || named == info.ucum || named == info.haystack;
        if (isIt && info.unit != Unit::None)
            return info.unit;
    }
    if (named.compare("c"_L1, Qt::CaseInsensitive) == 0 || named == "degC"_L1)
        return Unit::Celsius;
    if (named.compare("f"_L1, Qt::CaseInsensitive) == 0 || named == "degF"_L1)
        return Unit::Fahrenheit;
    return Unit::None;
}

/// Without what names the unit; underscores are blanks.
QString nameOf(const QString &header, Unit unit)
{
    QString name = header;
    if (unit != Unit::None)
        name.remove(QRegularExpression(u"\\s*[\\(\\[][^\\)\\]]*[\\)\\]]\\s*$"_s));
    name.replace(u'_', u' ');
    name = name.simplified();
    return name.isEmpty() ? header : name;
}

/// Letters, digits and '_', different from those before it.
QString idOf(const QString &name, QSet<QString> &taken)
{
    QString base = name.normalized(QString::NormalizationForm_KD).toLower();
    base.replace(QRegularExpression(u"[^a-z0-9]+"_s), u"_"_s);
    base = base.left(48);
    while (base.startsWith(u'_'))
        base.remove(0, 1);
    while (base.endsWith(u'_'))
        base.chop(1);
    if (base.isEmpty())
        base = u"column"_s;
    QString id = base;
    for (int number = 2; taken.contains(id); ++number)
        id = u"%1_%2"_s.arg(base).arg(number);
    taken.insert(id);
    return id;
}

/// A YAML scalar that is text whatever it holds.
QString quoted(const QString &text)
{
    QString escaped = text;
    escaped.remove(QRegularExpression(u"[\\x{0000}-\\x{001f}\\x{007f}]"_s));
    escaped.replace(u'\\', u"\\\\"_s).replace(u'"', u"\\\""_s);
    return u'"' + escaped + u'"';
}

QString mapOf(const CsvShape &shape, const QString &fileName, int points)
{
    const bool genome = isGenome(shape);
    QStringList missing;
    for (const QString &cell : missingCells())
        missing << quoted(cell);
    QString text = u"# Made from the header and the rows of this recording. Times count as UTC; a zone, units, tags\n"
                   "# and Brick classes can be written here, as in the maps of resources/config.\n"
                   "description: %1\n\n"
                   "format:\n"
                   "  separator: %2\n"
                   "  unnamed_row_id: %3\n"
                   "  missing: [%4]\n\n"
                   "time:\n"
                   "  column: %5\n"
                   "  format: %6\n"
                   "  zone: UTC\n\n"
                   "points:\n"_s.arg(quoted(fileName + u", recorded"_s),
                                     shape.separator == '\t' ? u"tab"_s : quoted(QString(QLatin1Char(shape.separator))),
                                     shape.hasUnnamedRowId ? u"true"_s : u"false"_s, missing.join(u", "_s),
                                     quoted(shape.header[shape.timeColumn]), quoted(shape.timeFormat));
    QSet<QString> ids;
    for (const qsizetype column : shape.numberColumns.first(points)) {
        const QString &header = shape.header[column];
        const Unit unit = genome ? Unit::KilowattHour : unitOf(header);
        const QString name = nameOf(header, unit);
        text += u"  - {column: %1, id: %2, name: %3"_s.arg(quoted(header), idOf(name, ids), quoted(name));
        if (unit != Unit::None)
            text += u", unit: %1"_s.arg(unitInfo(unit).code);
        text += genome ? u", tags: [energy, sensor, point], brick_class: Energy_Sensor}\n"_s
                       : u", tags: [sensor, point]}\n"_s;
    }
    return text;
}

} // namespace

Result<Recording> recordingOf(const QString &path)
{
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly))
        return Error{Errc::Io, u"it cannot be read (%1)"_s.arg(file.errorString())};
    Recording recording;
    recording.file = QFileInfo(file).absoluteFilePath();
    const QString header = QString::fromUtf8(file.peek(64 * 1024)).section(u'\n', 0, 0).remove(u'"').trimmed();
    const auto known =
        std::find_if(std::begin(kKnown), std::end(kKnown), [&](const Known &k) { return header.startsWith(k.start); });
    if (known != std::end(kKnown)) {
        recording.columnMap = known->map;
        recording.rowInterval = known->rowInterval;
        return recording;
    }
    const auto shape = shapeOf(file);
    if (!shape)
        return shape.error();
    if (shape->timeColumn < 0)
        return Error{Errc::Malformed, u"it has no column that holds a time in every row"_s};
    // Two readings of a point at one time would count as one that was stored twice.
    if (shape->repeatedTimeRow > 0)
        return Error{Errc::Malformed, u"its times repeat (row %1: \"%2\" again)"_s.arg(
                                          QString::number(shape->repeatedTimeRow), shape->repeatedTime.left(40))};
    if (shape->numberColumns.isEmpty())
        return Error{Errc::Malformed, u"it has no column of numbers beside its times"_s};
    recording.rowInterval = shape->rowInterval;
    recording.points = int(std::min<qsizetype>(shape->numberColumns.size(), kMaxMadePoints));
    recording.mapText = mapOf(*shape, QFileInfo(file).fileName(), recording.points);
    return recording;
}

Result<RecordingSurvey> surveyRecordings(const QString &folder)
{
    const QDir dir(folder);
    if (!dir.isReadable())
        return Error{Errc::Io, u"The folder \"%1\" cannot be read; name another with --replay."_s.arg(folder)};
    RecordingSurvey survey;
    for (const QString &name : dir.entryList({u"*.csv"_s, u"*.txt"_s}, QDir::Files, QDir::Name)) {
        auto recording = recordingOf(dir.absoluteFilePath(name));
        if (recording)
            survey.usable.append(*std::move(recording));
        else
            survey.unusable.append({dir.absoluteFilePath(name), recording.error().message});
    }
    return survey;
}

QString playedSentence(const RecordingSurvey &survey, int sensors)
{
    QStringList played;
    for (const Recording &recording : survey.usable.first(std::min<qsizetype>(survey.usable.size(), sensors))) {
        const QString name = QFileInfo(recording.file).fileName();
        played << (recording.mapText.isEmpty()
                       ? u"%1 (columns known)"_s.arg(name)
                       : u"%1 (numbers in %2 of its columns, its times taken as UTC)"_s.arg(name).arg(
                           recording.points));
    }
    return played.isEmpty() ? QString() : u"Replayed: %1."_s.arg(played.join(u", "_s));
}

QString unusedSentence(const RecordingSurvey &survey, int sensors)
{
    QStringList parts;
    if (survey.usable.size() > sensors) {
        QStringList names;
        for (const Recording &recording : survey.usable.sliced(sensors))
            names << QFileInfo(recording.file).fileName();
        if (names.size() > kMaxNamed) {
            const qsizetype more = names.size() - kMaxNamed;
            names = names.first(kMaxNamed);
            names << u"%1 more"_s.arg(more);
        }
        parts << u"%1, because each recording takes the place of a sensor (--sensors %2 plays all)"_s
                     .arg(names.join(u", "_s))
                     .arg(survey.usable.size());
    }
    for (const UnusedRecording &unused : survey.unusable)
        parts << u"%1, because %2"_s.arg(QFileInfo(unused.file).fileName(), unused.why);
    return parts.isEmpty() ? QString() : u"Not replayed: %1."_s.arg(parts.join(u"; "_s));
}

} // namespace lintel::demo
