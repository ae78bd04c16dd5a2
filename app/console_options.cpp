// SPDX-License-Identifier: GPL-3.0-only
#include "console_options.h"

#include "adapters/process/command_line.h"
#include "adapters/yaml/common_config.h"

#include <QDir>
#include <QFileInfo>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

QList<QCommandLineOption> allOptions()
{
    QList<QCommandLineOption> all{{u"config"_s, u"Configuration file (YAML)."_s, u"FILE"_s}};
    all += mqtt::brokerOptions();
    all += {
        {u"id"_s, u"SPIFFE ID of the operator; default: the one in the identity."_s, u"SPIFFE-ID"_s},
        {u"host-principal"_s, u"Gateway or cloud to ask for births, history and status."_s, u"SPIFFE-ID"_s},
        {u"gateway-principal"_s,
         u"Gateway whose buffer the trust strip shows, when the host is the cloud; those of other sites may follow, for the Trust page."_s,
         u"SPIFFE-ID"_s},
        {u"site"_s, u"Site to show; may be given more than once. Default: all."_s, u"ID"_s},
        {u"offline"_s, u"Show an example building; no connection is made."_s},
        {u"theme"_s, u"light, dark or system."_s, u"THEME"_s},
        {u"units"_s, u"Units to show values in: as-reported, metric or us. Default: what was chosen last."_s,
         u"UNITS"_s},
        {u"page"_s, u"Page to open: live, devices or trust."_s, u"PAGE"_s},
        {u"window"_s, u"Time window of the Live page in minutes: 1, 5, 15, 60, 480 or 1440."_s, u"MINUTES"_s},
        {u"size"_s, u"Size of the window, for example 1440x900."_s, u"WxH"_s},
        {u"headless"_s, u"No window: for --screenshot and --report on a machine without a display."_s},
        {u"screenshot"_s, u"Write the window as PNG after --after, or when asked to stop."_s, u"FILE"_s},
        {u"after"_s, u"Seconds until the screenshot is taken; the console ends then."_s, u"SECONDS"_s},
        {u"exit-after"_s, u"Seconds until the console ends."_s, u"SECONDS"_s},
        {u"report"_s, u"At the end, write what was seen as one JSON line; - is standard output."_s, u"FILE"_s},
        {{u"h"_s, u"help"_s}, u"Show this help."_s},
        {{u"v"_s, u"version"_s}, u"Show the version."_s},
    };
    return all;
}

Error malformed(const QString &sentence)
{
    return {Errc::Malformed, sentence};
}

/// Before what else may be wrong: the keys of another provider are of no use here.
Result<void> checkProvider(const QString &path, IdentityConfig::Provider provider)
{
    using Provider = IdentityConfig::Provider;
    if (provider == Provider::Files)
        return {};
    return malformed(
        u"%1: identity.provider \"%2\" is not for the console, which takes its identity from a folder; set it to \"files\" and name one with identity.directory."_s
            .arg(path, provider == Provider::Embedded ? u"embedded"_s : u"spiffe"_s));
}

log::Settings loggingOf(const ObservabilityConfig &config)
{
    log::Settings settings;
    settings.level = static_cast<log::Level>(config.level);
    settings.destination = static_cast<log::Destination>(config.destination);
    settings.program = u"lintel-console"_s;
    return settings;
}

Result<void> readFile(const QString &path, ConsoleOptions &options)
{
    const auto document = config::readConfigFile(path);
    if (!document)
        return document.error();
    config::Problems problems;
    {
        config::Section root(*document, problems);
        const TransportConfig transport = readTransport(root.section(u"transport"));
        const MqttConfig mqtt = readMqtt(root.section(u"mqtt"), transport.keepaliveInterval, {});
        const IdentityConfig identity = readIdentity(root.section(u"identity"));
        if (const auto usable = checkProvider(path, identity.provider); !usable)
            return usable;
        options.broker.host = mqtt.host;
        options.broker.port = mqtt.port;
        options.broker.brokerId = mqtt.brokerId;
        options.keepAlive = mqtt.keepAlive;
        options.broker.identityDir = identity.directory;
        config::Section console = root.section(u"console");
        console.spiffeId(u"id", options.id);
        console.spiffeId(u"host", options.host);
        console.spiffeId(u"gateway", options.gateway);
        QStringList more;
        console.texts(u"more_gateways", more);
        for (const QString &text : std::as_const(more)) {
            const auto id = SpiffeId::parse(text);
            if (!id)
                return malformed(u"%1: console.more_gateways: %2"_s.arg(path, id.error().message));
            options.moreGateways.append(*id);
        }
        console.texts(u"sites", options.sites);
        console.text(u"theme", options.theme);
        using enum UnitSystem;
        console.choice(u"units", options.usualUnits,
                       {{codeOf(AsReported), AsReported}, {codeOf(Metric), Metric}, {codeOf(Us), Us}});
        if (config::Section section = root.section(u"observability"); section.isPresent()) {
            const ObservabilityConfig observability = readObservability(std::move(section));
            options.logging = loggingOf(observability);
            options.wantsMetrics = observability.metricsEnabled;
        }
    }
    if (!problems.isEmpty())
        return problems.error();
    return {};
}

Result<void> readSpiffeId(const QCommandLineParser &parser, const QString &name, SpiffeId &out)
{
    if (!parser.isSet(name))
        return {};
    const auto id = mqtt::parseSpiffeOption(name, parser.value(name));
    if (!id)
        return id.error();
    out = *id;
    return {};
}

/// The first one's buffer is shown.
Result<void> readGateways(const QCommandLineParser &parser, ConsoleOptions &options)
{
    const QString name = u"gateway-principal"_s;
    if (!parser.isSet(name))
        return {};
    QList<SpiffeId> ids;
    for (const QString &text : parser.values(name)) {
        const auto id = mqtt::parseSpiffeOption(name, text);
        if (!id)
            return id.error();
        ids.append(*id);
    }
    options.gateway = ids.takeFirst();
    options.moreGateways = std::move(ids);
    return {};
}

Result<void> readSeconds(const QCommandLineParser &parser, const QString &name,
                         std::optional<std::chrono::seconds> &out)
{
    if (!parser.isSet(name))
        return {};
    bool ok = false;
    const int seconds = parser.value(name).toInt(&ok);
    if (!ok || seconds < 0)
        return malformed(u"--%1 %2: expected a number of seconds."_s.arg(name, parser.value(name)));
    out = std::chrono::seconds(seconds);
    return {};
}

Result<void> readAppearance(const QCommandLineParser &parser, ConsoleOptions &options)
{
    if (parser.isSet(u"theme"_s))
        options.theme = parser.value(u"theme"_s);
    if (options.theme != "light"_L1 && options.theme != "dark"_L1 && options.theme != "system"_L1)
        return malformed(u"The theme \"%1\" does not exist; expected light, dark or system."_s.arg(options.theme));
    if (parser.isSet(u"units"_s)) {
        const auto units = unitSystemFromCode(parser.value(u"units"_s));
        if (!units)
            return malformed(u"--units %1: expected as-reported, metric or us."_s.arg(parser.value(u"units"_s)));
        options.units = *units;
    }
    if (parser.isSet(u"page"_s))
        options.page = parser.value(u"page"_s);
    if (options.page != "live"_L1 && options.page != "devices"_L1 && options.page != "trust"_L1)
        return malformed(u"--page %1: expected live, devices or trust."_s.arg(options.page));
    if (parser.isSet(u"window"_s)) {
        const int minutes = parser.value(u"window"_s).toInt();
        if (!QList<int>{1, 5, 15, 60, 480, 1440}.contains(minutes))
            return malformed(
                u"--window %1: expected 1, 5, 15, 60, 480 or 1440 minutes."_s.arg(parser.value(u"window"_s)));
        options.windowMinutes = minutes;
    }
    if (parser.isSet(u"size"_s)) {
        const QStringList parts = parser.value(u"size"_s).split(QLatin1Char('x'));
        const QSize size(parts.value(0).toInt(), parts.value(1).toInt());
        if (parts.size() != 2 || size.width() < 900 || size.height() < 600 || size.width() > 7'680
            || size.height() > 4'320)
            return malformed(
                u"--size %1: expected a size such as 1440x900, at least 900x600."_s.arg(parser.value(u"size"_s)));
        options.size = size;
    }
    return {};
}

Result<void> checkConnection(const ConsoleOptions &options)
{
    if (options.offline)
        return {};
    if (options.broker.identityDir.isEmpty())
        return malformed(
            u"Nobody has said who you are: give --identity DIR (as \"lintelctl pki issue\" writes it), a --config FILE, or --offline for an example."_s);
    if (options.broker.brokerId.isEmpty())
        return malformed(
            u"Nobody has said which broker to trust: give --broker-id, for example spiffe://building-1.smart.local/broker."_s);
    return {};
}

/// Before anything starts, so that a long run does not end without its picture.
Result<void> checkWritable(const QString &option, const QString &path)
{
    if (path.isEmpty() || path == "-"_L1)
        return {};
    const QFileInfo file(path);
    if (file.isDir())
        return malformed(u"--%1 %2: that is a folder; name a file."_s.arg(option, path));
    if (!file.absoluteDir().exists())
        return malformed(u"--%1 %2: there is no folder %3; make it, or name a file elsewhere."_s.arg(
            option, path, file.absolutePath()));
    return {};
}

} // namespace

QString consoleHelp()
{
    QCommandLineParser parser;
    parser.setApplicationDescription(u"Lintel console: devices and live values of a building."_s);
    parser.addOptions(allOptions());
    return parser.helpText();
}

Result<ConsoleOptions> parseConsoleOptions(const QStringList &arguments)
{
    QCommandLineParser parser;
    if (const auto parsed = parseArguments(parser, allOptions(), arguments.mid(1), u"lintel-console --help"_s); !parsed)
        return parsed.error();
    ConsoleOptions options;
    options.help = parser.isSet(u"help"_s);
    options.version = parser.isSet(u"version"_s);
    if (options.help || options.version)
        return options;
    if (parser.isSet(u"config"_s)) {
        if (const auto read = readFile(parser.value(u"config"_s), options); !read)
            return read.error();
    }
    options.offline = parser.isSet(u"offline"_s);
    options.headless = parser.isSet(u"headless"_s);
    if (const auto read = mqtt::readBroker(parser.value(u"broker"_s), parser.value(u"broker-id"_s),
                                           parser.value(u"identity"_s), options.broker);
        !read)
        return read.error();
    if (parser.isSet(u"site"_s))
        options.sites = parser.values(u"site"_s);
    options.screenshot = parser.value(u"screenshot"_s);
    options.report = parser.value(u"report"_s);
    for (const auto &read :
         {readSpiffeId(parser, u"id"_s, options.id), readSpiffeId(parser, u"host-principal"_s, options.host),
          readGateways(parser, options), readSeconds(parser, u"after"_s, options.after),
          readSeconds(parser, u"exit-after"_s, options.exitAfter), readAppearance(parser, options),
          checkWritable(u"screenshot"_s, options.screenshot), checkWritable(u"report"_s, options.report),
          checkConnection(options)}) {
        if (!read)
            return read.error();
    }
    if (options.after && options.screenshot.isEmpty())
        return malformed(u"--after says when the screenshot is taken, but there is no --screenshot FILE."_s);
    if (options.headless && options.screenshot.isEmpty() && options.report.isEmpty())
        return malformed(u"--headless shows nothing by itself: give --screenshot FILE or --report FILE, too."_s);
    return options;
}

} // namespace lintel
