// Reads comma-separated values record by record (RFC 4180): quoted fields, doubled quotes, line
// breaks inside quotes, CRLF or LF, an optional UTF-8 byte order mark. Bounded: a record is at most
// 64 KiB and 100 lines long and has at most 1,024 fields, whatever the file.
//
// A broken record does not end the reading: next() says what is wrong, and the call after it goes
// on with the following line. One thread; the device must outlive the reader.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QIODevice>
#include <QStringList>

namespace lintel {

struct CsvRecord {
    QStringList fields; // UTF-8; invalid bytes become U+FFFD
    qint64 line = 0;    // 1-based, where the record begins
    qint64 end = 0;     // offset of the byte after it
};

class CsvReader
{
public:
    explicit CsvReader(QIODevice &device, char separator = ',') : m_device(device), m_separator(separator) {}

    /// Nothing left (only empty lines do not count as records).
    [[nodiscard]] bool atEnd();
    /// The next record. Malformed for an open quote, text after a closing quote, or a record beyond
    /// the bounds; Io when the device fails; NotFound at the end.
    [[nodiscard]] Result<CsvRecord> next();
    /// Continues at a record's end that was remembered, where `line` records or lines lie before.
    [[nodiscard]] Result<void> seek(qint64 offset, qint64 line);
    /// Line of the record that next() read or refused last.
    [[nodiscard]] qint64 line() const { return m_recordLine; }
    /// Where the next record begins, and how many lines lie before it.
    [[nodiscard]] qint64 offset() const { return m_offset; }
    [[nodiscard]] qint64 linesBefore() const { return m_line; }

private:
    enum class Splitting { Done, OpenQuote, Broken };

    [[nodiscard]] Result<QByteArray> readLine();
    [[nodiscard]] Splitting split(const QByteArray &record, QStringList &fields, QString &why) const;
    void skipEmptyLines();

    QIODevice &m_device;
    char m_separator;
    qint64 m_offset = 0;
    qint64 m_line = 0; // lines consumed
    qint64 m_recordLine = 0;
};

} // namespace lintel
