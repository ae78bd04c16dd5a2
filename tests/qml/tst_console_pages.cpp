// SPDX-License-Identifier: GPL-3.0-only
// The console's window on fixture data: its states, the keyboard, names for assistive technology,
// and golden pictures. LINTEL_UPDATE_GOLDEN=1 writes the pictures anew; a difference is written to
// golden-diff/ beside the test program.
#include "fakes/fake_clock.h"

#include "feed/building_feed.h"
#include "fixtures/example_building.h"
#include "shell/app_model.h"
#include "text/fonts.h"

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QDir>
#include <QQmlApplicationEngine>
#include <QQuickItem>
#include <QQuickWindow>
#include <QSignalSpy>
#include <QTest>
#include <QtQml/qqmlextensionplugin.h>

#include <cmath>

Q_IMPORT_QML_PLUGIN(Lintel_ViewModelsPlugin)
Q_IMPORT_QML_PLUGIN(Lintel_ConsolePlugin)

using namespace lintel;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

namespace {

constexpr auto kNow = std::chrono::sys_days{std::chrono::year{2026} / 11 / 21} + 12h + 4min + 13s;

QQuickItem *findItem(QQuickItem *item, const QString &name)
{
    if (item->objectName() == name)
        return item;
    for (QQuickItem *child : item->childItems()) {
        if (QQuickItem *found = findItem(child, name))
            return found;
    }
    return nullptr;
}

QList<QQuickItem *> itemsWithText(QQuickItem *item, const QString &text)
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

void compareGolden(const QImage &picture, const QString &name)
{
    const QString golden = QStringLiteral(LINTEL_SOURCE_DIR "/tests/qml/golden/") + name + u".png"_s;
    if (qEnvironmentVariableIsSet("LINTEL_UPDATE_GOLDEN")) {
        QVERIFY(picture.convertToFormat(QImage::Format_RGB32).save(golden));
        return;
    }
    const QImage expected(golden);
    QVERIFY2(!expected.isNull(), qPrintable(u"No golden picture %1; run with LINTEL_UPDATE_GOLDEN=1."_s.arg(golden)));
    QCOMPARE(picture.size(), expected.size());
    QImage diff(picture.size(), QImage::Format_RGB32);
    int different = 0;
    for (int y = 0; y < picture.height(); ++y) {
        for (int x = 0; x < picture.width(); ++x) {
            const QRgb a = picture.pixel(x, y);
            const QRgb b = expected.pixel(x, y);
            const bool same = std::abs(qRed(a) - qRed(b)) < 9 && std::abs(qGreen(a) - qGreen(b)) < 9
                              && std::abs(qBlue(a) - qBlue(b)) < 9;
            diff.setPixel(x, y,
                          same ? qRgb(qGray(b) / 4 + 190, qGray(b) / 4 + 190, qGray(b) / 4 + 190) : qRgb(200, 0, 0));
            different += same ? 0 : 1;
        }
    }
    if (different == 0)
        return;
    const QDir folder(QCoreApplication::applicationDirPath() + u"/golden-diff"_s);
    folder.mkpath(u"."_s);
    picture.save(folder.filePath(name + u"-now.png"_s));
    diff.save(folder.filePath(name + u"-diff.png"_s));
    // A handful of pixels: rounding of lines on another processor.
    QVERIFY2(different < picture.width() * picture.height() / 10'000,
             qPrintable(u"%1 pixels differ; see %2"_s.arg(different).arg(folder.filePath(name + u"-diff.png"_s))));
}

} // namespace

class TestConsolePages : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void states_data()
    {
        QTest::addColumn<QString>("page");
        QTest::addColumn<QString>("item");
        QTest::newRow("live") << u"live"_s << u"liveEmpty"_s;
        QTest::newRow("devices") << u"devices"_s << u"devicesEmpty"_s;
        QTest::newRow("trust") << u"trust"_s << u"trustEmpty"_s;
    }

    void states()
    {
        QFETCH(QString, page);
        QFETCH(QString, item);
        Stage stage;
        stage.link(LinkState::Phase::Connecting);
        QVERIFY(stage.open(page));
        QQuickItem *empty = stage.item(qPrintable(item));
        QVERIFY(empty);
        const auto heading = [&] { return empty->property("heading").toString(); };
        QVERIFY(empty->isVisible());
        QCOMPARE(heading(), u"Connecting"_s);
        stage.save(page + u"-loading"_s);

        stage.link(LinkState::Phase::Connected, {}, 30s);
        QCOMPARE(heading(), u"No device has reported yet"_s);
        stage.save(page + u"-empty"_s);

        stage.link(
            LinkState::Phase::Failed,
            u"The broker at gateway.building-1:8883 presents a certificate for another SPIFFE ID. Check --broker-id."_s);
        QCOMPARE(heading(), u"Cannot connect"_s);
        QVERIFY(empty->property("sentence").toString().contains(u"certificate"_s));
        stage.save(page + u"-failed"_s);

        stage.link(LinkState::Phase::Lost, u"The broker closed the connection."_s);
        QCOMPARE(heading(), u"Not connected"_s);

        // A device comes: the page shows it, and keeps it as last known when the connection goes.
        stage.link(LinkState::Phase::Connected);
        Point point;
        point.id = u"t"_s;
        point.name = u"Supply air temperature"_s;
        point.unit = Unit::Celsius;
        sparkplug::Participant who;
        who.node = {u"building-1"_s, u"hvac-001"_s};
        who.online = true;
        who.since = stage.clock.now();
        who.points = {point};
        stage.store.applyBirth(who);
        stage.app.refresh();
        QVERIFY(!empty->isVisible());
        stage.link(LinkState::Phase::Lost, u"The broker closed the connection."_s);
        QVERIFY(!empty->isVisible());
    }

    void connectionState_isSaidOnEveryPage()
    {
        Stage stage;
        stage.link(LinkState::Phase::Lost, u"The broker closed the connection."_s);
        QVERIFY(stage.open());
        for (const char *page : {"live", "devices", "trust"}) {
            stage.window->setProperty("page", QString::fromLatin1(page));
            QVERIFY(stage.item("connectionState")->isVisible());
            QVERIFY(stage.app.connection()->stateText().startsWith(u"not connected since"_s));
        }
    }

    /// Devices that somebody refuses, and a building whose trust ends soon: state, reason and since when
    /// fit into their rows.
    void refusedDevices_areExplained_data()
    {
        QTest::addColumn<QSize>("size");
        QTest::newRow("wide") << QSize(1280, 800);
        QTest::newRow("narrow") << QSize(900, 600);
    }
    void refusedDevices_areExplained()
    {
        QFETCH(QSize, size);
        using State = DeviceIdentity::State;
        ExampleStage stage;
        QVERIFY(stage.open(u"devices"_s, u"light"_s, size));
        QVERIFY(stage.fill());
        const Timestamp since = stage.clock.now() - 24min;
        stage.feed.stop(); // nobody but this test tells of identities now
        QTRY_VERIFY(stage.store.isCut());
        stage.store.setLink({LinkState::Phase::Connected, u"gateway.building-1:8883"_s, {}, since, {}});
        stage.store.applyIdentity(
            u"building-1"_s, u"hvac-001"_s,
            {State::Expired, u"identity expired, buffering: the authority does not answer"_s, since});
        stage.store.applyIdentity(u"building-1"_s, u"hvac-003"_s, {State::Revoked, u"stolen from the roof"_s, since});
        stage.store.applyIdentity(u"building-1"_s, u"hvac-004"_s, {State::Overdue, {}, since});
        stage.store.applyIdentity(
            u"building-1"_s, u"hvac-010"_s,
            {State::NotAdmitted,
             u"Nobody has approved it: compare its EK hash with its label, then lintelctl device approve."_s, since});
        stage.store.setTrust({u"gateway"_s, stage.clock.now(), std::chrono::seconds(9 * 60),
                              u"SVID of spiffe://building-1.smart.local/agent/gateway"_s, u"trusted"_s});
        for (int i = 0; i < stage.store.deviceCount(); ++i) {
            if (stage.store.device(i).name == u"hvac-001"_s)
                stage.app.detail()->setDevice(i);
        }
        stage.app.devices()->flush();
        stage.app.refresh();
        QCOMPARE(stage.app.devices()->total(), 10);
        QVERIFY(stage.app.detail()->stateText().startsWith(u"identity expired, buffering since"_s));
        QCOMPARE(stage.item("trustSentence")->property("text").toString(),
                 u"Trust holds for 9 min without the uplink"_s);
        QCOMPARE(stage.app.connection()->trustPriority(), 2);
        stage.save(u"refused-%1"_s.arg(QString::fromLatin1(QTest::currentDataTag())));
    }

    /// A building in which something of everything is wrong, in every size and theme.
    void trustPage_saysWhoWaitsWhoIsRefusedAndWhy_data()
    {
        QTest::addColumn<QSize>("size");
        QTest::addColumn<QString>("theme");
        QTest::newRow("wide-light") << QSize(1280, 800) << u"light"_s;
        QTest::newRow("wide-dark") << QSize(1280, 800) << u"dark"_s;
        QTest::newRow("narrow-light") << QSize(900, 600) << u"light"_s;
    }
    void trustPage_saysWhoWaitsWhoIsRefusedAndWhy()
    {
        QFETCH(QSize, size);
        QFETCH(QString, theme);
        using State = DeviceIdentity::State;
        ExampleStage stage;
        QVERIFY(stage.open(u"trust"_s, theme, size));
        QVERIFY(stage.fill());
        const Timestamp since = stage.clock.now() - 24min;
        stage.feed.stop(); // nobody but this test tells of identities now
        QTRY_VERIFY(stage.store.isCut());
        stage.store.setLink({LinkState::Phase::Connected, u"gateway.building-1:8883"_s, {}, since, {}});
        stage.store.applyIdentity(u"building-1"_s, u"hvac-003"_s, {State::Revoked, u"stolen from the roof"_s, since});
        stage.store.applyIdentity(
            u"building-1"_s, u"hvac-001"_s,
            {State::Expired, u"identity expired, buffering: the authority does not answer"_s, since});
        Admission admission = stage.store.admissions().value(0);
        admission.waiting.prepend({QString(64, u'a'), {}, since, stage.clock.now() - 1min, u"2001:db8::17"_s, 1});
        admission.waitingTotal = 61;
        const QString revoked = u"spiffe://building-1.smart.local/agent/hvac-003"_s;
        admission.refused.prepend(
            {revoked, true, u"192.0.2.30"_s,
             revoked
                 + u" was revoked at 2026-11-21T11:40:13.000Z (stolen from the roof); enrol it anew if it is to come back."_s,
             since, stage.clock.now() - 20s, 48});
        admission.refused.append({u"192.0.2.66"_s, false, u"192.0.2.66"_s,
                                  u"It showed no certificate; give the client its SVID."_s, since, since, 1});
        stage.store.setAdmission(admission);
        stage.store.setTrust({u"gateway"_s, stage.clock.now(), 71h, u"issuer of building-1.smart.local"_s, u"trusted"_s,
                              u"building-1"_s});
        stage.store.setTrust({u"gateway"_s, stage.clock.now(), 9min,
                              u"SVID of spiffe://building-2.smart.local/agent/gateway"_s, u"trusted"_s,
                              u"building-2"_s});
        stage.app.refresh();
        const QQuickItem *page = stage.item("trustView");
        QVERIFY(page && page->isVisible());
        const auto shows = [&stage](const char *card, const QString &text) {
            return !itemsWithText(stage.item(card), text).isEmpty();
        };
        QTRY_VERIFY(shows("trustBroken", u"hvac-003"_s));
        QVERIFY(shows("trustBroken", u"Stolen from the roof. Only a new enrolment brings it back."_s));
        QVERIFY(shows("trustWaiting", u"A device with a TPM of IFX, certified"_s));
        QVERIFY(shows("trustWaiting",
                      u"lintelctl device approve aaaaaaaaaaaaaaaa --name NAME --kind KIND --site SITE"_s));
        QVERIFY(shows("trustRefused", revoked));
        QVERIFY(shows("trustRefused", u"Claims to be spiffe://building-7.smart.local/agent/hvac-001"_s));
        QVERIFY(shows("trustRefused", u"A client without a name"_s));
        QVERIFY(stage.item("trustWaiting")
                    ->property("note")
                    .toString()
                    .startsWith(u"59 more wait; this shows them all: lintelctl device list --state pending."_s));
        // Who waits is no alarm; who is refused at this moment is one.
        QCOMPARE(stage.app.trust()->attention(), 1);
        QCOMPARE(stage.app.trust()->attentionPriority(), 3);
        const auto priorities = [](const QVariantList &rows) {
            QList<int> all;
            for (const QVariant &row : rows)
                all.append(row.toMap().value(u"priority"_s).toInt());
            return all;
        };
        QCOMPARE(priorities(stage.app.trust()->waiting()), (QList<int>{0, 0}));
        QCOMPARE(priorities(stage.app.trust()->refused()), (QList<int>{3, 0, 0}));
        QCOMPARE(stage.app.trust()->waitingTotal(), 61);
        QCOMPARE(stage.app.connection()->trustOwner(), u"building-2"_s);
        stage.save(u"trust-%1"_s.arg(QString::fromLatin1(QTest::currentDataTag())));
        const double bottom =
            stage.item("trustView")->property("contentHeight").toDouble() - stage.item("trustView")->height();
        stage.item("trustView")->setProperty("contentY", std::max(0.0, bottom));
        stage.save(u"trust-%1-end"_s.arg(QString::fromLatin1(QTest::currentDataTag())));

        // Cut off, nothing is known of now: no colour, and the page says so.
        stage.store.setLink(
            {LinkState::Phase::Lost, u"gateway.building-1:8883"_s, u"The broker is gone."_s, stage.clock.now(), {}});
        stage.app.refresh();
        QCOMPARE(stage.app.trust()->summary(), u"last known"_s);
        QCOMPARE(priorities(stage.app.trust()->broken()), (QList<int>{0, 0}));
        QCOMPARE(priorities(stage.app.trust()->refused()), (QList<int>{0, 0, 0}));
        QCOMPARE(stage.app.trust()->attention(), 0);
        stage.save(u"trust-%1-cut"_s.arg(QString::fromLatin1(QTest::currentDataTag())));

        // Nobody tells: unknown, and not the last good answer.
        stage.store.removeAdmission(admission.source);
        stage.app.refresh();
        QVERIFY(stage.app.trust()->waiting().isEmpty());
        QCOMPARE(stage.item("trustWaiting")->property("note").toString(), u"Not known: no gateway tells."_s);
        QCOMPARE(stage.item("trustRefused")->property("note").toString(), u"Not known: no gateway tells."_s);
    }

    void trustPage_ofSeveralSites_data() { trustPage_saysWhoWaitsWhoIsRefusedAndWhy_data(); }
    void trustPage_ofSeveralSites()
    {
        QFETCH(QSize, size);
        QFETCH(QString, theme);
        ExampleStage stage;
        QVERIFY(stage.open(u"trust"_s, theme, size));
        QVERIFY(stage.fill());
        stage.feed.stop();
        QTRY_VERIFY(stage.store.isCut());
        stage.store.setLink(
            {LinkState::Phase::Connected, u"broker.smart-building.cloud:8883"_s, {}, stage.clock.now() - 24min, {}});
        const Timestamp since = stage.clock.now() - 24min;
        Admission first = stage.store.admissions().value(0);
        stage.store.removeAdmission(first.source);
        for (const QString &site : {u"building-1"_s, u"building-2"_s, u"building-3"_s}) {
            Admission one = first;
            one.source = one.site = site;
            if (site == "building-2"_L1) {
                one.waiting = {{QString(64, u'a'), {}, since, stage.clock.now() - 1min, u"2001:db8::17"_s, 1}};
                one.refused = {{u"spiffe://building-2.smart.local/agent/hvac-003"_s, true, u"192.0.2.30"_s,
                                u"was revoked at 2026-11-21T11:40:13.000Z (stolen from the roof); enrol it anew if it "
                                "is to come back."_s,
                                since, stage.clock.now() - 20s, 48}};
            }
            if (site == "building-3"_L1) {
                one = {};
                one.source = one.site = site;
                one.gateway = u"gateway"_s;
                one.answers = false;
                one.answeredAt = since;
            }
            stage.store.setAdmission(one);
        }
        stage.app.refresh();
        const auto shows = [&stage](const char *card, const QString &text) {
            return !itemsWithText(stage.item(card), text).isEmpty();
        };
        for (const char *card : {"trustWaiting", "trustRefused"}) {
            QTRY_VERIFY(shows(card, u"building-1"_s));
            QVERIFY(shows(card, u"building-2"_s));
            const QString note = stage.item(card)->property("note").toString();
            QVERIFY2(note.startsWith(u"building-3: no answer since "_s), qPrintable(note));
        }
        stage.save(u"sites-%1"_s.arg(QString::fromLatin1(QTest::currentDataTag())));
        const double bottom =
            stage.item("trustView")->property("contentHeight").toDouble() - stage.item("trustView")->height();
        stage.item("trustView")->setProperty("contentY", std::max(0.0, bottom));
        stage.save(u"sites-%1-end"_s.arg(QString::fromLatin1(QTest::currentDataTag())));
    }

    void trustPage_commandGoesToTheClipboard()
    {
        ExampleStage stage;
        QVERIFY(stage.open(u"devices"_s));
        QVERIFY(stage.fill());
        stage.window->requestActivate();
        QVERIFY(QTest::qWaitForWindowActive(stage.window));
        QTest::keyClick(stage.window, Qt::Key_3, Qt::ControlModifier);
        QCOMPARE(stage.window->property("page").toString(), u"trust"_s);
        QTRY_VERIFY(!itemsWithText(stage.item("trustWaiting"), u"Copy"_s).isEmpty());
        QQuickItem *button = itemsWithText(stage.item("trustWaiting"), u"Copy"_s).first();
        button->forceActiveFocus(Qt::TabFocusReason);
        QTest::keyClick(stage.window, Qt::Key_Space);
        QTRY_VERIFY(!itemsWithText(stage.item("trustWaiting"), u"Copied"_s).isEmpty());
        QCOMPARE(QGuiApplication::clipboard()->text(),
                 u"lintelctl device approve 3f9a61c2d07be458 --name NAME --kind KIND --site SITE"_s);
    }

    /// A recording beside a device of now: the window goes to its time and back by a press.
    void recording_isReachedAndLeftByAPress()
    {
        Stage stage;
        stage.link(LinkState::Phase::Connected);
        QVERIFY(stage.open());
        QQuickItem *now = stage.item("nowButton");
        QVERIFY(now && !now->isVisible());
        Point meter;
        meter.id = u"kwh"_s;
        meter.name = u"Rat office Adele"_s;
        meter.unit = Unit::KilowattHour;
        meter.tags = {u"recorded"_s};
        Point air;
        air.id = u"t"_s;
        air.name = u"Zone air temperature"_s;
        air.unit = Unit::Celsius;
        for (const auto &[node, point] : {std::pair{u"hvac-001"_s, air}, {u"replay-001"_s, meter}}) {
            sparkplug::Participant who;
            who.node = {u"building-1"_s, node};
            who.online = true;
            who.since = stage.clock.now();
            who.points = {point};
            stage.store.applyBirth(who);
            for (int row = 0; row < 40; ++row) {
                const bool isMeter = point.id == meter.id;
                const Timestamp at = isMeter ? std::chrono::sys_days{std::chrono::year{2016} / 1 / 1} + row * 1h
                                             : stage.clock.now() - 10s * (40 - row);
                const double value = isMeter ? 640 + 60 * std::sin(row * 0.4) : 21 + 0.02 * row;
                stage.store.applyBatch(
                    {who.node, {}, {node, {{point.id, value, point.unit, at, Quality::Good, false}}, {}}, {}, false});
            }
        }
        stage.app.refresh();
        QVERIFY(!stage.app.live()->isAtRecording());
        QVERIFY(!stage.app.live()->anyGap());
        stage.save(u"recording-before"_s);
        stage.app.live()->toggle(1);
        QVERIFY(stage.app.live()->isAtRecording());
        QTRY_VERIFY(now->isVisible());
        QVERIFY(!stage.app.live()->anyGap());
        stage.save(u"recording-picked"_s);
        QMetaObject::invokeMethod(now, "clicked");
        QVERIFY(!stage.app.live()->isAtRecording());
        QTRY_VERIFY(!now->isVisible());
        stage.save(u"recording-after"_s);
    }

    void keyboard_reachesPagesListsAndChoices()
    {
        ExampleStage stage;
        QVERIFY(stage.open());
        QVERIFY(stage.fill());
        stage.window->requestActivate();
        QVERIFY(QTest::qWaitForWindowActive(stage.window));

        QTest::keyClick(stage.window, Qt::Key_2, Qt::ControlModifier);
        QCOMPARE(stage.window->property("page").toString(), u"devices"_s);
        stage.item("deviceList")->forceActiveFocus(Qt::TabFocusReason);
        const int before = stage.app.detail()->device();
        QTest::keyClick(stage.window, Qt::Key_Down);
        QVERIFY(stage.app.detail()->device() != before);
        QTest::keyClick(stage.window, Qt::Key_F, Qt::ControlModifier);
        for (const char key : {'h', 'v', 'a', 'c'})
            QTest::keyClick(stage.window, key);
        QCOMPARE(stage.app.devices()->count(), 5);
        QTest::keyClick(stage.window, Qt::Key_Escape);
        QCOMPARE(stage.app.devices()->count(), 9);

        QTest::keyClick(stage.window, Qt::Key_1, Qt::ControlModifier);
        QCOMPARE(stage.window->property("page").toString(), u"live"_s);
        stage.item("windowChoice")->forceActiveFocus(Qt::TabFocusReason);
        QTest::keyClick(stage.window, Qt::Key_Right);
        QCOMPARE(stage.app.live()->windowMinutes(), 60);
        QTest::keyClick(stage.window, Qt::Key_Tab);
        QTest::keyClick(stage.window, Qt::Key_Space);
        QVERIFY(stage.app.live()->isPaused());

        QQuickItem *points = stage.item("pointList");
        points->forceActiveFocus(Qt::TabFocusReason);
        const int drawn = stage.app.live()->picker()->pickedCount();
        points->setProperty("currentIndex", 1);
        QTest::keyClick(stage.window, Qt::Key_Space);
        QCOMPARE(std::abs(stage.app.live()->picker()->pickedCount() - drawn), 1);
    }

    void units_areChosenInTheRailAndShownOnEveryPage()
    {
        ExampleStage stage;
        QVERIFY(stage.open(u"devices"_s));
        QVERIFY(stage.fill());
        stage.window->requestActivate();
        QVERIFY(QTest::qWaitForWindowActive(stage.window));
        const auto firstUnit = [devices = stage.app.devices()] {
            constexpr int kRowOfHvac = 2;
            const QVariant values = devices->data(devices->index(kRowOfHvac), DeviceListModel::ValuesRole);
            return values.toList().value(0).toMap().value(u"unit"_s).toString();
        };
        QCOMPARE(firstUnit(), u"°C"_s);
        QQuickItem *choice = stage.item("unitChoice");
        QVERIFY(choice);
        QCOMPARE(choice->property("displayText").toString(), u"As reported"_s);
        choice->forceActiveFocus(Qt::TabFocusReason);
        QTest::keyClick(stage.window, Qt::Key_Space);
        QTest::keyClick(stage.window, Qt::Key_Down);
        QTest::keyClick(stage.window, Qt::Key_Down);
        stage.save(u"units-open"_s);
        QTest::keyClick(stage.window, Qt::Key_Space);
        QCOMPARE(stage.app.units()->choice(), u"us"_s);
        QCOMPARE(choice->property("displayText").toString(), u"US"_s);
        QCOMPARE(firstUnit(), u"°F"_s);
        stage.save(u"units-devices"_s);
        QTest::keyClick(stage.window, Qt::Key_1, Qt::ControlModifier);
        QTRY_COMPARE(stage.app.live()->panelCount(), 3);
        QCOMPARE(stage.app.live()->panels()[0]->unitText(), u"°F"_s);
        stage.save(u"units-live"_s);
        stage.app.units()->setSystem(UnitSystem::Metric);
        QCOMPARE(choice->property("displayText").toString(), u"Metric"_s);
        QCOMPARE(stage.app.live()->panels()[0]->unitText(), u"°C"_s);
    }

    void longName_isToldWhereThePointerRests()
    {
        Stage stage;
        Point point;
        point.id = u"p"_s;
        point.name = u"Power demand of the second floor's lighting, mean of the last fifteen minutes"_s;
        point.unit = Unit::Kilowatt;
        point.staleAfter = 60s;
        sparkplug::Participant who;
        who.node = {u"building-1"_s, u"energy-1"_s};
        who.online = true;
        who.since = stage.clock.now();
        who.points = {point};
        QVERIFY(stage.open(u"devices"_s));
        stage.store.applyBirth(who);
        stage.link(LinkState::Phase::Connected);
        stage.app.refresh();
        const auto texts = [&stage, &point] { return itemsWithText(stage.window->contentItem(), point.name); };
        const auto inList = [&stage, &point] { return itemsWithText(stage.item("deviceList"), point.name).value(0); };
        QTRY_VERIFY(inList() && inList()->property("truncated").toBool());
        const auto before = texts().size();
        QQuickItem *text = inList();
        const QPoint middle = text->mapToScene(QPointF(text->width() / 2, text->height() / 2)).toPoint();
        QTest::mouseMove(stage.window, middle + QPoint(0, 200));
        QTest::mouseMove(stage.window, middle);
        // The note, above everything.
        QTRY_COMPARE(texts().size(), before + 1);
        QTRY_VERIFY(texts().last()->width() > text->width() && !texts().last()->property("truncated").toBool());
        stage.save(u"long-name"_s);
        stage.app.detail()->setDevice(-1);
        QTest::mouseClick(stage.window, Qt::LeftButton, {}, middle); // what lies above the row takes no press
        QCOMPARE(stage.app.detail()->device(), 0);
        QTest::mouseMove(stage.window, {1, 1}); // pictures of other tests are without a pointer
    }

    void assistiveTechnology_hearsANameForEverythingThatTakesFocus()
    {
        QAccessible::setActive(true);
        ExampleStage stage;
        QVERIFY(stage.open(u"devices"_s));
        QVERIFY(stage.fill());
        QStringList nameless;
        QStringList names;
        const std::function<void(QAccessibleInterface *)> walk = [&](QAccessibleInterface *node) {
            if (!node)
                return;
            const QString name = node->text(QAccessible::Name);
            names.append(name);
            if (node->state().focusable && node->role() != QAccessible::Window && name.isEmpty())
                nameless.append(QString::number(node->role(), 16));
            for (int i = 0; i < node->childCount(); ++i)
                walk(node->child(i));
        };
        walk(QAccessible::queryAccessibleInterface(stage.window));
        QAccessible::setActive(false);
        QVERIFY2(nameless.isEmpty(), qPrintable(nameless.join(u' ')));
        QVERIFY(names.contains(u"reporting: 8 of 9"_s));
        QVERIFY(std::ranges::any_of(names, [](const QString &name) {
            return name.startsWith(u"occupancy-009, "_s) && name.contains(u"offline since"_s);
        }));
    }

    void golden_data()
    {
        QTest::addColumn<QString>("page");
        QTest::addColumn<QString>("theme");
        QTest::addColumn<QSize>("size");
        QTest::newRow("live-light-1280") << u"live"_s << u"light"_s << QSize(1280, 800);
        QTest::newRow("live-dark-900") << u"live"_s << u"dark"_s << QSize(900, 600);
        QTest::newRow("trust-light-1280") << u"trust"_s << u"light"_s << QSize(1280, 800);
        QTest::newRow("devices-dark-1280") << u"devices"_s << u"dark"_s << QSize(1280, 800);
        QTest::newRow("devices-light-900") << u"devices"_s << u"light"_s << QSize(900, 600);
    }

    void golden()
    {
        QFETCH(QString, page);
        QFETCH(QString, theme);
        QFETCH(QSize, size);
        ExampleStage stage;
        QVERIFY(stage.open(page, theme, size));
        QVERIFY(stage.fill());
        QTRY_COMPARE(stage.window->size(), size);
        // Lines are drawn once the charts have had their size.
        QCoreApplication::processEvents();
        stage.app.refresh();
        compareGolden(stage.picture(), QString::fromLatin1(QTest::currentDataTag()));
    }

    void pictures()
    {
        const QString dir = qEnvironmentVariable("LINTEL_PICTURES");
        if (dir.isEmpty())
            QSKIP("Set LINTEL_PICTURES to a folder to get pictures of pages, themes and sizes.");
        for (const auto &[page, theme, size, name] :
             std::initializer_list<std::tuple<QString, QString, QSize, QString>>{
                 {u"live"_s, u"light"_s, {1440, 900}, u"live-light-1440"_s},
                 {u"live"_s, u"dark"_s, {2560, 1440}, u"live-dark-2560"_s},
                 {u"devices"_s, u"light"_s, {1440, 900}, u"devices-light-1440"_s},
             }) {
            ExampleStage stage;
            QVERIFY(stage.open(page, theme, size));
            QVERIFY(stage.fill());
            stage.save(name);
            stage.broker.setReachable(false);
            QTRY_VERIFY(stage.store.isCut());
            stage.clock.advance(3min);
            stage.app.refresh();
            stage.save(name + u"-cut"_s);
        }
    }
};

int main(int argc, char **argv)
{
    QQuickWindow::setTextRenderType(QQuickWindow::NativeTextRendering);
    QApplication app(argc, argv);
    if (const auto fonts = installFonts(); !fonts)
        qFatal("%s", qPrintable(fonts.error().message));
    TestConsolePages test;
    QTEST_SET_MAIN_SOURCE_PATH
    return QTest::qExec(&test, argc, argv);
}

#include "tst_console_pages.moc"
