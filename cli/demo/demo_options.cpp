#include "demo/demo_options.h"

#include "process/command_line.h"

#include <QDir>
#include <QFileInfo>

namespace lintel::demo {

using namespace Qt::StringLiterals;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr int kMaxSensors = 500;
constexpr int kMaxSeconds = 7 * 24 * 3600;
constexpr int kMinSvidSeconds = 20; // half of it is renewal, reconnection and some to spare
constexpr int kMaxSvidSeconds = 24 * 3600;

QList<QCommandLineOption> definitions()
{
    return {
        {{u"h"_s, u"help"_s}, u"Show this help."_s},
        {u"headless"_s, u"No window: the console runs offscreen and writes a screenshot at the end."_s},
        {u"duration"_s, u"End after so many seconds."_s, u"SECONDS"_s},
        {u"sensors"_s, u"How many sensors (8 unless said): HVAC, occupancy and energy in turn."_s, u"N"_s},
        {u"sensor-period"_s, u"Seconds between two samples of a sensor (1 unless said; 0.1 or more)."_s, u"SECONDS"_s},
        {u"replay"_s,
         u"Replay the recordings (CSV with a header, a column of times and columns of numbers) in this folder in place of simulated sensors, one row per sensor period, with the recorded times."_s,
         u"DIR"_s},
        {u"wan-outage"_s,
         u"Cut the line between gateway and cloud START seconds after the building runs, for LENGTH seconds. May be given more than once."_s,
         u"START,LENGTH"_s},
        {u"revoke"_s,
         u"Revoke the last sensor so many seconds after the building runs, and see how fast it is out and that it stays out. Not with --identity files."_s,
         u"SECONDS"_s},
        {u"identity"_s,
         u"tpm (unless said): devices attest with software TPMs to the authority of their trust domain, which gives them short-lived certificates; files: certificates made beforehand, for machines without swtpm, and for hundreds of sensors."_s,
         u"tpm|files"_s},
        {u"svid-ttl"_s,
         u"How long a certificate holds (3600 unless said; 20 or more). Each is renewed when half of it is over. Not with --identity files."_s,
         u"SECONDS"_s},
        {u"json"_s, u"Write one JSON object to standard output at the end, and nothing else."_s},
        {u"keep"_s, u"Keep keys, configuration, databases and logs in this folder."_s, u"DIR"_s},
        {u"screenshot"_s, u"Where the console's picture goes."_s, u"FILE"_s},
    };
}

Error wrong(const QString &option, const QString &value, const QString &expected)
{
    return {Errc::Malformed, u"--%1 %2: expected %3."_s.arg(option, value, expected)};
}

Result<int> wholeNumber(const QString &option, const QString &value, int min, int max)
{
    bool ok = false;
    const int number = value.toInt(&ok);
    if (!ok || number < min || number > max)
        return wrong(option, value, u"a whole number from %1 to %2"_s.arg(min).arg(max));
    return number;
}

Result<WanOutage> parseOutage(const QString &text)
{
    const QStringList parts = text.split(u',');
    bool startOk = false;
    bool lengthOk = false;
    const int start = parts.value(0).toInt(&startOk);
    const int length = parts.value(1).toInt(&lengthOk);
    if (parts.size() != 2 || !startOk || !lengthOk || start < 0 || length < 1 || start > kMaxSeconds
        || length > kMaxSeconds)
        return wrong(u"wan-outage"_s, text, u"START,LENGTH in seconds, such as 15,20"_s);
    return WanOutage{seconds{start}, seconds{length}};
}

Result<void> readIdentity(const QCommandLineParser &parser, DemoOptions &options)
{
    if (parser.isSet(u"identity"_s)) {
        const QString kind = parser.value(u"identity"_s);
        if (kind != u"tpm" && kind != u"files")
            return wrong(u"identity"_s, kind, u"tpm or files"_s);
        options.identity = kind == u"tpm" ? IdentityKind::Tpm : IdentityKind::Files;
    }
    if (!parser.isSet(u"svid-ttl"_s))
        return {};
    const QString value = parser.value(u"svid-ttl"_s);
    if (options.identity != IdentityKind::Tpm)
        return wrong(u"svid-ttl"_s, value, u"no --identity files beside it, whose certificates hold for a day"_s);
    const auto ttl = wholeNumber(u"svid-ttl"_s, value, kMinSvidSeconds, kMaxSvidSeconds);
    if (!ttl)
        return ttl.error();
    options.svidTtl = seconds{*ttl};
    return {};
}

/// Behind the options that it depends on.
Result<void> readRevocation(const QCommandLineParser &parser, DemoOptions &options)
{
    const auto name = u"revoke"_s;
    if (!parser.isSet(name))
        return {};
    const QString value = parser.value(name);
    const auto at = wholeNumber(name, value, 0, kMaxSeconds);
    if (!at)
        return at.error();
    if (options.identity != IdentityKind::Tpm)
        return wrong(name, value, u"no --identity files beside it: without an authority nobody can be revoked"_s);
    if (options.sensors < 2)
        return wrong(name, value, u"two sensors or more, so that one stays"_s);
    if (options.duration && seconds{*at} + kWatchedAfterRevoke > *options.duration)
        return wrong(name, value,
                     u"a time %1 seconds or more before the end, which --duration sets to %2 seconds"_s
                         .arg(kWatchedAfterRevoke.count())
                         .arg(options.duration->count()));
    options.revoke = seconds{*at};
    return {};
}

} // namespace

Result<DemoOptions> parseDemoOptions(const QStringList &arguments)
{
    QCommandLineParser parser;
    if (const auto parsed = parseArguments(parser, definitions(), arguments, u"lintelctl demo --help"_s); !parsed)
        return parsed.error();

    DemoOptions options;
    options.help = parser.isSet(u"help"_s);
    options.headless = parser.isSet(u"headless"_s);
    options.json = parser.isSet(u"json"_s);
    options.replayDir = parser.value(u"replay"_s);
    options.keepDir = parser.value(u"keep"_s);
    options.screenshot = parser.value(u"screenshot"_s);
    if (parser.isSet(u"sensors"_s)) {
        const auto number = wholeNumber(u"sensors"_s, parser.value(u"sensors"_s), 1, kMaxSensors);
        if (!number)
            return number.error();
        options.sensors = *number;
    }
    if (const auto identity = readIdentity(parser, options); !identity)
        return identity.error();
    if (parser.isSet(u"duration"_s)) {
        const auto number = wholeNumber(u"duration"_s, parser.value(u"duration"_s), 1, kMaxSeconds);
        if (!number)
            return number.error();
        options.duration = seconds{*number};
    }
    if (parser.isSet(u"sensor-period"_s)) {
        const QString value = parser.value(u"sensor-period"_s);
        bool ok = false;
        const double period = value.toDouble(&ok);
        if (!ok || period < 0.1 || period > 3600)
            return wrong(u"sensor-period"_s, value, u"seconds from 0.1 to 3600"_s);
        options.sensorPeriod = milliseconds{qint64(period * 1000)};
    }
    if (const auto revocation = readRevocation(parser, options); !revocation)
        return revocation.error();
    const QStringList outages = parser.values(u"wan-outage"_s);
    for (const QString &text : outages) {
        const auto outage = parseOutage(text);
        if (!outage)
            return outage.error();
        if (options.duration && outage->start >= *options.duration)
            return wrong(
                u"wan-outage"_s, text,
                u"a START before the end, which --duration sets to %1 seconds"_s.arg(options.duration->count()));
        options.wanOutages.append(*outage);
    }
    if (parser.isSet(u"replay"_s) && !QDir(options.replayDir).exists())
        return wrong(u"replay"_s, options.replayDir, u"a folder that exists, with CSV files"_s);
    if (const QFileInfo keep(options.keepDir); !options.keepDir.isEmpty() && keep.exists() && !keep.isDir())
        return wrong(u"keep"_s, options.keepDir, u"a folder, but that is a file"_s);
    if (const QFileInfo picture(options.screenshot); !options.screenshot.isEmpty()) {
        if (picture.isDir())
            return wrong(u"screenshot"_s, options.screenshot, u"a file, but that is a folder"_s);
        if (!picture.absoluteDir().exists())
            return wrong(u"screenshot"_s, options.screenshot, u"a file in a folder that exists"_s);
    }
    return options;
}

QString screenshotPath(const DemoOptions &options)
{
    if (!options.screenshot.isEmpty())
        return QDir::current().absoluteFilePath(options.screenshot);
    const QDir folder = options.keepDir.isEmpty() ? QDir::current() : QDir(options.keepDir);
    return folder.absoluteFilePath(u"lintel-demo.png"_s);
}

QString demoHelp()
{
    QString help = u"Usage: lintelctl demo [options]\n"
                   "Runs a whole building on this machine: authority, broker and backend of the cloud; authority,\n"
                   "broker, gateway and sensors of the building; console. Everything listens on loopback only,\n"
                   "with mutual TLS.\n\n"
                   "Options:\n"_s;
    help += optionLines(definitions(), 28);
    help += u"\nExamples:\n"
            "  lintelctl demo\n"
            "  lintelctl demo --headless --duration 60 --json\n"
            "  lintelctl demo --headless --duration 60 --wan-outage 15,20 --keep /tmp/building\n"
            "  lintelctl demo --headless --duration 40 --revoke 20\n\n"
            "An agent, authority or broker that dies, as by kill -9, is started again; one that dies three\n"
            "times within 30 seconds ends the run. It needs 200 MB of free disk.\n\n"
            "The picture goes to --screenshot, else to lintel-demo.png in --keep's folder, else in the\n"
            "current folder. Without --keep the state lies in a temporary folder that is removed.\n\n"
            "Exit codes: 0 all is well, 1 something that it watched went wrong (a sentence says what),\n"
            "2 wrong options, 4 something that it needs is missing.\n"_s;
    return help;
}

} // namespace lintel::demo
