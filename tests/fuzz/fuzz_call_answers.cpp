// SPDX-License-Identifier: GPL-3.0-only
// What the console reads out of answers to its calls: arbitrary CBOR gives lists, never a crash. What is
// no CBOR is refused before it comes there (fuzz_call).
#include "feed/call_answers.h"

#include <QCborValue>

#include <cmath>
#include <cstdlib>

using namespace lintel;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    QCborParserError broken;
    const QCborMap answer =
        QCborValue::fromCbor(QByteArray(reinterpret_cast<const char *>(data), qsizetype(size)), &broken).toMap();
    if (broken.error != QCborError::NoError)
        return 0;
    const Timestamp now = fromEpochMillis(1'795'254'060'123);
    (void)birthsFrom(answer);
    (void)devicesFrom(answer, now);
    (void)valuesFrom(answer);
    (void)identitiesFrom(answer, now);
    (void)trustFrom(answer, QStringLiteral("gateway"), now);
    (void)ownIdentityFrom(answer);
    if (const auto admission = admissionFrom(answer, QStringLiteral("gateway"))) {
        if (admission->waiting.size() > kMostListed || admission->refused.size() > kMostListed)
            std::abort();
        for (const WaitingDevice &device : admission->waiting) {
            if (device.ekHash.size() != 64)
                std::abort();
        }
    }
    HistoryQuestion question;
    question.to = now;
    question.from = now - Millis{3'600'000};
    for (const Sample &sample : samplesFrom(answer, question)) {
        if (!std::isfinite(sample.value))
            std::abort();
    }
    BufferEstimate estimate;
    (void)estimate.update(answer, now - Millis{60'000});
    (void)estimate.update(answer, now);
    return 0;
}
