// MQTT topic names and filters as bytes (MQTT 5.0 section 4.7), for the broker's hot path: whether
// a filter matches a topic, and whether one filter lies wholly inside another. Pure functions; any
// thread; nothing is allocated.
#pragma once

#include <string_view>

namespace lintel::broker {

/// A topic that a client may name in a message: 1 to 65,535 bytes, no wildcard, no empty level, no
/// zero byte, and not one of the broker's own, which begin with '$'.
[[nodiscard]] bool isTopicName(std::string_view topic);
/// '+' fills a whole level, '#' a whole last one. Shared subscriptions ($share), $SYS, $CONTROL
/// and whatever else begins with '$' are no filters here, nor are filters with empty levels.
[[nodiscard]] bool isTopicFilter(std::string_view filter);

/// Section 4.7.1; "a/#" matches "a" too. Both must have passed the checks above.
[[nodiscard]] bool matches(std::string_view filter, std::string_view topic);
/// Whether `allowed` matches every topic that `wanted` matches.
[[nodiscard]] bool covers(std::string_view allowed, std::string_view wanted);

} // namespace lintel::broker
