#include "sparkplug/state_message.h"

#include <QJsonDocument>
#include <QJsonObject>

namespace lintel::sparkplug {
namespace {

constexpr QLatin1StringView kOnline("online");
constexpr QLatin1StringView kTimestamp("timestamp");

} // namespace

QByteArray encodeState(const HostState &state)
{
    const QJsonObject object{{kOnline, state.online}, {kTimestamp, toEpochMillis(state.timestamp)}};
    return QJsonDocument(object).toJson(QJsonDocument::Compact);
}

Result<HostState> decodeState(const QByteArray &json)
{
    const QJsonObject object = QJsonDocument::fromJson(json).object();
    const QJsonValue online = object.value(kOnline);
    const QJsonValue timestamp = object.value(kTimestamp);
    if (!online.isBool() || !timestamp.isDouble()) {
        return Error{Errc::Malformed,
                     QStringLiteral("A STATE message is not a JSON object with \"online\" and \"timestamp\"; "
                                    "the host should speak Sparkplug B 3.0.")};
    }
    return HostState{online.toBool(), fromEpochMillis(timestamp.toInteger())};
}

} // namespace lintel::sparkplug
