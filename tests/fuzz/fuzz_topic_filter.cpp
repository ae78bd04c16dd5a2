// Topics and filters as a client sends them; the input is two of them, parted by a line break. What
// covers must also match.
#include "broker-plugin/topic_filter.h"

#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    using namespace lintel::broker;
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    const size_t cut = text.find('\n');
    if (cut == std::string_view::npos)
        return 0;
    const std::string_view filter = text.substr(0, cut);
    const std::string_view other = text.substr(cut + 1);
    if (!isTopicFilter(filter))
        return 0;
    // A topic is a filter that matches itself alone.
    if (isTopicName(other) && (!isTopicFilter(other) || covers(filter, other) != matches(filter, other)))
        std::abort();
    if (isTopicFilter(other) && covers(filter, other) && covers(other, filter) && filter != other)
        std::abort();
    if (!covers(filter, filter))
        std::abort();
    return 0;
}
