// A request or response that decodes encodes and decodes to the same, and its correlation may
// stand in a topic.
#include "calls/call.h"
#include "domain/topic.h"

#include <cstdlib>

using namespace lintel;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

void checkCorrelation(const QString &correlation)
{
    const Principal caller = *Principal::parse(u"caller");
    const Principal callee = *Principal::parse(u"callee");
    require(bool(parseTopic(toString(ResponseTopic{caller, callee, correlation}))));
}

/// Compared as bytes, because a NaN is not equal to itself.
QByteArray bytesOf(const QCborMap &map)
{
    return map.toCborValue().toCbor();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const QByteArrayView bytes(data, static_cast<qsizetype>(size));
    if (const auto request = decodeCallRequest(bytes)) {
        checkCorrelation(request->correlation);
        require(correlationOf(bytes) == request->correlation);
        const QByteArray encoded = encode(*request);
        const auto again = decodeCallRequest(encoded);
        require(bool(again));
        require(again->correlation == request->correlation && again->expires == request->expires);
        require(bytesOf(again->args) == bytesOf(request->args));
    } else if (const auto correlation = correlationOf(bytes)) {
        checkCorrelation(*correlation);
    }
    if (const auto response = decodeCallResponse(bytes)) {
        checkCorrelation(response->correlation);
        const auto again = decodeCallResponse(encode(*response));
        require(again && again->correlation == response->correlation);
        require(bool(again->outcome) == bool(response->outcome));
        if (response->outcome)
            require(bytesOf(*again->outcome) == bytesOf(*response->outcome));
        else
            require(again->outcome.error().code == response->outcome.error().code);
    }
    return 0;
}
