#include "call_options.h"

#include "adapters/yaml/config_reader.h"
#include "process/command_line.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QJsonDocument>
#include <QJsonObject>
#include <QRegularExpression>

namespace lintel::cli {

using namespace Qt::StringLiterals;

namespace {

const auto kHelpCommand = u"lintelctl call --help"_s;

QList<QCommandLineOption> definitions()
{
    QList<QCommandLineOption> all{
        {{u"h"_s, u"help"_s}, u"Show this help."_s},
        {u"target"_s, u"Whom to call."_s, u"SPIFFE-ID"_s},
        {u"capability"_s, u"What to call, such as read_sensors, aggregate_sensors, query_history."_s, u"NAME"_s},
        {u"data"_s, u"Arguments: a JSON object, or @FILE."_s, u"JSON"_s},
        {u"timeout"_s, u"How long to wait for the answer (10s unless said)."_s, u"TIME"_s},
    };
    all += mqtt::brokerOptions();
    all += {
        {u"config"_s, u"YAML file with broker, broker_id and identity, for what is not on the line."_s, u"FILE"_s},
        {u"text"_s, u"Print text for people, errors to standard error."_s},
        {u"json"_s, u"Print JSON; that is so without it, too."_s},
    };
    return all;
}

Result<QByteArray> readFile(const QString &path)
{
    QFile file(path);
    if (!file.exists())
        return Error{Errc::NotFound, u"--data: there is no file \"%1\"; name one with a JSON object."_s.arg(path)};
    if (QFileInfo(path).isDir())
        return Error{Errc::Malformed, u"--data: \"%1\" is a folder; name a file with a JSON object."_s.arg(path)};
    if (!file.open(QIODevice::ReadOnly))
        return Error{Errc::Io, u"--data: \"%1\" cannot be read: %2."_s.arg(path, file.errorString())};
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

struct FileSettings {
    QString broker;
    QString brokerId;
    QString identity;
};

/// YAML, of which JSON is a part; keys and their errors as in every configuration file of Lintel.
Result<FileSettings> readConfig(const QString &path)
{
    const auto document = config::readConfigFile(path);
    if (!document)
        return document.error();
    FileSettings settings;
    config::Problems problems;
    {
        config::Section root(*document, problems);
        root.text(u"broker", settings.broker);
        root.text(u"broker_id", settings.brokerId);
        root.text(u"identity", settings.identity);
    }
    if (!problems.isEmpty())
        return problems.error();
    if (!settings.identity.isEmpty() && QFileInfo(settings.identity).isRelative())
        settings.identity = QDir::cleanPath(QFileInfo(path).absoluteDir().filePath(settings.identity));
    return settings;
}

Result<mqtt::BrokerOptions> parseBroker(const QCommandLineParser &parser)
{
    FileSettings config;
    if (parser.isSet(u"config"_s)) {
        auto read = readConfig(parser.value(u"config"_s));
        if (!read)
            return read.error();
        config = *std::move(read);
    }
    const auto setting = [&](const QString &option, const QString &inFile) -> Result<QString> {
        const QString value = parser.isSet(option) ? parser.value(option) : inFile;
        if (value.isEmpty())
            return Error{Errc::Malformed, u"--%1 is missing. See `%2`."_s.arg(option, kHelpCommand)};
        return value;
    };
    const auto address = setting(u"broker"_s, config.broker);
    if (!address)
        return address.error();
    const auto id = setting(u"broker-id"_s, config.brokerId);
    if (!id)
        return id.error();
    const auto identity = setting(u"identity"_s, config.identity);
    if (!identity)
        return identity.error();
    mqtt::BrokerOptions options;
    if (const auto read = mqtt::readBroker(*address, *id, *identity, options); !read)
        return read.error();
    return options;
}

} // namespace

Result<Millis> parseDuration(const QString &text)
{
    static const QRegularExpression pattern(u"^([0-9]{1,9})(ms|s|m|h|d)?$"_s);
    const auto match = pattern.match(text);
    if (!match.hasMatch())
        return Error{Errc::Malformed,
                     u"\"%1\" is not a time; say for example 10s, with one of the units ms, s, m, h, d."_s.arg(text)};
    const qint64 number = match.captured(1).toLongLong();
    const QString unit = match.captured(2);
    const qint64 factor = unit == u"ms"  ? 1
                          : unit == u"m" ? 60'000
                          : unit == u"h" ? 3'600'000
                          : unit == u"d" ? 86'400'000
                                         : 1'000;
    return Millis{number * factor};
}

Result<CallOptions> parseCallOptions(const QStringList &arguments)
{
    QCommandLineParser parser;
    if (const auto parsed = parseArguments(parser, definitions(), arguments, kHelpCommand); !parsed)
        return parsed.error();
    CallOptions options;
    options.help = parser.isSet(u"help"_s);
    options.text = parser.isSet(u"text"_s);
    if (options.help)
        return options;
    if (options.text && parser.isSet(u"json"_s))
        return Error{Errc::Malformed, u"--json and --text contradict each other; name one of them."_s};
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
        if (*timeout <= Millis{0})
            return Error{Errc::OutOfRange, u"--timeout %1: say how long to wait for the answer, for example 10s."_s.arg(
                                               parser.value(u"timeout"_s))};
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
                   "Calls a capability of an agent over MQTT and prints its answer as JSON. An error is JSON, too:\n"
                   "{\"error\": {\"code\": \"denied\", \"message\": \"...\"}}.\n\nOptions:\n"_s;
    help += optionLines(definitions(), 26);
    help += u"\nExample:\n"
            "  lintelctl call --target spiffe://building-1.smart.local/agent/gateway \\\n"
            "      --capability aggregate_sensors --timeout 5s \\\n"
            "      --broker 127.0.0.1:8883 --broker-id spiffe://building-1.smart.local/broker \\\n"
            "      --identity /etc/lintel/identity\n\n"
            "The file of --config:\n"
            "  broker: 127.0.0.1:8883\n"
            "  broker_id: spiffe://building-1.smart.local/broker\n"
            "  identity: /etc/lintel/identity # when relative, then to the file\n\n"
            "A client of a broker has one connection for each identity: a call with the identity of a\n"
            "console that is running takes that console's connection for a moment.\n\n"
            "Exit codes: 0 answered, 1 the callee answered with an error, 2 wrong options, 3 no answer in\n"
            "time (also when the callee is not connected to this broker), 4 no connection or no identity.\n"_s;
    return help;
}

} // namespace lintel::cli
