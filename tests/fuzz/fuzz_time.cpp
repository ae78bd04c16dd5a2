// Times that come from outside: RFC 3339 of calls and files, and those of recordings by a format. The
// first line is a format, the second a zone, the rest the time. What is read prints and reads as itself.
#include "domain/timestamp.h"
#include "drivers/replay/time_format.h"

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
    const QString all = QString::fromUtf8(reinterpret_cast<const char *>(data), qsizetype(size));
    const QString format = all.section(u'\n', 0, 0);
    const QString zone = all.section(u'\n', 1, 1);
    const QString text = all.section(u'\n', 2);
    if (const auto time = timestampFromIso8601(text)) {
        const auto again = timestampFromIso8601(toIso8601(*time));
        require(again && *again == *time);
    } else {
        require(!time.error().message.isEmpty());
    }
    const auto made = TimeFormat::make(format, zone);
    if (!made) {
        require(!made.error().message.isEmpty());
        return 0;
    }
    const auto time = made->parse(text);
    require(time || !time.error().message.isEmpty());
    return 0;
}
