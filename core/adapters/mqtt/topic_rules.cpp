#include "mqtt/topic_rules.h"

#include <QList>

namespace lintel::mqtt {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMaxTopicBytes = 65'535;

Result<void> validateLength(const QString &text, QLatin1StringView what)
{
    if (text.isEmpty())
        return Error{Errc::Malformed, u"An MQTT %1 must not be empty."_s.arg(what)};
    if (text.contains(QChar(u'\0')) || text.toUtf8().size() > kMaxTopicBytes)
        return Error{Errc::Malformed, u"An MQTT %1 has at most 65,535 bytes and no zero character."_s.arg(what)};
    return {};
}
} // namespace

Result<void> validateTopicName(const QString &topic)
{
    if (auto length = validateLength(topic, "topic"_L1); !length)
        return length;
    if (topic.contains(u'+') || topic.contains(u'#'))
        return Error{Errc::Malformed, u"The MQTT topic \"%1\" contains a wildcard; publish to one topic."_s.arg(topic)};
    return {};
}

Result<void> validateTopicFilter(const QString &filter)
{
    if (auto length = validateLength(filter, "topic filter"_L1); !length)
        return length;
    const auto levels = QStringView(filter).split(u'/');
    for (qsizetype i = 0; i < levels.size(); ++i) {
        const QStringView level = levels[i];
        const bool hash = level.contains(u'#');
        const bool alone = level.size() == 1;
        if ((hash && (!alone || i + 1 != levels.size())) || (level.contains(u'+') && !alone))
            return Error{
                Errc::Malformed,
                u"In the MQTT filter \"%1\" a wildcard does not fill its level, or # is not last."_s.arg(filter)};
    }
    return {};
}

bool matches(QStringView filter, QStringView topic)
{
    if (topic.startsWith(u'$') && (filter.startsWith(u'+') || filter.startsWith(u'#')))
        return false;
    const auto wanted = filter.split(u'/');
    const auto given = topic.split(u'/');
    for (qsizetype i = 0; i < wanted.size(); ++i) {
        if (wanted[i] == u"#")
            return true; // also matches the level above: "a/#" matches "a"
        if (i >= given.size() || (wanted[i] != u"+" && wanted[i] != given[i]))
            return false;
    }
    return wanted.size() == given.size();
}

Error subscriptionRefused(const QString &where, const QString &clientId, const QString &filter, const QString &reason)
{
    return {Errc::Denied,
            QStringLiteral("The broker at %1 does not let \"%2\" subscribe to \"%3\" (%4), so nothing of it arrives; "
                           "allow it in the broker's access rules, and it is asked for again at the next connection.")
                .arg(where, clientId, filter, reason)};
}

} // namespace lintel::mqtt
