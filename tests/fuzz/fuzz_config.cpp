// Whatever the bytes: a configuration is read or refused with a sentence, in bounded depth.
#include "sensor/sensor_config.h"

#include <cstdlib>

using namespace lintel;

namespace {

int depthOf(const config::Node &node)
{
    int deepest = 0;
    for (const config::Node &item : node.items)
        deepest = std::max(deepest, depthOf(item));
    for (const config::Entry &entry : node.entries)
        deepest = std::max(deepest, depthOf(entry.value));
    return deepest + 1;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const auto document =
        config::parseConfig(QByteArray(reinterpret_cast<const char *>(data), qsizetype(size)), QStringLiteral("f"));
    if (!document) {
        if (document.error().message.isEmpty())
            std::abort();
        return 0;
    }
    if (depthOf(document->root) > 17)
        std::abort();
    const auto config = sensorConfigFrom(*document);
    if (!config && config.error().message.isEmpty())
        std::abort();
    return 0;
}
