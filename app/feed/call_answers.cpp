// SPDX-License-Identifier: GPL-3.0-only
#include "feed/call_answers.h"

#include <QCborArray>

#include <cmath>

namespace lintel {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace method {
QString readBirths()
{
    return u"read_births"_s;
}
QString listDevices()
{
    return u"list_devices"_s;
}
QString status()
{
    return u"status"_s;
}
QString queryHistory()
{
    return u"query_history"_s;
}
} // namespace method

namespace {

constexpr qint64 kMaxBuckets = 480;
constexpr Millis kRateWindow = 5min;
constexpr double kLongest = 3.2e11; // ten years in milliseconds: more is no news

std::optional<Timestamp> timeOf(const QCborValue &value)
{
    if (!value.isString())
        return std::nullopt;
    const auto time = timestampFromIso8601(value.toString());
    return time ? std::optional(*time) : std::nullopt;
}

} // namespace

QList<sparkplug::RecordedBirth> birthsFrom(const QCborMap &answer)
{
    QList<sparkplug::RecordedBirth> births;
    for (const auto &entry : answer.value("births"_L1).toArray()) {
        const QCborMap birth = entry.toMap();
        const QString topic = birth.value("topic"_L1).toString();
        if (!topic.isEmpty())
            births.append({topic, birth.value("payload"_L1).toByteArray()});
    }
    return births;
}

QList<ListedDevice> devicesFrom(const QCborMap &answer, Timestamp now)
{
    QList<ListedDevice> devices;
    for (const auto &entry : answer.value("devices"_L1).toArray()) {
        const QCborMap map = entry.toMap();
        ListedDevice listed;
        const QString name = map.value("device"_L1).toString();
        listed.node = {map.value("group"_L1).toString(), map.value("node"_L1).toString()};
        listed.device = name == listed.node.node ? QString() : name;
        listed.online = map.value("online"_L1).toBool();
        listed.since = timeOf(map.value("since"_L1)).value_or(now);
        if (!name.isEmpty() && !listed.node.group.isEmpty() && !listed.node.node.isEmpty())
            devices.append(listed);
    }
    return devices;
}

int HistoryQuestion::bucketSeconds() const
{
    const auto length = std::chrono::duration_cast<std::chrono::seconds>(to - from).count();
    return length <= 3'600 ? 0 : int(std::max<qint64>(10, length / kMaxBuckets));
}

QCborMap HistoryQuestion::arguments() const
{
    QCborMap args{
        {"group"_L1, group},          {"device"_L1, device},    {"point"_L1, point},
        {"from"_L1, toIso8601(from)}, {"to"_L1, toIso8601(to)},
    };
    if (bucketSeconds() > 0)
        args.insert("bucket"_L1, bucketSeconds());
    return args;
}

std::vector<Sample> samplesFrom(const QCborMap &answer, const HistoryQuestion &question)
{
    std::vector<Sample> samples;
    for (const auto &entry : answer.value("readings"_L1).toArray()) {
        const QCborMap reading = entry.toMap();
        const auto time = timeOf(reading.value("time"_L1));
        const QCborValue value = reading.value("value"_L1);
        if (!time || reading.value("quality"_L1).toString() == "bad"_L1)
            continue;
        if (value.isBool())
            samples.push_back(
                {toEpochMillis(*time), value.toBool() ? 1.0 : 0.0, 0, reading.value("historical"_L1).toBool()});
        else if (value.isDouble() || value.isInteger())
            samples.push_back({toEpochMillis(*time), value.toDouble(), 0, reading.value("historical"_L1).toBool()});
    }
    const quint32 span = quint32(question.bucketSeconds()) * 1'000;
    for (const auto &entry : answer.value("buckets"_L1).toArray()) {
        const QCborMap bucket = entry.toMap();
        const auto start = timeOf(bucket.value("start"_L1));
        if (!start || span == 0 || bucket.value("count"_L1).toInteger() == 0)
            continue;
        const double low = bucket.value("min"_L1).toDouble();
        const double high = bucket.value("max"_L1).toDouble();
        const qint64 at = toEpochMillis(*start);
        const bool late = bucket.value("historical"_L1).toInteger() > 0;
        if (!std::isfinite(low) || !std::isfinite(high))
            continue;
        samples.push_back({at + span / 4, low, span, late});
        if (high > low)
            samples.push_back({at + span / 4 * 3, high, span, late});
    }
    return samples;
}

CustodyState BufferEstimate::update(const QCborMap &status, Timestamp now)
{
    CustodyState state;
    const QCborValue spoolValue = status.value("spool"_L1);
    if (!spoolValue.isMap())
        return state;
    const QCborMap spool = spoolValue.toMap();
    state.asOf = now;
    const qint64 pending = spool.value("readings_pending"_L1).toInteger(-1);
    if (pending >= 0)
        state.pendingReadings = quint64(pending);
    state.oldestUnsent = timeOf(spool.value("oldest_pending"_L1));

    const qint64 used = spool.value("used_bytes"_L1).toInteger(-1);
    const qint64 room = spool.value("max_bytes"_L1).toInteger(-1) - used;
    const qint64 written = spool.value("written_bytes"_L1).toInteger(-1);
    if (written >= 0)
        note({now, written});
    if (const auto bytes = rate(); bytes && used >= 0 && room > 0)
        state.bufferRunway = Millis(qint64(std::min(double(room) / *bytes, kLongest)));
    return state;
}

void BufferEstimate::note(Sample sample)
{
    // The host was started again, or a clock went back: what was before says nothing any more.
    if (!m_samples.empty() && (sample.written < m_samples.back().written || sample.at < m_samples.back().at))
        m_samples.clear();
    m_samples.push_back(sample);
    // One sample from before the window stays, so that the window is always covered …
    while (m_samples.size() > 2 && m_samples[1].at <= sample.at - kRateWindow)
        m_samples.pop_front();
}

std::optional<double> BufferEstimate::rate() const
{
    if (m_samples.size() < 2)
        return std::nullopt;
    const Millis elapsed = m_samples.back().at - m_samples.front().at;
    const qint64 written = m_samples.back().written - m_samples.front().written;
    // … and two answers that come together tell no rate.
    if (elapsed < 500ms || written <= 0)
        return std::nullopt;
    return double(written) / double(elapsed.count());
}

} // namespace lintel
