#include "drivers/replay/csv_reader.h"

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

constexpr qint64 maxRecordBytes = 64 * 1024;
constexpr qsizetype maxFields = 1024;
constexpr int maxLinesOfRecord = 100;
constexpr char byteOrderMark[] = "\xEF\xBB\xBF";

Error malformed(const QString &why)
{
    return Error{Errc::Malformed, why};
}

} // namespace

bool CsvReader::atEnd()
{
    skipEmptyLines();
    return m_device.atEnd();
}

void CsvReader::skipEmptyLines()
{
    if (m_offset == 0 && m_device.peek(3) == QByteArrayView(byteOrderMark, 3))
        m_offset += m_device.skip(3);
    for (;;) {
        const QByteArray next = m_device.peek(2);
        const qint64 length = next.startsWith('\n') ? 1 : (next == "\r\n" ? 2 : 0);
        if (length == 0)
            return;
        m_offset += m_device.skip(length);
        ++m_line;
    }
}

Result<QByteArray> CsvReader::readLine()
{
    const QByteArray line = m_device.readLine(maxRecordBytes + 2);
    if (line.isEmpty())
        return Error{m_device.atEnd() ? Errc::NotFound : Errc::Io, u"The file ends here."_s};
    m_offset += line.size();
    ++m_line;
    if (line.size() <= maxRecordBytes || line.endsWith('\n'))
        return line;
    for (;;) { // the rest of a line that is too long
        const QByteArray rest = m_device.readLine(maxRecordBytes);
        m_offset += rest.size();
        if (rest.isEmpty() || rest.endsWith('\n'))
            return malformed(u"the record is longer than %1 bytes"_s.arg(maxRecordBytes));
    }
}

Result<CsvRecord> CsvReader::next()
{
    skipEmptyLines();
    m_recordLine = m_line + 1;
    const auto first = readLine();
    if (!first)
        return first.error();
    const qint64 afterFirstLine = m_offset;
    QByteArray record = *first;
    for (int lines = 1;; ++lines) {
        QStringList fields;
        QString why;
        // With an odd number of quotes one of them is still open; that is quicker seen than split.
        switch (record.count('"') % 2 == 0 ? split(record, fields, why) : Splitting::OpenQuote) {
        case Splitting::Done: return CsvRecord{fields, m_recordLine, m_offset};
        case Splitting::Broken: return malformed(why);
        case Splitting::OpenQuote: break;
        }
        const bool isTooLong = record.size() > maxRecordBytes || lines >= maxLinesOfRecord;
        const auto more = isTooLong ? Result<QByteArray>(malformed(QString())) : readLine();
        if (more) {
            record += *more;
            continue;
        }
        // The quote was a typing error rather than the start of a long field: go on with the line after it.
        if (const auto back = seek(afterFirstLine, m_recordLine); !back)
            return back.error();
        return malformed(u"a quote is opened and never closed"_s);
    }
}

CsvReader::Splitting CsvReader::split(const QByteArray &record, QStringList &fields, QString &why) const
{
    qsizetype end = record.size();
    while (end > 0 && (record[end - 1] == '\n' || record[end - 1] == '\r'))
        --end;
    qsizetype at = 0;
    for (;;) {
        QByteArray field;
        if (at < end && record[at] == '"') {
            ++at;
            for (;; ++at) {
                // Line breaks count as content as long as the quote is open.
                if (at >= record.size())
                    return Splitting::OpenQuote;
                if (record[at] != '"')
                    field.append(record[at]);
                else if (at + 1 < record.size() && record[at + 1] == '"')
                    field.append(record[at++]);
                else
                    break;
            }
            ++at;
            if (at < end && record[at] != m_separator) {
                why = u"text follows a closing quote in field %1"_s.arg(fields.size() + 1);
                return Splitting::Broken;
            }
        } else {
            const qsizetype separator = record.indexOf(m_separator, at);
            const qsizetype stop = separator < 0 || separator > end ? end : separator;
            field = record.mid(at, stop - at);
            at = stop;
        }
        fields.append(QString::fromUtf8(field));
        if (fields.size() > maxFields) {
            why = u"the record has more than %1 fields"_s.arg(maxFields);
            return Splitting::Broken;
        }
        if (at >= end)
            return Splitting::Done;
        ++at; // the separator; a field follows, possibly an empty one
    }
}

Result<void> CsvReader::seek(qint64 offset, qint64 line)
{
    if (!m_device.seek(offset))
        return Error{Errc::Io, u"the file cannot be read from byte %1: %2"_s.arg(offset).arg(m_device.errorString())};
    m_offset = offset;
    m_line = line;
    return {};
}

} // namespace lintel
