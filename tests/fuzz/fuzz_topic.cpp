// A topic that parses prints back to itself, and each of its ids is one that may stand there.
#include "domain/topic.h"

#include <cstdlib>

using namespace lintel;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

void checkId(const QString &id)
{
    require(bool(validateSparkplugId(id)));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const QString text = QString::fromUtf8(reinterpret_cast<const char *>(data), static_cast<qsizetype>(size));
    const auto topic = parseTopic(text);
    if (!topic) {
        require(topic.error().code == Errc::Malformed && !topic.error().message.isEmpty());
        return 0;
    }
    require(toString(*topic) == text);
    require(!text.contains(u'+') && !text.contains(u'#') && !text.contains(QChar(0)));
    if (const auto *sparkplug = std::get_if<SparkplugTopic>(&*topic)) {
        checkId(sparkplug->group);
        checkId(sparkplug->node);
        const bool ofDevice = sparkplug->verb >= SparkplugVerb::DBirth;
        require(ofDevice != sparkplug->device.isEmpty());
        if (ofDevice)
            checkId(sparkplug->device);
    } else if (const auto *state = std::get_if<StateTopic>(&*topic)) {
        checkId(state->hostId);
    } else if (const auto *request = std::get_if<RequestTopic>(&*topic)) {
        require(!request->callee.isEmpty() && !request->caller.isEmpty());
    } else if (const auto *response = std::get_if<ResponseTopic>(&*topic)) {
        require(!response->callee.isEmpty() && !response->caller.isEmpty());
    }
    return 0;
}
