// SPDX-License-Identifier: GPL-3.0-only
#include "console_session.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QFile>
#include <QGuiApplication>
#include <QImage>
#include <QJsonDocument>
#include <QJsonObject>
#include <QMetaEnum>
#include <QSaveFile>
#include <QScreen>
#include <QTimer>

#include <cstdio>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

QString phaseName(LinkState::Phase phase)
{
    switch (phase) {
    case LinkState::Phase::Starting: return u"starting"_s;
    case LinkState::Phase::Connecting: return u"connecting"_s;
    case LinkState::Phase::Connected: return u"connected"_s;
    case LinkState::Phase::Lost: return u"lost"_s;
    case LinkState::Phase::Failed: return u"failed"_s;
    case LinkState::Phase::Example: return u"example"_s;
    }
    return {};
}

/// No larger than the screen: without a window manager nothing else would fit it. Offscreen has no screen.
QSize sizeOnScreen(const QSize &wanted)
{
    constexpr QSize kLeast{900, 600}; // as in Main.qml
    if (QGuiApplication::platformName() == "offscreen"_L1 || !QGuiApplication::primaryScreen())
        return wanted;
    return wanted.boundedTo(QGuiApplication::primaryScreen()->availableSize()).expandedTo(kLeast);
}

} // namespace

ConsoleSession::ConsoleSession(const ConsoleOptions &options, BuildingStore &store, BuildingFeed &feed, QObject *parent)
    : QObject(parent), m_options(options), m_store(store), m_feed(feed), m_app(store, options.sites.join(u", "_s))
{
    connect(m_app.live(), &LivePageModel::historyWanted, &feed, &BuildingFeed::fetchHistory);
    connect(m_app.detail(), &DeviceDetailModel::historyWanted, &feed, &BuildingFeed::fetchHistory);
    chooseUnits();
    if (options.windowMinutes)
        m_app.live()->setWindowMinutes(*options.windowMinutes);
}

/// The command line, then what somebody has chosen before, then the file. Without a window nobody has
/// chosen anything, and a picture does not depend on whose machine it is made on.
void ConsoleSession::chooseUnits()
{
    const bool isWatched = !m_options.headless && QGuiApplication::platformName() != "offscreen"_L1;
    const auto chosen = isWatched ? m_kept.units() : std::nullopt;
    m_app.units()->setSystem(m_options.units.value_or(chosen.value_or(m_options.usualUnits)));
    if (!isWatched)
        return;
    connect(m_app.units(), &DisplayUnits::changed, this, [this] {
        if (const auto kept = m_kept.setUnits(m_app.units()->system()); !kept)
            std::fprintf(stderr, "lintel-console: %s\n", qPrintable(kept.error().message));
    });
}

Result<void> ConsoleSession::open()
{
    m_engine.addImportPath(u"qrc:/qt/qml"_s);
    const QSize size = sizeOnScreen(m_options.size);
    m_engine.setInitialProperties({
        {u"app"_s, QVariant::fromValue(&m_app)},
        {u"themeMode"_s, m_options.theme},
        {u"page"_s, m_options.page},
        {u"version"_s, QCoreApplication::applicationVersion()},
        {u"width"_s, size.width()},
        {u"height"_s, size.height()},
    });
    m_engine.load(QUrl(u"qrc:/qt/qml/Lintel/Console/Main.qml"_s));
    m_window = qobject_cast<QQuickWindow *>(m_engine.rootObjects().value(0));
    if (!m_window)
        return Error{Errc::Io,
                     u"The window cannot be built; a QML module is missing. Install what scripts/bootstrap lists."_s};
    m_app.run();
    if (m_options.after)
        QTimer::singleShot(*m_options.after, this, &ConsoleSession::finish);
    if (m_options.exitAfter)
        QTimer::singleShot(*m_options.exitAfter, this, &ConsoleSession::finish);
    return {};
}

void ConsoleSession::finish()
{
    if (m_finished)
        return;
    m_finished = true;
    int status = 0;
    for (const auto &written : {writeScreenshot(), writeReport()}) {
        if (written)
            continue;
        std::fprintf(stderr, "lintel-console: %s\n", qPrintable(written.error().message));
        status = 1;
    }
    m_feed.stop();
    QCoreApplication::exit(status);
}

Result<void> ConsoleSession::writeScreenshot()
{
    if (m_options.screenshot.isEmpty())
        return {};
    m_app.refresh();
    // The charts draw in the next turns of the event loop.
    QElapsedTimer drawing;
    drawing.start();
    while (drawing.elapsed() < 200)
        QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents | QEventLoop::ExcludeUserInputEvents, 50);
    const QImage picture = m_window->grabWindow();
    QSaveFile file(m_options.screenshot);
    if (picture.isNull() || !file.open(QIODevice::WriteOnly) || !picture.save(&file, "PNG") || !file.commit())
        return Error{Errc::Io,
                     u"The screenshot cannot be written to %1: %2"_s.arg(m_options.screenshot, file.errorString())};
    return {};
}

Result<void> ConsoleSession::writeReport() const
{
    if (m_options.report.isEmpty())
        return {};
    const Timestamp now = m_store.clock().now();
    int online = 0;
    for (int i = 0; i < m_store.deviceCount(); ++i)
        online += m_store.device(i).online ? 1 : 0;
    int live = 0;
    int sampled = 0;
    for (int i = 0; i < m_store.pointCount(); ++i) {
        const PointState &point = m_store.point(i);
        const Freshness freshness = m_store.freshness(point, now);
        const bool isPlaying = freshness == Freshness::Recorded && point.arrivedAt;
        live += freshness == Freshness::Fresh || isPlaying ? 1 : 0;
        sampled += point.samples.isEmpty() ? 0 : 1;
    }
    int lines = 0;
    for (const LivePanel *panel : const_cast<AppModel &>(m_app).live()->panels())
        lines += int(
            std::ranges::count_if(panel->series(), [](const LiveSeries &series) { return !series.pieces.isEmpty(); }));
    const auto counters = m_feed.counters();
    const QJsonObject report{
        {u"state"_s, phaseName(m_store.link().phase)},
        {u"connected"_s, m_store.link().phase == LinkState::Phase::Connected},
        {u"broker"_s, m_store.link().broker},
        {u"why"_s, m_store.link().sentence},
        {u"devices"_s, m_store.deviceCount()},
        {u"devices_online"_s, online},
        {u"points"_s, m_store.pointCount()},
        {u"points_live"_s, live},
        {u"points_with_samples"_s, sampled},
        {u"lines_drawn"_s, lines},
        {u"messages"_s, qint64(counters.messages)},
        {u"malformed"_s, qint64(counters.malformed)},
        {u"readings"_s, qint64(m_store.readingCount())},
        {u"screenshot"_s, m_options.screenshot},
    };
    const QByteArray line = QJsonDocument(report).toJson(QJsonDocument::Compact) + '\n';
    if (m_options.report == "-"_L1) {
        std::fwrite(line.constData(), 1, std::size_t(line.size()), stdout);
        std::fflush(stdout);
        return {};
    }
    QSaveFile file(m_options.report);
    if (!file.open(QIODevice::WriteOnly) || file.write(line) != line.size() || !file.commit())
        return Error{Errc::Io, u"The report cannot be written to %1: %2"_s.arg(m_options.report, file.errorString())};
    return {};
}

} // namespace lintel
