// How many payloads a second the codec encodes and decodes, beside what Protobuf alone needs for the
// same bytes with a schema of the same shape. Prints one JSON object; ends with 1 when there was nothing
// to measure, because the codec does not read back what it wrote.
#include "lintel_sparkplug_b.pb.h"
#include "sparkplug/payload.h"

#include <QJsonDocument>
#include <QJsonObject>

#include <chrono>
#include <cstdio>

using namespace lintel;
using namespace lintel::sparkplug;

namespace {

/// A DATA message of one reading of a sensor: six numbers by alias, and the batch number.
Payload dataMessage()
{
    Payload payload;
    payload.timestamp = fromEpochMillis(1'763'719'260'000);
    payload.seq = 17;
    Metric msn;
    msn.alias = 1;
    msn.timestamp = payload.timestamp;
    msn.type = DataType::UInt64;
    msn.value = quint64(123'456'789);
    payload.metrics.append(msn);
    for (int i = 0; i < 6; ++i) {
        Metric metric;
        metric.alias = quint64(10 + i);
        metric.timestamp = payload.timestamp;
        metric.type = DataType::Double;
        metric.value = 20.0 + i / 7.0;
        payload.metrics.append(metric);
    }
    return payload;
}

/// A birth of sixty points with names and properties.
Payload birthMessage()
{
    Payload payload;
    payload.timestamp = fromEpochMillis(1'763'719'260'000);
    payload.seq = 0;
    for (int i = 0; i < 60; ++i) {
        Metric metric =
            Metric::named(QStringLiteral("hvac/ahu-%1/discharge_air_temp").arg(i), DataType::Double, 20.0 + i);
        metric.alias = quint64(10 + i);
        metric.timestamp = payload.timestamp;
        metric.properties.emplace();
        metric.properties->set(QStringLiteral("engUnit"), DataType::String, QStringLiteral("°C"));
        metric.properties->set(QStringLiteral("Lintel/Brick"), DataType::String,
                               QStringLiteral("Supply_Air_Temperature_Sensor"));
        payload.metrics.append(metric);
    }
    return payload;
}

/// Calls a second; runs for about half a second.
template <class Work>
double rate(Work &&work)
{
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    quint64 calls = 0;
    std::chrono::duration<double> spent{};
    do {
        for (int i = 0; i < 64; ++i)
            work();
        calls += 64;
        spent = Clock::now() - begin;
    } while (spent.count() < 0.5);
    return double(calls) / spent.count();
}

/// Empty when the bytes do not decode to what was encoded.
QJsonObject measure(const Payload &payload)
{
    const QByteArray bytes = encode(payload);
    wire::Payload raw;
    const auto again = decode(bytes);
    if (!again || again->metrics.size() != payload.metrics.size()
        || !raw.ParseFromArray(bytes.constData(), int(bytes.size())))
        return {};
    size_t seen = 0;
    const double encodes = rate([&] { seen += size_t(encode(payload).size()); });
    const double decodes = rate([&] { seen += size_t(decode(bytes)->metrics.size()); });
    const double rawDecodes = rate([&] {
        wire::Payload fresh;
        fresh.ParseFromArray(bytes.constData(), int(bytes.size()));
        seen += size_t(fresh.metrics_size());
    });
    const double rawEncodes = rate([&] { seen += raw.SerializeAsString().size(); });
    return {{QStringLiteral("bytes"), bytes.size()},
            {QStringLiteral("metrics"), payload.metrics.size()},
            {QStringLiteral("encodes_per_s"), qint64(encodes)},
            {QStringLiteral("decodes_per_s"), qint64(decodes)},
            {QStringLiteral("protobuf_encodes_per_s"), qint64(rawEncodes)},
            {QStringLiteral("protobuf_decodes_per_s"), qint64(rawDecodes)},
            {QStringLiteral("encode_ratio"), encodes / rawEncodes},
            {QStringLiteral("decode_ratio"), decodes / rawDecodes},
            {QStringLiteral("checksum"), qint64(seen % 1'000)}};
}

} // namespace

int main()
{
    const QJsonObject data = measure(dataMessage());
    const QJsonObject birth = measure(birthMessage());
    if (data.isEmpty() || birth.isEmpty()) {
        std::fputs("bench_codec: the codec does not decode what it encoded; nothing was measured.\n", stderr);
        return 1;
    }
    const QJsonObject result{{QStringLiteral("bench"), QStringLiteral("codec")},
                             {QStringLiteral("peer"), QStringLiteral("protobuf-lite, same bytes")},
                             {QStringLiteral("data"), data},
                             {QStringLiteral("birth"), birth}};
    std::puts(QJsonDocument(result).toJson(QJsonDocument::Indented).constData());
    return 0;
}
