#include "custody/answers.h"

#include "domain/topic.h"

#include <algorithm>

namespace lintel::answers {

using namespace Qt::StringLiterals;

namespace {

QCborValue toCbor(const Value &value)
{
    switch (kindOf(value)) {
    case Kind::Number: return QCborValue(std::get<double>(value));
    case Kind::Integer: return QCborValue(std::get<qint64>(value));
    case Kind::Bool: return QCborValue(std::get<bool>(value));
    case Kind::Text: return QCborValue(std::get<QString>(value));
    }
    return {};
}

QString kindName(Kind kind)
{
    switch (kind) {
    case Kind::Number: return u"number"_s;
    case Kind::Integer: return u"integer"_s;
    case Kind::Bool: return u"bool"_s;
    case Kind::Text: return u"text"_s;
    }
    return {};
}

Error wrongType(QLatin1StringView key, QLatin1StringView expected)
{
    return {Errc::Malformed, u"The argument \"%1\" must be %2."_s.arg(key, expected)};
}

} // namespace

QString qualityName(Quality quality)
{
    switch (quality) {
    case Quality::Good: return u"good"_s;
    case Quality::Stale: return u"stale"_s;
    case Quality::Bad: return u"bad"_s;
    }
    return u"bad"_s;
}

QCborMap reading(const Reading &reading)
{
    return {
        {"value"_L1, toCbor(reading.value)},        {"unit"_L1, unitInfo(reading.unit).code},
        {"time"_L1, toIso8601(reading.deviceTime)}, {"quality"_L1, qualityName(reading.quality)},
        {"historical"_L1, reading.isHistorical},
    };
}

QCborMap point(const Point &point)
{
    return {
        {"id"_L1, point.id},
        {"name"_L1, point.name},
        {"kind"_L1, kindName(point.kind)},
        {"unit"_L1, unitInfo(point.unit).code},
        {"tags"_L1, QCborArray::fromStringList(point.tags)},
        {"brick_class"_L1, point.brickClass},
        {"site"_L1, point.siteRef},
        {"space"_L1, point.spaceRef},
        {"equip"_L1, point.equipRef},
        {"stale_after_ms"_L1, qint64(point.staleAfter.count())},
    };
}

QCborArray points(const QList<Point> &points)
{
    QCborArray array;
    for (const Point &one : points)
        array.append(point(one));
    return array;
}

QString deviceName(const sparkplug::Participant &who)
{
    return who.device.isEmpty() ? who.node.node : who.device;
}

QCborMap participant(const sparkplug::Participant &who)
{
    return {
        {"device"_L1, deviceName(who)},     {"group"_L1, who.node.group},
        {"node"_L1, who.node.node},         {"online"_L1, who.online},
        {"since"_L1, toIso8601(who.since)}, {"store_and_forward"_L1, who.spool.has_value()},
        {"points"_L1, points(who.points)},
    };
}

QCborMap loss(const Loss &loss)
{
    QCborMap map{
        {"device"_L1, loss.device},    {"readings"_L1, qint64(loss.readings)}, {"from"_L1, toIso8601(loss.from)},
        {"to"_L1, toIso8601(loss.to)}, {"reason"_L1, toText(loss.reason)},
    };
    if (loss.first != 0) {
        map.insert("stream"_L1, loss.stream.toString(QUuid::WithoutBraces));
        map.insert("first"_L1, qint64(loss.first));
        map.insert("last"_L1, qint64(loss.last));
    }
    return map;
}

QCborArray latestLosses(const ReadingSpool &spool)
{
    constexpr int kLosses = 20;
    QCborArray array;
    if (const auto losses = spool.losses(kLosses)) {
        for (const Loss &one : *losses)
            array.append(loss(one));
    }
    return array;
}

QCborMap births(const QList<sparkplug::RecordedBirth> &births)
{
    QCborArray array;
    for (const sparkplug::RecordedBirth &birth : births)
        array.append(QCborMap{{"topic"_L1, birth.topic}, {"payload"_L1, birth.payload}});
    return {{"births"_L1, array}};
}

QList<sparkplug::RecordedBirth> accepted(const QList<sparkplug::RecordedBirth> &births, const NameRule &mayUse)
{
    QList<sparkplug::RecordedBirth> taken;
    for (const sparkplug::RecordedBirth &birth : births) {
        const auto topic = parseTopic(birth.topic);
        const auto *of = topic ? std::get_if<SparkplugTopic>(&*topic) : nullptr;
        if (of && mayUse({of->group, of->node}, of->device.isEmpty() ? of->node : of->device))
            taken.append(birth);
    }
    return taken;
}

QCborMap spool(const SpoolStatus &status)
{
    QCborMap map{
        {"stream"_L1, status.stream.toString(QUuid::WithoutBraces)},
        {"head"_L1, qint64(status.head)},
        {"tail"_L1, qint64(status.tail)},
        {"acknowledged"_L1, qint64(status.acknowledged)},
        {"readings_total"_L1, qint64(status.totalReadings)},
        {"readings_pending"_L1, qint64(status.pendingReadings)},
        {"readings_dropped"_L1, qint64(status.droppedReadings)},
        {"batches_pending"_L1, qint64(status.pendingBatches)},
        {"duplicate_batches"_L1, qint64(status.duplicateBatches)},
        {"used_bytes"_L1, status.usedBytes},
        {"max_bytes"_L1, status.maxBytes},
        {"written_bytes"_L1, qint64(status.writtenBytes)},
    };
    if (status.oldestPending)
        map.insert("oldest_pending"_L1, toIso8601(*status.oldestPending));
    return map;
}

void addSetAside(QCborMap &status, quint64 batches, quint64 readings, const QString &last)
{
    status.insert("batches_set_aside"_L1, qint64(batches));
    status.insert("readings_set_aside"_L1, qint64(readings));
    if (!last.isEmpty())
        status.insert("last_set_aside"_L1, last);
}

QCborMap hostCounters(const sparkplug::HostSession::Counters &counters)
{
    return {
        {"messages"_L1, qint64(counters.messages)},
        {"malformed"_L1, qint64(counters.malformed)},
        {"reordered"_L1, qint64(counters.reordered)},
        {"rebirth_requests"_L1, qint64(counters.rebirthRequests)},
        {"unknown_aliases"_L1, qint64(counters.unknownAliases)},
    };
}

Result<QString> textArgument(const QCborMap &args, QLatin1StringView key, const QString &fallback)
{
    const QCborValue value = args.value(key);
    if (value.isUndefined() || value.isNull())
        return fallback;
    if (!value.isString())
        return wrongType(key, "a text"_L1);
    return value.toString();
}

Result<qint64> integerArgument(const QCborMap &args, QLatin1StringView key, qint64 fallback)
{
    const QCborValue value = args.value(key);
    if (value.isUndefined() || value.isNull())
        return fallback;
    if (value.isInteger())
        return value.toInteger();
    constexpr double kExact = 9007199254740992.0; // 2^53: JSON knows only doubles
    if (value.isDouble() && qAbs(value.toDouble()) < kExact)
        return qint64(value.toDouble());
    return wrongType(key, "a whole number"_L1);
}

Result<Timestamp> timeArgument(const QCborMap &args, QLatin1StringView key, Timestamp fallback)
{
    const QCborValue value = args.value(key);
    if (value.isUndefined() || value.isNull())
        return fallback;
    if (value.isString()) {
        const auto time = timestampFromIso8601(value.toString());
        if (!time)
            return Error{Errc::Malformed, u"The argument \"%1\" is not a time: %2"_s.arg(key, time.error().message)};
        return *time;
    }
    const auto millis = integerArgument(args, key, 0);
    if (!millis)
        return wrongType(key, "a time such as \"2026-01-15T08:00:00Z\", or milliseconds since 1970"_L1);
    // The years 0 to 9999, as in the text; so differences of two such times always fit.
    constexpr std::chrono::sys_days first{std::chrono::year{0} / 1 / 1};
    constexpr std::chrono::sys_days end{std::chrono::year{10'000} / 1 / 1};
    const Timestamp time = fromEpochMillis(*millis);
    if (time < first || time >= end) {
        return Error{
            Errc::OutOfRange,
            u"The argument \"%1\" lies outside of the years 0 to 9999; it counts milliseconds since 1970."_s.arg(key)};
    }
    return time;
}

Result<QString> requiredText(const QCborMap &args, QLatin1StringView key)
{
    const auto text = textArgument(args, key);
    if (text && text->isEmpty())
        return Error{Errc::Malformed, u"The argument \"%1\" is missing."_s.arg(key)};
    return text;
}

Result<TimeSpan> spanArgument(const QCborMap &args, Timestamp defaultFrom, Timestamp defaultTo)
{
    const auto to = timeArgument(args, "to"_L1, defaultTo);
    if (!to)
        return to.error();
    const auto from = timeArgument(args, "from"_L1, std::min(defaultFrom, *to));
    if (!from)
        return from.error();
    if (*from > *to)
        return Error{Errc::OutOfRange, u"\"from\" lies after \"to\"; swap them."_s};
    return TimeSpan{*from, *to};
}

} // namespace lintel::answers
