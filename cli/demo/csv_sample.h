// The shape of a CSV file: separator, header, and what its columns hold. It only looks; playing and all
// its rules for broken rows are the replay driver's. Values only; any thread.
#pragma once

#include "domain/result.h"

#include <QDateTime>
#include <QIODevice>
#include <QList>
#include <QString>
#include <QStringList>

#include <optional>

namespace lintel::demo {

struct CsvShape {
    char separator = ',';
    bool hasUnnamedRowId = false; // rows have one field more than the header, in front
    QStringList header;
    qsizetype timeColumn = -1;  // index in header; -1: there is none
    QString timeFormat;         // as a column map has it
    QString repeatedTime;       // the first that stands in two rows, as the file has it; empty: there is none
    qint64 repeatedTimeRow = 0; // where it stands again; the row below the header is 1
    QList<qsizetype> numberColumns;
    std::chrono::milliseconds rowInterval{60'000};
};

/// Cells that stand for "no value" in a made map; the empty cell always does.
[[nodiscard]] QStringList missingCells();

/// Reads at most the first 20,000 rows. Malformed when there is no header or no row.
[[nodiscard]] Result<CsvShape> shapeOf(QIODevice &device);

} // namespace lintel::demo
