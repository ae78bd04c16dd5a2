#include "drivers/replay/replay_config.h"

#include "drivers/replay/time_format.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QSet>

namespace lintel {

using namespace Qt::StringLiterals;
using config::Section;

namespace {

const auto kRecordedTag = u"recorded"_s;

ColumnMap::Column readColumn(Section section, const Location &location)
{
    ColumnMap::Column column;
    column.point.siteRef = location.site;
    column.point.spaceRef = location.space;
    column.point.equipRef = location.equip;
    section.require({u"column"});
    section.text(u"column", column.header);
    readPoint(section, column.point);
    section.number(u"scale", column.scale);
    section.number(u"offset", column.offset);
    const bool isConverted = section.has(u"scale") || section.has(u"offset");
    if (isConverted && column.point.kind != Kind::Number)
        section.complain(u"kind", u"scale and offset need kind number."_s);
    return column;
}

/// Paths in a file are relative to that file.
QString besideFile(const QString &file, const QString &path)
{
    return QFileInfo(path).isAbsolute() ? path : QDir::cleanPath(QFileInfo(file).dir().filePath(path));
}

} // namespace

ColumnMap readColumnMap(Section &section, const Location &location)
{
    ColumnMap map;
    section.text(u"description", map.description);
    Section format = section.section(u"format");
    QChar separator = u',';
    format.character(u"separator", separator);
    format.check(u"separator", separator.unicode() < 0x80 && separator != u'"',
                 u"an ASCII character other than the quote"_s);
    map.separator = separator.toLatin1();
    format.flag(u"unnamed_row_id", map.hasUnnamedRowId);
    format.texts(u"missing", map.missing, 20);

    section.require({u"time", u"points"});
    Section time = section.section(u"time");
    time.require({u"column"});
    time.text(u"column", map.timeColumn);
    time.text(u"format", map.timeFormat);
    time.text(u"zone", map.timeZone);
    if (const auto known = TimeFormat::make(map.timeFormat, map.timeZone); !known)
        time.complain(u"format", known.error().message);

    QSet<QString> ids;
    for (Section &one : section.sections(u"points")) {
        const QString path = one.path();
        ColumnMap::Column column = readColumn(std::move(one), location);
        if (ids.contains(column.point.id))
            section.complain(u"points", u"%1 has the id \"%2\" of a point before it."_s.arg(path, column.point.id));
        ids.insert(column.point.id);
        map.columns.append(std::move(column));
    }
    if (section.has(u"points") && map.columns.isEmpty())
        section.complain(u"points", u"at least one point must be given."_s);
    return map;
}

ReplayConfig readReplay(Section &section, const Location &location, config::Problems &problems)
{
    using Pace = ReplayConfig::Pace;
    using BrokenRow = ReplayConfig::BrokenRow;
    ReplayConfig config;
    section.require({u"file", u"map"});
    section.text(u"file", config.file);
    section.choice<Pace>(u"pace", config.pace,
                         {{u"real_time", Pace::RealTime},
                          {u"accelerated", Pace::Accelerated},
                          {u"as_acknowledged", Pace::AsAcknowledged}});
    section.number(u"speed", config.speed, 1, 1'000'000);
    section.integer(u"window", config.window, 1, 100'000);
    section.choice<BrokenRow>(u"broken_row", config.brokenRow,
                              {{u"skip", BrokenRow::Skip}, {u"refuse", BrokenRow::Refuse}});
    QString mapFile;
    section.text(u"map", mapFile);
    if (!config.file.isEmpty())
        config.file = besideFile(section.file(), config.file);
    if (mapFile.isEmpty())
        return config;
    mapFile = besideFile(section.file(), mapFile);
    const auto document = config::readConfigFile(mapFile);
    if (!document) {
        section.complain(u"map", document.error().message);
        return config;
    }
    if (QFile file(mapFile); file.open(QIODevice::ReadOnly))
        config.mapText = file.readAll();
    Section root(*document, problems);
    config.map = readColumnMap(root, location);
    // Whoever sees a value knows that nobody measures it now.
    for (ColumnMap::Column &column : config.map.columns) {
        if (!column.point.tags.contains(kRecordedTag))
            column.point.tags.append(kRecordedTag);
    }
    return config;
}

} // namespace lintel
