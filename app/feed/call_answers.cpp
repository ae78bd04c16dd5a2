// SPDX-License-Identifier: GPL-3.0-only
#include "feed/call_answers.h"

#include "domain/ek_hash.h"
#include "domain/qt_cbor.h"

#include <QCborArray>

#include <algorithm>
#include <array>
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
QString lastValues()
{
    return u"last_values"_s;
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

std::optional<Value> valueOf(const QCborValue &value)
{
    if (value.isBool())
        return Value(value.toBool());
    if (value.isInteger())
        return Value(value.toInteger());
    if (value.isDouble())
        return Value(value.toDouble());
    if (value.isString())
        return Value(value.toString());
    return std::nullopt;
}

Unit unitOf(const QCborValue &value)
{
    const auto unit = unitFromCode(value.toString());
    return unit ? *unit : Unit::None;
}

Quality qualityFrom(const QString &name)
{
    if (name == "good"_L1)
        return Quality::Good;
    return name == "stale"_L1 ? Quality::Stale : Quality::Bad;
}

Kind kindFrom(const QString &name)
{
    if (name == "integer"_L1)
        return Kind::Integer;
    if (name == "bool"_L1)
        return Kind::Bool;
    return name == "text"_L1 ? Kind::Text : Kind::Number;
}

QList<Point> pointsFrom(const QCborArray &array)
{
    QList<Point> points;
    for (const auto &entry : array) {
        const QCborMap map = entry.toMap();
        Point point;
        point.id = map.value("id"_L1).toString();
        point.name = map.value("name"_L1).toString(point.id);
        point.kind = kindFrom(map.value("kind"_L1).toString());
        point.unit = unitOf(map.value("unit"_L1));
        for (const auto &tag : map.value("tags"_L1).toArray())
            point.tags.append(tag.toString());
        point.brickClass = map.value("brick_class"_L1).toString();
        point.siteRef = map.value("site"_L1).toString();
        point.spaceRef = map.value("space"_L1).toString();
        point.equipRef = map.value("equip"_L1).toString();
        if (const qint64 stale = wholeNumber(map.value("stale_after_ms"_L1)); stale > 0)
            point.staleAfter = Millis{stale};
        const bool isTwin = std::ranges::any_of(points, [&point](const Point &known) { return known.id == point.id; });
        if (!point.id.isEmpty() && !isTwin)
            points.append(point);
    }
    return points;
}

/// The words of agents for their own identity, and those of a broker's guard for whom it refuses.
std::optional<DeviceIdentity::State> identityState(const QString &word)
{
    using enum DeviceIdentity::State;
    struct Word {
        QLatin1StringView word;
        DeviceIdentity::State state;
    };
    static constexpr std::array kWords{
        Word{"valid"_L1, Valid},
        Word{"overdue"_L1, Overdue},
        Word{"expired"_L1, Expired},
        Word{"revoked"_L1, Revoked},
        Word{"denied"_L1, Revoked},
        Word{"waiting"_L1, NotAdmitted},
        Word{"pending"_L1, NotAdmitted},
        Word{"not_admitted"_L1, NotAdmitted},
        Word{"no_role"_L1, NotAdmitted},
        Word{"refused"_L1, Refused},
        Word{"no_certificate"_L1, Refused},
        Word{"bad_certificate"_L1, Refused},
        Word{"foreign_domain"_L1, Refused},
        Word{"not_trusted"_L1, Refused},
        Word{"client_id"_L1, Refused},
    };
    const auto found = std::ranges::find(kWords, word, &Word::word);
    return found == kWords.end() ? std::nullopt : std::optional(found->state);
}

QString shortText(const QCborValue &value)
{
    constexpr qsizetype kMostText = 600;
    return value.toString().left(kMostText).simplified();
}

quint64 countOf(const QCborValue &value)
{
    return quint64(std::max<qint64>(0, wholeNumber(value)));
}

std::optional<DeviceIdentity> identityFrom(const QCborMap &map)
{
    const auto state = identityState(map.value("state"_L1).toString());
    if (!state)
        return std::nullopt;
    return DeviceIdentity{*state, map.value("sentence"_L1).toString().simplified(), timeOf(map.value("since"_L1))};
}

} // namespace

QList<ToldIdentity> identitiesFrom(const QCborMap &status, Timestamp now)
{
    QList<ToldIdentity> told;
    for (const auto &entry : status.value("refused"_L1).toArray()) {
        const QCborMap map = entry.toMap();
        const QString device = map.value("device"_L1).toString();
        if (const auto identity = identityFrom(map); identity && !device.isEmpty())
            told.append({map.value("group"_L1).toString(), device, *identity});
    }
    const QCborMap seen = status.value("agent_identities"_L1).toMap();
    for (auto it = seen.cbegin(); it != seen.cend(); ++it) {
        const QString device = it.key().toString();
        const QCborMap facts = it.value().toMap();
        const auto expires = timeOf(facts.value("expires"_L1));
        const bool isConnected = facts.value("connected"_L1).toBool();
        // Who refuses a device knows more than who has seen it.
        const bool isRefused = std::ranges::any_of(told, [&](const ToldIdentity &one) { return one.device == device; });
        if (device.isEmpty() || !expires || isRefused)
            continue;
        if (isConnected && *expires > now)
            told.append({{}, device, {DeviceIdentity::State::Valid, {}, std::nullopt}});
        else if (!isConnected && *expires <= now)
            told.append({{}, device, {DeviceIdentity::State::Expired, {}, expires}});
    }
    return told;
}

std::optional<BuildingTrust> trustFrom(const QCborMap &status, const QString &gateway, Timestamp now)
{
    const QCborValue identity = status.value("identity"_L1);
    if (!identity.isMap())
        return std::nullopt;
    const QCborMap map = identity.toMap();
    BuildingTrust trust{gateway, now, std::nullopt, map.value("runway_limited_by"_L1).toString(), {}};
    if (const qint64 left = wholeNumber(map.value("runway_ms"_L1), -1); left >= 0)
        trust.runway = std::chrono::floor<std::chrono::seconds>(Millis{left});
    return trust;
}

std::optional<DeviceIdentity> ownIdentityFrom(const QCborMap &status)
{
    return identityFrom(status.value("identity"_L1).toMap());
}

QString siteFrom(const QCborMap &status)
{
    return shortText(status.value("site"_L1));
}

std::optional<Admission> admissionFrom(const QCborMap &status, const QString &gateway)
{
    const QCborValue waiting = status.value("waiting"_L1);
    const QCborValue refused = status.value("refused_certificates"_L1);
    if (!waiting.isMap() && !refused.isArray())
        return std::nullopt;
    Admission admission;
    admission.gateway = gateway;
    admission.site = siteFrom(status);
    admission.tellsOfWaiting = waiting.isMap();
    admission.tellsOfRefused = refused.isArray();
    const QCborMap queue = waiting.toMap();
    admission.waitingAsOf = timeOf(queue.value("as_of"_L1));
    admission.waitingProblem = shortText(queue.value("problem"_L1));
    for (const auto &entry : queue.value("devices"_L1).toArray()) {
        const QCborMap map = entry.toMap();
        const QString hash = map.value("ek_hash"_L1).toString();
        if (!isEkHash(hash) || admission.waiting.size() >= kMostListed)
            continue;
        admission.waiting.append({hash, shortText(map.value("maker"_L1)), timeOf(map.value("first_seen"_L1)),
                                  timeOf(map.value("last_seen"_L1)), shortText(map.value("address"_L1)),
                                  countOf(map.value("attempts"_L1))});
    }
    admission.waitingTotal = std::max(countOf(queue.value("total"_L1)), quint64(admission.waiting.size()));
    for (const auto &entry : refused.toArray()) {
        const QCborMap map = entry.toMap();
        const QString who = shortText(map.value("who"_L1));
        if (who.isEmpty() || admission.refused.size() >= kMostListed)
            continue;
        admission.refused.append({who, map.value("proved"_L1).toBool(), shortText(map.value("from"_L1)),
                                  shortText(map.value("sentence"_L1)), timeOf(map.value("first"_L1)),
                                  timeOf(map.value("last"_L1)), countOf(map.value("count"_L1))});
    }
    return admission;
}

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
        listed.points = pointsFrom(map.value("points"_L1).toArray());
        listed.identity = identityFrom(map.value("identity"_L1).toMap());
        if (!name.isEmpty() && !listed.node.group.isEmpty() && !listed.node.node.isEmpty())
            devices.append(listed);
    }
    return devices;
}

QList<ListedValue> valuesFrom(const QCborMap &answer)
{
    QList<ListedValue> values;
    for (const auto &entry : answer.value("values"_L1).toArray()) {
        const QCborMap map = entry.toMap();
        const auto value = valueOf(map.value("value"_L1));
        const auto time = timeOf(map.value("time"_L1));
        const ListedValue listed{map.value("group"_L1).toString(), map.value("device"_L1).toString(),
                                 Reading{map.value("point"_L1).toString(), value.value_or(Value()),
                                         unitOf(map.value("unit"_L1)), time.value_or(Timestamp{}),
                                         qualityFrom(map.value("quality"_L1).toString()),
                                         map.value("historical"_L1).toBool()}};
        if (value && time && !listed.device.isEmpty() && !listed.reading.point.isEmpty())
            values.append(listed);
    }
    return values;
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
        else if ((value.isDouble() || value.isInteger()) && std::isfinite(value.toDouble()))
            samples.push_back({toEpochMillis(*time), value.toDouble(), 0, reading.value("historical"_L1).toBool()});
    }
    const quint32 span = quint32(question.bucketSeconds()) * 1'000;
    for (const auto &entry : answer.value("buckets"_L1).toArray()) {
        const QCborMap bucket = entry.toMap();
        const auto start = timeOf(bucket.value("start"_L1));
        if (!start || span == 0 || wholeNumber(bucket.value("count"_L1)) == 0)
            continue;
        const double low = bucket.value("min"_L1).toDouble();
        const double high = bucket.value("max"_L1).toDouble();
        const qint64 at = toEpochMillis(*start);
        const bool late = wholeNumber(bucket.value("historical"_L1)) > 0;
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
    const qint64 pending = wholeNumber(spool.value("readings_pending"_L1), -1);
    if (pending >= 0)
        state.pendingReadings = quint64(pending);
    state.oldestUnsent = timeOf(spool.value("oldest_pending"_L1));

    const qint64 used = wholeNumber(spool.value("used_bytes"_L1), -1);
    const qint64 size = wholeNumber(spool.value("max_bytes"_L1), -1);
    const qint64 written = wholeNumber(spool.value("written_bytes"_L1), -1);
    if (written >= 0)
        note({now, written});
    if (used < 0 || size <= 0)
        return state;
    // A full buffer has no runway, whatever the rate: also a spool that takes nothing more writes nothing.
    if (used >= size)
        state.bufferRunway = Millis{0};
    else if (const auto bytes = rate())
        state.bufferRunway = Millis(qint64(std::min(double(size - used) / *bytes, kLongest)));
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
