// SPDX-License-Identifier: GPL-3.0-only
// The console's window for tests: over a store that the test fills, or over the example building at a moment that
// stands still. Main thread; needs QApplication and the console's QML plugins.
#pragma once

#include "fakes/fake_clock.h"

#include "feed/building_feed.h"
#include "fixtures/example_building.h"
#include "shell/app_model.h"

#include <QDir>
#include <QQmlApplicationEngine>
#include <QQuickItem>
#include <QQuickWindow>
#include <QTest>

namespace lintel::test {

using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

inline constexpr auto kNow = std::chrono::sys_days{std::chrono::year{2026} / 11 / 21} + 12h + 4min + 13s;

inline QQuickItem *findItem(QQuickItem *item, const QString &name)
{
    if (item->objectName() == name)
        return item;
    for (QQuickItem *child : item->childItems()) {
        if (QQuickItem *found = findItem(child, name))
            return found;
    }
    return nullptr;
}

inline QList<QQuickItem *> itemsWithText(QQuickItem *item, const QString &text)
{
    QList<QQuickItem *> found;
    if (item->isVisible() && item->property("text").toString() == text)
        found.append(item);
    for (QQuickItem *child : item->childItems())
        found += itemsWithText(child, text);
    return found;
}

/// The window over a store that the test fills.
struct Stage {
    FakeClock clock;
    BuildingStore store{clock};
    AppModel app{store, u"building-1"_s};
    QQmlApplicationEngine engine;
    QQuickWindow *window = nullptr;

    Stage() { clock.setNow(kNow); }

    bool open(const QString &page = u"live"_s, const QString &theme = u"light"_s, QSize size = {1280, 800})
    {
        engine.addImportPath(u"qrc:/qt/qml"_s);
        engine.setInitialProperties({{u"app"_s, QVariant::fromValue(&app)},
                                     {u"themeMode"_s, theme},
                                     {u"page"_s, page},
                                     {u"width"_s, size.width()},
                                     {u"height"_s, size.height()}});
        engine.load(QUrl(u"qrc:/qt/qml/Lintel/Console/Main.qml"_s));
        window = qobject_cast<QQuickWindow *>(engine.rootObjects().value(0));
        app.refresh();
        return window && QTest::qWaitForWindowExposed(window);
    }
    [[nodiscard]] QQuickItem *item(const char *name) const
    {
        return findItem(window->contentItem(), QString::fromLatin1(name));
    }
    void link(LinkState::Phase phase, const QString &sentence = {}, Millis ago = 0ms)
    {
        store.setLink({phase, u"gateway.building-1:8883"_s, sentence, clock.now() - ago, {}});
        app.refresh();
    }
    /// Charts draw after the next turns of the event loop: the picture that no longer changes.
    [[nodiscard]] QImage picture() const
    {
        QImage last;
        int same = 0;
        (void)QTest::qWaitFor(
            [&] {
                QImage now = window->grabWindow();
                same = now == last ? same + 1 : 0;
                last = std::move(now);
                return same >= 5;
            },
            10'000);
        return last;
    }
    void save(const QString &name) const
    {
        if (const QString dir = qEnvironmentVariable("LINTEL_PICTURES"); !dir.isEmpty())
            picture().save(QDir(dir).filePath(name + u".png"_s));
    }
};

/// The same over the example building, at a moment that stands still.
struct ExampleStage : Stage {
    LoopbackBroker broker{clock};
    ExampleBuilding building{broker, clock};
    LoopbackTransport transport{broker};
    BuildingFeed feed{
        {ExampleBuilding::console(), ExampleBuilding::host(), {}, u"gateway.building-1:8883"_s, false, 30s},
        clock,
        transport,
        nullptr,
        store};

    bool fill()
    {
        QObject::connect(app.live(), &LivePageModel::historyWanted, &feed, &BuildingFeed::fetchHistory);
        QObject::connect(app.detail(), &DeviceDetailModel::historyWanted, &feed, &BuildingFeed::fetchHistory);
        building.start();
        feed.start();
        store.setIdentityExpiry(clock.now() + 23h);
        const auto settled = [this] {
            if (store.deviceCount() < 9 || !store.custody().asOf)
                return false;
            app.refresh();
            int waiting = 0;
            for (const LivePanel *panel : app.live()->panels()) {
                for (const LiveSeries &series : panel->series())
                    waiting += store.point(series.point).samples.isEmpty()
                                       && store.device(store.point(series.point).device).online
                                   ? 1
                                   : 0;
            }
            for (const int point : store.device(std::max(0, app.detail()->device())).points)
                waiting += store.point(point).samples.isEmpty() ? 1 : 0;
            int offline = 0;
            for (int i = 0; i < store.deviceCount(); ++i)
                offline += store.device(i).online ? 0 : 1;
            return waiting == 0 && offline == 1 && app.live()->panelCount() == 3;
        };
        const bool done = QTest::qWaitFor(settled, 20'000);
        app.devices()->flush();
        app.refresh();
        return done;
    }
};

} // namespace lintel::test
