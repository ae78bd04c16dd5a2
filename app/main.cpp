// SPDX-License-Identifier: GPL-3.0-only
// lintel-console: chooses the adapters, opens the window. Exit codes: adapters/process/exit_codes.h.
#include "adapters/mqtt/transport_factory.h"
#include "adapters/process/exit_codes.h"
#include "adapters/process/stop_signals.h"
#include "adapters/tls/file_identity_source.h"
#include "console_session.h"
#include "fixtures/example_building.h"
#include "ports/system_clock.h"
#include "text/fonts.h"

#include <QApplication>
#include <QScopeGuard>
#include <QTimer>
#include <QtQml/qqmlextensionplugin.h>

#include <cstdio>
#include <cstdlib>

Q_IMPORT_QML_PLUGIN(Lintel_ViewModelsPlugin)
Q_IMPORT_QML_PLUGIN(Lintel_ConsolePlugin)

namespace {

using namespace lintel;
using namespace Qt::StringLiterals;

constexpr int kNoDisplay = process::kCannotConnect;

int fail(int code, const QString &sentence)
{
    std::fprintf(stderr, "lintel-console: %s\n", qPrintable(sentence));
    return code;
}

const QString kWithoutWindow =
    u"or look without a window: lintel-console with the same options and --headless --screenshot FILE --after SECONDS."_s;

/// The display that was named, and by what; empty when none was.
QString namedDisplay()
{
    for (const char *variable : {"WAYLAND_DISPLAY", "DISPLAY"}) {
        if (const QString value = qEnvironmentVariable(variable); !value.isEmpty())
            return u"\"%1\" (%2)"_s.arg(value, QLatin1StringView(variable));
    }
    return {};
}

QString noDisplaySentence()
{
    const QString named = namedDisplay();
    if (named.isEmpty())
        return u"There is no display to open a window on. Start it in a desktop session, "_s + kWithoutWindow;
    return u"The display %1 cannot be opened. Name one that runs, "_s.arg(named) + kWithoutWindow;
}

/// Qt ends the process with a core dump when a display cannot be reached; say it in a sentence.
void onFatal(QtMsgType type, const QMessageLogContext &, const QString &message)
{
    if (type == QtFatalMsg && message.contains("platform plugin"_L1)) {
        std::fprintf(stderr, "lintel-console: %s\n", qPrintable(noDisplaySentence()));
        std::_Exit(kNoDisplay);
    }
    if (type != QtDebugMsg && !message.contains("XDG_RUNTIME_DIR"_L1)
        && !message.contains("could not connect to display"_L1) && !message.contains("create wl_display"_L1)
        && !message.contains("Could not load the Qt platform plugin"_L1))
        std::fprintf(stderr, "lintel-console: %s\n", qPrintable(message));
}

bool choosePlatform(const ConsoleOptions &options)
{
    if (options.headless) {
        qputenv("QT_QPA_PLATFORM", "offscreen");
    } else if (!qEnvironmentVariableIsSet("QT_QPA_PLATFORM") && namedDisplay().isEmpty()) {
        if (options.screenshot.isEmpty())
            return false;
        qputenv("QT_QPA_PLATFORM", "offscreen");
    }
    // Without a display there is no GPU to count on.
    if (qgetenv("QT_QPA_PLATFORM") == "offscreen" && !qEnvironmentVariableIsSet("QT_QUICK_BACKEND"))
        qputenv("QT_QUICK_BACKEND", "software");
    return true;
}

int runSession(const ConsoleOptions &options, BuildingStore &store, BuildingFeed &feed)
{
    ConsoleSession session(options, store, feed);
    if (const auto opened = session.open(); !opened)
        return fail(process::kFailed, opened.error().message);
    StopSignals signalsToStop;
    QObject::connect(&signalsToStop, &StopSignals::stopRequested, &session, &ConsoleSession::finish);
    QObject::connect(qApp, &QGuiApplication::lastWindowClosed, &session, &ConsoleSession::finish);
    feed.start();
    return QApplication::exec();
}

int runOffline(const ConsoleOptions &options)
{
    const SystemClock clock;
    LoopbackBroker broker(clock);
    ExampleBuilding building(broker, clock);
    LoopbackTransport transport(broker);
    BuildingStore store(clock);
    FeedConfig config;
    config.self = Principal(ExampleBuilding::console());
    config.host = ExampleBuilding::host();
    config.broker = u"example building"_s;
    config.example = true;
    BuildingFeed feed(config, clock, transport, nullptr, store);
    building.start();
    QTimer life;
    QObject::connect(&life, &QTimer::timeout, &building, &ExampleBuilding::tick);
    life.start(1'000);
    return runSession(options, store, feed);
}

int runConnected(const ConsoleOptions &options)
{
    const SystemClock clock;
    tls::FileIdentitySource identity(options.broker.identityDir);
    const auto current = identity.current();
    if (!current)
        return fail(process::kCannotConnect,
                    current.error().message
                        + u" Name with --identity a folder that \"lintelctl pki issue\" has written."_s);
    const SpiffeId self = options.id.isEmpty() ? (*current)->svid.id : options.id;
    if (self != (*current)->svid.id)
        return fail(process::kUsage, u"--id says %1, but the identity in %2 is %3."_s.arg(
                                         self.toString(), options.broker.identityDir, (*current)->svid.id.toString()));

    const auto transport = makeConsoleTransport(options.broker.endpoint(), identity);
    BuildingStore store(clock);
    FeedConfig config;
    config.self = Principal(self);
    config.host = Principal(options.host);
    config.gateway = Principal(options.gateway);
    for (const SpiffeId &gateway : options.moreGateways)
        config.moreGateways.append(Principal(gateway));
    config.sites = options.sites;
    config.broker = u"%1:%2"_s.arg(options.broker.host).arg(options.broker.port);
    config.keepAlive = options.keepAlive;
    BuildingFeed feed(config, clock, *transport, &identity, store);
    return runSession(options, store, feed);
}

} // namespace

int main(int argc, char **argv)
{
    QStringList arguments;
    for (int i = 0; i < argc; ++i)
        arguments.append(QString::fromLocal8Bit(argv[i]));
    const auto options = parseConsoleOptions(arguments);
    if (!options)
        return fail(process::kUsage, options.error().message);
    if (options->version) {
        std::puts("lintel-console " LINTEL_VERSION);
        return 0;
    }
    if (options->help) {
        const QCoreApplication forTheName(argc, argv);
        std::fputs(qPrintable(consoleHelp()), stdout);
        return 0;
    }
    if (!choosePlatform(*options))
        return fail(kNoDisplay, noDisplaySentence());

    qInstallMessageHandler(onFatal);
    QApplication app(argc, argv); // Qt Charts needs widgets
    QApplication::setApplicationName(u"lintel-console"_s);
    QApplication::setApplicationDisplayName(u"Lintel"_s);
    QApplication::setApplicationVersion(QStringLiteral(LINTEL_VERSION));
    QQuickWindow::setTextRenderType(QQuickWindow::NativeTextRendering);
    // Not before the display is open: a sentence about that belongs to whoever started the console.
    if (options->logging) {
        if (const auto installed = log::install(*options->logging); !installed)
            (void)fail(process::kFailed, installed.error().message);
    }
    const auto logged = qScopeGuard([] { log::uninstall(); });
    if (options->wantsMetrics)
        qWarning("observability.metrics is enabled, but lintel-console serves no metrics; take it out of the file");
    if (const auto fonts = installFonts(); !fonts)
        return fail(process::kFailed, fonts.error().message);
    return options->offline ? runOffline(*options) : runConnected(*options);
}
