// Section driver with type "replay", and the column map that says what the columns of a recording
// are. A map stands in a file of its own (driver.map), so that one recording can be played by many
// sensors; resources/config has maps of public recordings.
#pragma once

#include "adapters/yaml/config_reader.h"
#include "domain/point.h"
#include "drivers/point_config.h"

namespace lintel {

struct ColumnMap {
    struct Column {
        QString header; // as the header line has it, without surrounding blanks
        Point point;
        double scale = 1; // value = cell · scale + offset
        double offset = 0;
    };

    QString description; // what it is and where it comes from
    char separator = ',';
    bool hasUnnamedRowId = false; // rows begin with an id that the header leaves out
    QString timeColumn;
    QString timeFormat = QStringLiteral("yyyy-MM-dd HH:mm:ss");
    QString timeZone = QStringLiteral("UTC");
    QStringList missing; // cells that mean "no value"; the empty cell always does
    QList<Column> columns;
};

struct ReplayConfig {
    enum class Pace {
        RealTime,       // as far apart as they were recorded
        Accelerated,    // `speed` times faster
        AsAcknowledged, // as fast as the next hop takes them, at most `window` ahead of it
    };
    enum class BrokenRow { Skip, Refuse };

    QString file;
    ColumnMap map;
    QByteArray mapText; // what the map said, to know when it changes
    Pace pace = Pace::RealTime;
    double speed = 60;
    int window = 256;
    BrokenRow brokenRow = BrokenRow::Skip;
};

/// Reads driver.map too; its problems are added under its own file name.
[[nodiscard]] ReplayConfig readReplay(config::Section &section, const Location &location, config::Problems &problems);
[[nodiscard]] ColumnMap readColumnMap(config::Section &section, const Location &location);

} // namespace lintel
