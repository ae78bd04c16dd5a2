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
    constexpr qint64 kNone = -1; // neither a number nor a whole one, nor one that fits
    const qint64 ms = timestamp.toInteger(kNone);
    if (!online.isBool() || ms < 0) {
        return Error{Errc::Malformed,
                     QStringLiteral("A STATE message is not a JSON object with \"online\" and a whole \"timestamp\"; "
                                    "the host should speak Sparkplug B 3.0.")};
    }
    return HostState{online.toBool(), fromEpochMillis(ms)};
}

} // namespace lintel::sparkplug
