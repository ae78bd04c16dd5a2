// Readings, points, participants and losses as they stand in the answers to capability calls of
// the gateway and the cloud: the keys are written here and nowhere else. Values only; any thread.
#pragma once

#include "domain/point.h"
#include "ports/reading_spool.h"
#include "sparkplug/host_session.h"

#include <QCborArray>
#include <QCborMap>

#include <functional>

namespace lintel::answers {

/// {value, unit, time, quality, historical}
[[nodiscard]] QCborMap reading(const Reading &reading);
/// {id, name, kind, unit, tags, brick_class, site, space, equip, stale_after_ms}
[[nodiscard]] QCborMap point(const Point &point);
[[nodiscard]] QCborArray points(const QList<Point> &points);
/// {device, group, node, online, since, store_and_forward, points}
[[nodiscard]] QCborMap participant(const sparkplug::Participant &who);
/// {device, stream, first, last, readings, from, to, reason}
[[nodiscard]] QCborMap loss(const Loss &loss);
/// What a spool lost: the latest of it, oldest first. Empty, too, when its disk cannot be read.
[[nodiscard]] QCborArray latestLosses(const ReadingSpool &spool);
/// {births: [{topic, payload}]}: what an observer hands to HostSession::learnBirth().
[[nodiscard]] QCborMap births(const QList<sparkplug::RecordedBirth> &births);
/// Those that the host took: `mayUse` says whether a node may speak as a device (or as itself).
using NameRule = std::function<bool(const sparkplug::NodeId &node, const QString &name)>;
[[nodiscard]] QList<sparkplug::RecordedBirth> accepted(const QList<sparkplug::RecordedBirth> &births,
                                                       const NameRule &mayUse);
/// {stream, head, tail, acknowledged, readings_total, readings_pending, …}
[[nodiscard]] QCborMap spool(const SpoolStatus &status);
/// {batches_set_aside, readings_set_aside, last_set_aside} of a custody intake, into `status`.
void addSetAside(QCborMap &status, quint64 batches, quint64 readings, const QString &last);
[[nodiscard]] QCborMap hostCounters(const sparkplug::HostSession::Counters &counters);

[[nodiscard]] QString qualityName(Quality quality);
/// A participant's name in batches: its Sparkplug device, or else its node.
[[nodiscard]] QString deviceName(const sparkplug::Participant &who);

/// Arguments of a call. Absent gives `fallback`; a wrong type or form is Malformed and names the key.
[[nodiscard]] Result<QString> textArgument(const QCborMap &args, QLatin1StringView key, const QString &fallback = {});
[[nodiscard]] Result<qint64> integerArgument(const QCborMap &args, QLatin1StringView key, qint64 fallback);
/// As textArgument(), but it must be there.
[[nodiscard]] Result<QString> requiredText(const QCborMap &args, QLatin1StringView key);
/// RFC 3339 text or milliseconds since 1970.
[[nodiscard]] Result<Timestamp> timeArgument(const QCborMap &args, QLatin1StringView key, Timestamp fallback);

/// The arguments "from" and "to": a stretch of time [from, to).
struct TimeSpan {
    Timestamp from;
    Timestamp to;
};
[[nodiscard]] Result<TimeSpan> spanArgument(const QCborMap &args, Timestamp defaultFrom, Timestamp defaultTo);

} // namespace lintel::answers
