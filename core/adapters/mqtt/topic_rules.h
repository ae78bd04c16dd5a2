// What MQTT itself says about topic names and filters (MQTT 5.0 section 4.7), which every adapter
// checks before a broker would end the connection over it. Lintel's own topics are typed in
// domain/topic.h. Pure functions; any thread.
#pragma once

#include "domain/result.h"

#include <QString>
#include <QStringView>

namespace lintel::mqtt {

/// A name to publish to: 1 to 65,535 bytes of UTF-8 without '+', '#' and U+0000, else Malformed.
[[nodiscard]] Result<void> validateTopicName(const QString &topic);
/// A filter to subscribe with: '+' fills a whole level, '#' a whole last one, else Malformed.
[[nodiscard]] Result<void> validateTopicFilter(const QString &filter);
/// Section 4.7.1; a wildcard in the first level does not match a topic that begins with '$'.
[[nodiscard]] bool matches(QStringView filter, QStringView topic);

/// What every adapter says when the broker refuses a subscription; `where` is host:port.
[[nodiscard]] Error subscriptionRefused(const QString &where, const QString &clientId, const QString &filter,
                                        const QString &reason);

} // namespace lintel::mqtt
