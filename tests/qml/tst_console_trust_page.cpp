// SPDX-License-Identifier: GPL-3.0-only
// The console's window about trust: devices that are refused, and the Trust page of one site and of several.
#include "fakes/console_stage.h"
#include "text/fonts.h"

#include <QApplication>
#include <QClipboard>
#include <QtQml/qqmlextensionplugin.h>

Q_IMPORT_QML_PLUGIN(Lintel_ViewModelsPlugin)
Q_IMPORT_QML_PLUGIN(Lintel_ConsolePlugin)

using namespace lintel;
using namespace lintel::test;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

class TestConsoleTrustPage : public QObject
{
    Q_OBJECT
private Q_SLOTS:
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
        QVERIFY(
            shows("trustWaiting", u"lintelctl device approve aaaaaaaaaaaaaaaa --name NAME --kind KIND --site SITE"_s));
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
};

int main(int argc, char **argv)
{
    QQuickWindow::setTextRenderType(QQuickWindow::NativeTextRendering);
    QApplication app(argc, argv);
    if (const auto fonts = installFonts(); !fonts)
        qFatal("%s", qPrintable(fonts.error().message));
    TestConsoleTrustPage test;
    QTEST_SET_MAIN_SOURCE_PATH
    return QTest::qExec(&test, argc, argv);
}

#include "tst_console_trust_page.moc"
