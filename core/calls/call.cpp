#include "calls/call.h"

#include <QCborError>
#include <QCborValue>

#include <algorithm>
#include <array>

namespace lintel {

namespace {

using namespace Qt::StringLiterals;

namespace key {
constexpr auto correlation = "corr"_L1;
constexpr auto expires = "expires"_L1;
constexpr auto args = "args"_L1;
constexpr auto status = "status"_L1;
constexpr auto data = "data"_L1;
constexpr auto error = "error"_L1;
constexpr auto code = "code"_L1;
constexpr auto message = "message"_L1;
} // namespace key

constexpr auto completed = "completed"_L1;
constexpr auto failed = "failed"_L1;
constexpr qsizetype maxCorrelationLength = 64;

struct ErrcName {
    Errc code;
    QLatin1StringView name;
};
constexpr std::array errcNames{
    ErrcName{Errc::Malformed, "malformed"_L1},
    ErrcName{Errc::OutOfRange, "out_of_range"_L1},
    ErrcName{Errc::NotFound, "not_found"_L1},
    ErrcName{Errc::Denied, "denied"_L1},
    ErrcName{Errc::Unavailable, "unavailable"_L1},
    ErrcName{Errc::Full, "full"_L1},
    ErrcName{Errc::Conflict, "conflict"_L1},
    ErrcName{Errc::Timeout, "timeout"_L1},
    ErrcName{Errc::Io, "io"_L1},
    ErrcName{Errc::Unsupported, "unsupported"_L1},
};

Error malformed(const QString &why)
{
    return Error{Errc::Malformed, why};
}

bool isCorrelation(const QCborValue &value)
{
    const QString text = value.toString();
    return !text.isEmpty() && text.size() <= maxCorrelationLength && std::all_of(text.begin(), text.end(), [](QChar c) {
        const char16_t u = c.unicode();
        return (u >= u'a' && u <= u'z') || (u >= u'A' && u <= u'Z') || (u >= u'0' && u <= u'9') || u == u'-';
    });
}

/// One CBOR map and nothing behind it.
Result<QCborMap> parseMap(QByteArrayView bytes)
{
    if (bytes.size() > maxCallBytes)
        return malformed(
            QStringLiteral("The message has %1 bytes; at most %2 are accepted.").arg(bytes.size()).arg(maxCallBytes));
    QCborParserError error;
    const QCborValue value = QCborValue::fromCbor(bytes.data(), bytes.size(), &error);
    if (error.error != QCborError::NoError)
        return malformed(QStringLiteral("The message is not CBOR: %1.").arg(error.errorString()));
    if (error.offset != bytes.size())
        return malformed(QStringLiteral("The message goes on after its end."));
    if (!value.isMap())
        return malformed(QStringLiteral("The message is not a CBOR map."));
    return value.toMap();
}

Result<QCborMap> parseEnvelope(QByteArrayView bytes)
{
    auto map = parseMap(bytes);
    if (map && !isCorrelation(map->value(key::correlation)))
        return malformed(QStringLiteral("\"corr\" must have 1 to 64 letters, digits or '-'."));
    return map;
}

Error errorFromWire(const QCborMap &error)
{
    const QString code = error.value(key::code).toString();
    const QString message = error.value(key::message).toString();
    if (const auto known = errcFromWireName(code))
        return Error{*known, message};
    return Error{Errc::Unsupported,
                 QStringLiteral("%1 (code \"%2\", which this program does not know)").arg(message, code.left(64))};
}

} // namespace

QByteArray encode(const CallRequest &request)
{
    QCborMap map;
    map.insert(key::correlation, request.correlation);
    map.insert(key::expires, toEpochMillis(request.expires));
    map.insert(key::args, request.args);
    return map.toCborValue().toCbor();
}

Result<CallRequest> decodeCallRequest(QByteArrayView bytes)
{
    const auto map = parseEnvelope(bytes);
    if (!map)
        return map.error();
    const QCborValue expires = map->value(key::expires);
    if (!expires.isInteger())
        return malformed(QStringLiteral("\"expires\" must be a time in milliseconds since 1970."));
    const QCborValue args = map->value(key::args);
    if (!args.isMap())
        return malformed(QStringLiteral("\"args\" must be a map."));
    return CallRequest{map->value(key::correlation).toString(), fromEpochMillis(expires.toInteger()), args.toMap()};
}

QByteArray encode(const CallResponse &response)
{
    QCborMap map;
    map.insert(key::correlation, response.correlation);
    map.insert(key::status, response.outcome ? completed : failed);
    if (response.outcome) {
        map.insert(key::data, *response.outcome);
    } else {
        QCborMap error;
        error.insert(key::code, wireName(response.outcome.error().code));
        error.insert(key::message, response.outcome.error().message);
        map.insert(key::error, error);
    }
    return map.toCborValue().toCbor();
}

Result<CallResponse> decodeCallResponse(QByteArrayView bytes)
{
    const auto map = parseEnvelope(bytes);
    if (!map)
        return map.error();
    const QString correlation = map->value(key::correlation).toString();
    const QString status = map->value(key::status).toString();
    if (status == completed) {
        const QCborValue data = map->value(key::data);
        if (!data.isMap())
            return malformed(QStringLiteral("\"data\" must be a map."));
        return CallResponse{correlation, data.toMap()};
    }
    if (status == failed) {
        const QCborValue error = map->value(key::error);
        if (!error.isMap())
            return malformed(QStringLiteral("\"error\" must be a map with \"code\" and \"message\"."));
        return CallResponse{correlation, errorFromWire(error.toMap())};
    }
    return malformed(QStringLiteral("\"status\" must be \"completed\" or \"failed\"."));
}

std::optional<QString> correlationOf(QByteArrayView bytes)
{
    const auto map = parseEnvelope(bytes);
    if (!map)
        return std::nullopt;
    return map->value(key::correlation).toString();
}

QString wireName(Errc code)
{
    for (const ErrcName &entry : errcNames) {
        if (entry.code == code)
            return entry.name;
    }
    return "unsupported"_L1;
}

std::optional<Errc> errcFromWireName(QStringView name)
{
    for (const ErrcName &entry : errcNames) {
        if (name == entry.name)
            return entry.code;
    }
    return std::nullopt;
}

} // namespace lintel
