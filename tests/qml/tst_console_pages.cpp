// SPDX-License-Identifier: GPL-3.0-only
// The console's window on fixture data: its states, the keyboard, names for assistive technology,
// and golden pictures. LINTEL_UPDATE_GOLDEN=1 writes the pictures anew; a difference is written to
// golden-diff/ beside the test program.
#include "fakes/console_stage.h"
#include "text/fonts.h"

#include <QAccessible>
#include <QApplication>
#include <QtQml/qqmlextensionplugin.h>

#include <cmath>

Q_IMPORT_QML_PLUGIN(Lintel_ViewModelsPlugin)
Q_IMPORT_QML_PLUGIN(Lintel_ConsolePlugin)

using namespace lintel;
using namespace lintel::test;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

namespace {

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
