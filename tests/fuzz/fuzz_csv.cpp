// Whatever the bytes: the reader ends, stays within its bounds, moves forward, and can be set back.
#include "drivers/replay/csv_reader.h"

#include <QBuffer>

#include <cstdlib>

using namespace lintel;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    QBuffer buffer;
    buffer.setData(reinterpret_cast<const char *>(data), int(size));
    buffer.open(QIODevice::ReadOnly);
    CsvReader reader(buffer);
    qint64 before = -1;
    while (!reader.atEnd()) {
        const qint64 offset = reader.offset();
        const qint64 lines = reader.linesBefore();
        require(offset > before);
        before = offset;
        const auto record = reader.next();
        if (!record) {
            require(record.error().code == Errc::Malformed && !record.error().message.isEmpty());
            continue;
        }
        require(!record->fields.isEmpty() && record->fields.size() <= 1024);
        require(record->end == reader.offset() && record->end <= qint64(size));
        const qint64 end = record->end;
        const qint64 linesAfter = reader.linesBefore();
        require(bool(reader.seek(offset, lines)));
        const auto again = reader.next();
        require(again && again->fields == record->fields && again->end == end && reader.linesBefore() == linesAfter);
    }
    return 0;
}
