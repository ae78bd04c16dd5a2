#include "call_options.h"

#include <QCommandLineParser>
#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <QRegularExpression>

namespace lintel::cli {

using namespace Qt::StringLiterals;

namespace {

constexpr quint16 kMqttTlsPort = 8883;

QList<QCommandLineOption> definitions()
{
    return {
        {{u"h"_s, u"help"_s}, u"Show this help."_s},
        {u"target"_s, u"Whom to call."_s, u"SPIFFE-ID"_s},
        {u"capability"_s, u"What to call, such as read_sensors, aggregate_sensors, query_history."_s, u"NAME"_s},
        {u"data"_s, u"Arguments: a JSON object, or @FILE."_s, u"JSON"_s},
        {u"timeout"_s, u"How long to wait for the answer (10s unless said)."_s, u"TIME"_s},
        {u"broker"_s, u"The MQTT broker (port 8883 unless said)."_s, u"HOST:PORT"_s},
        {u"broker-id"_s, u"Who that broker must be."_s, u"SPIFFE-ID"_s},
        {u"identity"_s, u"Folder with the caller's certificate, key and trust bundles."_s, u"DIR"_s},
        {u"config"_s, u"JSON file with broker, broker_id and identity, for what is not on the line."_s, u"FILE"_s},
        {u"json"_s, u"Print JSON (otherwise text for people)."_s},
    };
}

Result<QByteArray> readFile(const QString &path)
{
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly))
        return Error{Errc::NotFound, u"\"%1\" cannot be read: %2."_s.arg(path, file.errorString())};
    return file.readAll();
}

Result<QJsonObject> parseObject(const QByteArray &bytes, const QString &what)
{
    QJsonParseError problem;
    const QJsonDocument document = QJsonDocument::fromJson(bytes, &problem);
    if (problem.error != QJsonParseError::NoError)
        return Error{Errc::Malformed,
                     u"%1 is not JSON (%2 at character %3)."_s.arg(what, problem.errorString()).arg(problem.offset)};
    if (!document.isObject())
        return Error{Errc::Malformed, u"%1 must be a JSON object such as {\"point\": \"air_temp\"}."_s.arg(what)};
    return document.object();
}

Result<QCborMap> parseData(const QString &text)
{
    if (text.isEmpty())
        return QCborMap{};
    QByteArray bytes = text.toUtf8();
    if (text.startsWith(u'@')) {
        const auto file = readFile(text.sliced(1));
        if (!file)
            return file.error();
        bytes = *file;
    }
    const auto object = parseObject(bytes, u"--data"_s);
    if (!object)
        return object.error();
    return QCborMap::fromJsonObject(*object);
}

Result<BrokerOptions> parseBroker(const QCommandLineParser &parser)
{
    QJsonObject config;
    if (parser.isSet(u"config"_s)) {
        const auto bytes = readFile(parser.value(u"config"_s));
        if (!bytes)
            return bytes.error();
        const auto object = parseObject(*bytes, parser.value(u"config"_s));
        if (!object)
            return object.error();
        config = *object;
    }
    const auto setting = [&](const QString &option, const QString &key) -> Result<QString> {
        const QString value = parser.isSet(option) ? parser.value(option) : config.value(key).toString();
        if (value.isEmpty())
            return Error{Errc::Malformed, u"--%1 is missing. See `lintelctl call --help`."_s.arg(option)};
        return value;
    };
    const auto address = setting(u"broker"_s, u"broker"_s);
    if (!address)
        return address.error();
    const auto hostPort = parseHostPort(*address);
    if (!hostPort)
        return hostPort.error();
    const auto id = setting(u"broker-id"_s, u"broker_id"_s);
    if (!id)
        return id.error();
    const auto brokerId = SpiffeId::parse(*id);
    if (!brokerId)
        return brokerId.error();
    const auto identity = setting(u"identity"_s, u"identity"_s);
    if (!identity)
        return identity.error();
    return BrokerOptions{hostPort->first, hostPort->second, *brokerId, *identity};
}

} // namespace

Result<Millis> parseDuration(const QString &text)
{
    static const QRegularExpression pattern(u"^([0-9]{1,9})(ms|s|m|h)?$"_s);
    const auto match = pattern.match(text);
    if (!match.hasMatch())
        return Error{Errc::Malformed, u"\"%1\" is not a time; say for example 500ms, 10s or 2m."_s.arg(text)};
    const qint64 number = match.captured(1).toLongLong();
    const QString unit = match.captured(2);
    const qint64 factor = unit == u"ms" ? 1 : unit == u"m" ? 60'000 : unit == u"h" ? 3'600'000 : 1'000;
    return Millis{number * factor};
}

Result<std::pair<QString, quint16>> parseHostPort(const QString &text)
{
    static const QRegularExpression pattern(u"^(?:\\[([0-9A-Fa-f:.%]+)\\]|([^:\\[\\]\\s/]+))(?::([0-9]{1,5}))?$"_s);
    const auto match = pattern.match(text);
    const QString host = match.captured(1).isEmpty() ? match.captured(2) : match.captured(1);
    const uint port = match.captured(3).isEmpty() ? kMqttTlsPort : match.captured(3).toUInt();
    if (!match.hasMatch() || port == 0 || port > 65535)
        return Error{Errc::Malformed, u"\"%1\" is not HOST:PORT."_s.arg(text)};
    return std::pair{host, quint16(port)};
}

Result<CallOptions> parseCallOptions(const QStringList &arguments)
{
    QCommandLineParser parser;
    parser.addOptions(definitions());
    if (!parser.parse(QStringList{u"call"_s} + arguments))
        return Error{Errc::Malformed, parser.errorText() + u" See `lintelctl call --help`."_s};
    CallOptions options;
    options.help = parser.isSet(u"help"_s);
    options.json = parser.isSet(u"json"_s);
    if (options.help)
        return options;
    if (!parser.positionalArguments().isEmpty())
        return Error{Errc::Malformed, u"\"%1\" is not an option. See `lintelctl call --help`."_s.arg(
                                          parser.positionalArguments().first())};

    if (!parser.isSet(u"target"_s) || !parser.isSet(u"capability"_s))
        return Error{Errc::Malformed, u"A call needs --target and --capability. See `lintelctl call --help`."_s};
    const auto target = SpiffeId::parse(parser.value(u"target"_s));
    if (!target)
        return target.error();
    options.target = Principal(*target);
    options.method = parser.value(u"capability"_s);
    static const QRegularExpression name(u"^[A-Za-z0-9_-]{1,64}$"_s);
    if (!name.match(options.method).hasMatch())
        return Error{Errc::Malformed,
                     u"\"%1\" cannot be a capability's name: letters, digits, '_' and '-' only."_s.arg(options.method)};
    auto data = parseData(parser.value(u"data"_s));
    if (!data)
        return data.error();
    options.args = *std::move(data);
    if (parser.isSet(u"timeout"_s)) {
        const auto timeout = parseDuration(parser.value(u"timeout"_s));
        if (!timeout)
            return timeout.error();
        options.timeout = *timeout;
    }
    auto broker = parseBroker(parser);
    if (!broker)
        return broker.error();
    options.broker = *std::move(broker);
    return options;
}

QString callHelp()
{
    QString help = u"Usage: lintelctl call --target SPIFFE-ID --capability NAME [--data JSON] [options]\n"
                   "Calls a capability of an agent over MQTT and prints its answer.\n\nOptions:\n"_s;
    for (const QCommandLineOption &option : definitions()) {
        QString name = u"  --"_s + option.names().constLast();
        if (!option.valueName().isEmpty())
            name += u' ' + option.valueName();
        help += name.leftJustified(26) + u' ' + option.description() + u'\n';
    }
    help += u"\nExample:\n"
            "  lintelctl call --target spiffe://building-1.smart.local/agent/gateway \\\n"
            "      --capability aggregate_sensors --timeout 5s --json \\\n"
            "      --broker 127.0.0.1:8883 --broker-id spiffe://building-1.smart.local/broker \\\n"
            "      --identity /etc/lintel/identity\n\n"
            "A client of a broker has one connection for each identity: a call with the identity of a\n"
            "console that is running takes that console's connection for a moment.\n\n"
            "Exit codes: 0 answered, 1 the callee answered with an error, 2 wrong options, 3 no answer in\n"
            "time, 4 no connection to the broker or no identity.\n"_s;
    return help;
}

} // namespace lintel::cli
