#include "domain/topic.h"

#include <QList>

#include <algorithm>
#include <array>

namespace lintel {

namespace {

using namespace Qt::StringLiterals;

constexpr auto sparkplugRoot = "spBv1.0"_L1;
constexpr auto stateWord = "STATE"_L1;
constexpr auto requestRoot = "lintel/v1/req"_L1;
constexpr auto responseRoot = "lintel/v1/rsp"_L1;
constexpr qsizetype maxTopicBytes = 65'535; // MQTT 5.0 section 1.5.4
constexpr qsizetype maxNameLength = 64;

constexpr std::array verbs{"NBIRTH"_L1, "NDATA"_L1, "NDEATH"_L1, "NCMD"_L1,
                           "DBIRTH"_L1, "DDATA"_L1, "DDEATH"_L1, "DCMD"_L1};

QLatin1StringView wordOf(SparkplugVerb verb)
{
    return verbs[static_cast<size_t>(verb)];
}

bool concernsDevice(SparkplugVerb verb)
{
    return verb >= SparkplugVerb::DBirth;
}

Error malformed(QStringView topic, const QString &why)
{
    return Error{Errc::Malformed, QStringLiteral("Topic \"%1\": %2").arg(topic.left(120), why)};
}

bool isAsciiName(QStringView name, QStringView marks)
{
    return !name.isEmpty() && name.size() <= maxNameLength && std::all_of(name.begin(), name.end(), [marks](QChar c) {
        const char16_t u = c.unicode();
        return (u >= u'a' && u <= u'z') || (u >= u'A' && u <= u'Z') || (u >= u'0' && u <= u'9') || marks.contains(c);
    });
}

Result<Topic> parseState(QStringView text, QStringView hostId)
{
    if (const auto valid = validateSparkplugId(hostId); !valid)
        return malformed(text, valid.error().message);
    return Topic{StateTopic{hostId.toString()}};
}

Result<Topic> parseSparkplug(QStringView text, const QList<QStringView> &parts)
{
    if (parts.size() == 3 && parts[1] == stateWord)
        return parseState(text, parts[2]);
    if (parts.size() < 4 || parts.size() > 5)
        return malformed(
            text,
            QStringLiteral("a Sparkplug topic is spBv1.0/<group>/<verb>/<node>[/<device>] or spBv1.0/STATE/<host>."));
    const auto verb = std::find(verbs.begin(), verbs.end(), parts[2]);
    if (verb == verbs.end())
        return malformed(text, QStringLiteral("\"%1\" is not a verb of Sparkplug B.").arg(parts[2].left(32)));

    SparkplugTopic topic;
    topic.verb = static_cast<SparkplugVerb>(verb - verbs.begin());
    if (concernsDevice(topic.verb) != (parts.size() == 5))
        return malformed(text, QStringLiteral("a device stands in D-messages and only there."));
    for (const qsizetype i : {qsizetype{1}, qsizetype{3}, qsizetype{4}}) {
        if (i >= parts.size())
            break;
        if (const auto valid = validateSparkplugId(parts[i]); !valid)
            return malformed(text, valid.error().message);
    }
    topic.group = parts[1].toString();
    topic.node = parts[3].toString();
    topic.device = parts.size() == 5 ? parts[4].toString() : QString();
    return Topic{topic};
}

Result<Topic> parseCall(QStringView text, const QList<QStringView> &parts)
{
    const bool request = parts.size() == 6 && parts[2] == u"req";
    const bool response = parts.size() == 6 && parts[2] == u"rsp";
    if (parts[1] != u"v1" || (!request && !response)) {
        return malformed(
            text,
            QStringLiteral(
                "a call is lintel/v1/req/<callee>/<caller>/<method> or lintel/v1/rsp/<caller>/<callee>/<correlation>."));
    }
    const auto first = Principal::parse(parts[3]);
    if (!first)
        return malformed(text, first.error().message);
    const auto second = Principal::parse(parts[4]);
    if (!second)
        return malformed(text, second.error().message);
    if (request) {
        if (!isAsciiName(parts[5], u"_-."))
            return malformed(text, QStringLiteral("a method has 1 to 64 letters, digits, '_', '-' or '.'."));
        return Topic{RequestTopic{*first, *second, parts[5].toString()}};
    }
    if (!isAsciiName(parts[5], u"-"))
        return malformed(text, QStringLiteral("a correlation has 1 to 64 letters, digits or '-'."));
    return Topic{ResponseTopic{*first, *second, parts[5].toString()}};
}

} // namespace

Result<Topic> parseTopic(QStringView text)
{
    if (text.toUtf8().size() > maxTopicBytes)
        return malformed(text, QStringLiteral("longer than MQTT allows (65535 bytes)."));
    const QList<QStringView> parts = text.split(u'/');
    if (parts.size() > 1 && parts[0] == sparkplugRoot)
        return parseSparkplug(text, parts);
    if (parts.size() > 1 && parts[0] == u"lintel")
        return parseCall(text, parts);
    return malformed(text, QStringLiteral("Lintel speaks topics under spBv1.0/ and lintel/v1/ only."));
}

QString toString(const SparkplugTopic &topic)
{
    const QString node = sparkplugRoot + u'/' + topic.group + u'/' + wordOf(topic.verb) + u'/' + topic.node;
    return concernsDevice(topic.verb) ? node + u'/' + topic.device : node;
}

QString toString(const StateTopic &topic)
{
    return sparkplugRoot + u'/' + stateWord + u'/' + topic.hostId;
}

QString toString(const RequestTopic &topic)
{
    return requestRoot + u'/' + topic.callee.toString() + u'/' + topic.caller.toString() + u'/' + topic.method;
}

QString toString(const ResponseTopic &topic)
{
    return responseRoot + u'/' + topic.caller.toString() + u'/' + topic.callee.toString() + u'/' + topic.correlation;
}

QString toString(const Topic &topic)
{
    return std::visit([](const auto &t) { return toString(t); }, topic);
}

Result<void> validateSparkplugId(QStringView id)
{
    if (id.isEmpty())
        return Error{Errc::Malformed, QStringLiteral("A Sparkplug id must not be empty.")};
    if (id == stateWord)
        return Error{Errc::Malformed, QStringLiteral("\"STATE\" is a word of Sparkplug itself; choose another id.")};
    const bool clean = std::none_of(id.begin(), id.end(), [](QChar c) {
        return c == u'+' || c == u'#' || c == u'/' || c.category() == QChar::Other_Control;
    });
    if (!clean || !id.isValidUtf16()) {
        return Error{Errc::Malformed,
                     QStringLiteral("Sparkplug id \"%1\": '+', '#', '/' and control characters are not allowed.")
                         .arg(id.left(80))};
    }
    return {};
}

namespace filter {

QString nodeCommands(const QString &group, const QString &node)
{
    return toString(SparkplugTopic{group, SparkplugVerb::NCmd, node, {}});
}

QString deviceCommands(const QString &group, const QString &node)
{
    return toString(SparkplugTopic{group, SparkplugVerb::DCmd, node, QStringLiteral("+")});
}

QString group(const QString &group)
{
    return sparkplugRoot + u'/' + group + "/#"_L1;
}

QString everything()
{
    return sparkplugRoot + "/#"_L1;
}

QString requestsTo(const Principal &callee)
{
    return requestRoot + u'/' + callee.toString() + "/#"_L1;
}

QString responsesTo(const Principal &caller)
{
    return responseRoot + u'/' + caller.toString() + "/#"_L1;
}

} // namespace filter

} // namespace lintel
