// Every MQTT topic that Lintel speaks, as types. A topic that parses prints back to itself.
// Sparkplug B 3.0 section 4 (topics) and docs/architecture.md (capability calls).
// Values only; any thread.
#pragma once

#include "domain/principal.h"

#include <QString>
#include <QStringView>

#include <variant>

namespace lintel {

enum class SparkplugVerb { NBirth, NData, NDeath, NCmd, DBirth, DData, DDeath, DCmd };

/// spBv1.0/<group>/<verb>/<node>[/<device>]; a device stands in D-messages and only there.
struct SparkplugTopic {
    QString group;
    SparkplugVerb verb = SparkplugVerb::NData;
    QString node;
    QString device;

    friend bool operator==(const SparkplugTopic &, const SparkplugTopic &) = default;
};

/// spBv1.0/STATE/<host id>
struct StateTopic {
    QString hostId;

    friend bool operator==(const StateTopic &, const StateTopic &) = default;
};

/// lintel/v1/req/<callee>/<caller>/<method>
struct RequestTopic {
    Principal callee;
    Principal caller;
    QString method;

    friend bool operator==(const RequestTopic &, const RequestTopic &) = default;
};

/// lintel/v1/rsp/<caller>/<callee>/<correlation>
struct ResponseTopic {
    Principal caller;
    Principal callee;
    QString correlation;

    friend bool operator==(const ResponseTopic &, const ResponseTopic &) = default;
};

using Topic = std::variant<SparkplugTopic, StateTopic, RequestTopic, ResponseTopic>;

/// Refuses wildcards, empty segments, unknown verbs and whatever stands outside of the table.
[[nodiscard]] Result<Topic> parseTopic(QStringView text);

[[nodiscard]] QString toString(const SparkplugTopic &topic);
[[nodiscard]] QString toString(const StateTopic &topic);
[[nodiscard]] QString toString(const RequestTopic &topic);
[[nodiscard]] QString toString(const ResponseTopic &topic);
[[nodiscard]] QString toString(const Topic &topic);

/// A group, node, device or host id: not empty, no '+', '#', '/', no control characters, and not
/// one of Sparkplug's own words ("STATE").
[[nodiscard]] Result<void> validateSparkplugId(QStringView id);

/// Subscription filters, each built here and nowhere else.
namespace filter {
[[nodiscard]] QString nodeCommands(const QString &group, const QString &node);   // spBv1.0/G/NCMD/N
[[nodiscard]] QString deviceCommands(const QString &group, const QString &node); // spBv1.0/G/DCMD/N/+
[[nodiscard]] QString group(const QString &group);                               // spBv1.0/G/#
[[nodiscard]] QString everything();                                              // spBv1.0/#
[[nodiscard]] QString requestsTo(const Principal &callee);                       // lintel/v1/req/P/#
[[nodiscard]] QString responsesTo(const Principal &caller);                      // lintel/v1/rsp/P/#
} // namespace filter

} // namespace lintel
