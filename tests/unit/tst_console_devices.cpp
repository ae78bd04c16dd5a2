// SPDX-License-Identifier: GPL-3.0-only
// The list of devices and the one that is selected.
#include "fakes/console_building.h"

#include "connection/connection_model.h"
#include "devices/device_detail_model.h"
#include "devices/device_list_model.h"
#include "live/live_page_model.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

class TestConsoleDevices : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void deviceList_coalescesTenThousandRows()
    {
        Building b;
        DeviceListModel model(b.store, b.units);
        for (int i = 0; i < 10'000; ++i)
            b.store.applyBirth(participant(u"node-%1"_s.arg(i), {point(u"t"_s)}, b.clock.now()));
        model.flush();
        QCOMPARE(model.rowCount(), 10'000);
        QCOMPARE(model.data(model.index(2), DeviceListModel::NameRole).toString(), u"node-2"_s); // numbers as numbers
        QSignalSpy changes(&model, &DeviceListModel::dataChanged);
        for (int round = 0; round < 5; ++round) {
            for (int i = 100; i < 10'000; i += 7) {
                b.clock.advance(1ms);
                b.send(u"node-%1"_s.arg(i), u"t"_s, i);
            }
        }
        QCOMPARE(changes.count(), 0);
        model.flush();
        QCOMPARE(changes.count(), 1);
        QCOMPARE(changes[0][0].toModelIndex().row(), 100);
        model.flush();
        QCOMPARE(changes.count(), 1);
    }

    void deviceList_saysWhatIsWrongInWords()
    {
        Building b;
        DeviceListModel model(b.store, b.units);
        b.store.applyBirth(participant(u"a"_s, {point(u"t"_s)}, b.clock.now()));
        b.store.applyBirth(participant(u"b"_s, {point(u"t"_s)}, b.clock.now()));
        b.send(u"a"_s, u"t"_s, 20);
        b.send(u"b"_s, u"t"_s, 20);
        model.refresh();
        QCOMPARE(model.attention(), 0);
        QCOMPARE(model.summary(), u"2 devices, all reporting"_s);
        b.clock.advance(20s);
        b.send(u"a"_s, u"t"_s, 20);
        model.refresh();
        QCOMPARE(model.attention(), 1);
        QVERIFY(model.data(model.index(1), DeviceListModel::StateTextRole).toString().startsWith(u"silent since"_s));
        QCOMPARE(model.data(model.index(1), DeviceListModel::PriorityRole).toInt(), 3);
        model.setAttentionOnly(true);
        QCOMPARE(model.rowCount(), 1);
        model.setAttentionOnly(false);
        model.setSearch(u"a"_s);
        QVERIFY(model.rowCount() >= 1);
        model.setSearch(u"nothing like this"_s);
        QCOMPARE(model.rowCount(), 0);
    }

    void order_isThatOfNamesWhoeverReportsFirst()
    {
        const QStringList nodes{u"hvac-10"_s, u"hvac-2"_s, u"Hvac-1"_s};
        const QList<Point> points{point(u"b"_s), point(u"a10"_s), point(u"a9"_s)};
        QStringList first;
        for (const bool reversed : {false, true}) {
            Building b;
            LivePageModel live(b.store, b.units);
            DeviceListModel devices(b.store, b.units);
            for (int i = 0; i < nodes.size(); ++i) {
                const QString node = nodes[reversed ? nodes.size() - 1 - i : i];
                QList<Point> born = points;
                if (reversed)
                    std::ranges::reverse(born);
                b.store.applyBirth(participant(node, born, b.clock.now()));
                live.refresh(); // people look on while the building comes up
            }
            devices.refresh();
            QCOMPARE(namesIn(devices, DeviceListModel::NameRole),
                     (QStringList{u"Hvac-1"_s, u"hvac-2"_s, u"hvac-10"_s}));
            QCOMPARE(namesIn(*live.picker(), PointPickerModel::NameRole).first(3),
                     (QStringList{u"a9"_s, u"a10"_s, u"b"_s}));
            QCOMPARE(namesIn(*live.panels()[0], LivePanel::DeviceRole),
                     (QStringList{u"Hvac-1"_s, u"hvac-2"_s, u"hvac-10"_s}));
            QVERIFY(live.panels()[0]->series()[0].focused);
            DeviceDetailModel detail(b.store, b.units);
            detail.setDevice(devices.deviceAt(0));
            QCOMPARE(namesIn(detail, DeviceDetailModel::NameRole), (QStringList{u"a9"_s, u"a10"_s, u"b"_s}));
        }
    }

    void order_goesBySiteFirst()
    {
        Building b;
        PointPickerModel picker(b.store, b.units);
        for (const QString &site : {u"b"_s, u"a"_s}) {
            auto who = participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now());
            who.node.group = site;
            b.store.applyBirth(who);
        }
        picker.refresh();
        QCOMPARE(namesIn(picker, PointPickerModel::DeviceRole), (QStringList{u"a · hvac-1"_s, u"b · hvac-1"_s}));
    }

    void refusedDevice_saysItsStateWhyAndSinceWhen_data()
    {
        using State = DeviceIdentity::State;
        QTest::addColumn<DeviceIdentity::State>("state");
        QTest::addColumn<QString>("sentence");
        QTest::addColumn<int>("priority");
        QTest::addColumn<QString>("text");
        QTest::addColumn<QString>("reason");
        QTest::newRow("revoked") << State::Revoked << u"lost in the field"_s << 2 << u"revoked since "_s
                                 << u"lost in the field"_s;
        QTest::newRow("expired") << State::Expired << u"identity expired, buffering: the authority does not answer"_s
                                 << 2 << u"identity expired, buffering since "_s << u"the authority does not answer"_s;
        QTest::newRow("never admitted") << State::NotAdmitted << u"nobody has approved it"_s << 2
                                        << u"not admitted since "_s << u"nobody has approved it"_s;
        QTest::newRow("refused") << State::Refused << u"its certificate is of another trust domain"_s << 2
                                 << u"refused by the broker since "_s
                                 << u"its certificate is of another trust domain"_s;
        QTest::newRow("overdue") << State::Overdue << QString() << 3 << u"identity not renewed since "_s << QString();
        QTest::newRow("valid") << State::Valid << u"fine"_s << 0 << u"reporting"_s << QString();
    }
    void refusedDevice_saysItsStateWhyAndSinceWhen()
    {
        QFETCH(DeviceIdentity::State, state);
        QFETCH(QString, sentence);
        QFETCH(int, priority);
        QFETCH(QString, text);
        QFETCH(QString, reason);
        Building b;
        DeviceListModel model(b.store, b.units);
        DeviceDetailModel detail(b.store, b.units);
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        b.send(u"hvac-1"_s, u"t"_s, 20);
        b.store.applyIdentity(u"building-1"_s, u"hvac-1"_s, {state, sentence, b.clock.now() - 1h});
        model.refresh();
        detail.setDevice(0);
        const auto role = [&model](int which) { return model.data(model.index(0), which).toString(); };
        QVERIFY2(role(DeviceListModel::StateTextRole).startsWith(text),
                 qPrintable(role(DeviceListModel::StateTextRole)));
        QCOMPARE(role(DeviceListModel::ReasonRole), reason);
        QCOMPARE(detail.reason(), reason);
        QCOMPARE(detail.stateText(), role(DeviceListModel::StateTextRole));
        QCOMPARE(model.attention(), priority > 0 ? 1 : 0);
        QCOMPARE(model.attentionPriority(), priority);
        // The other way round nothing is known of it here.
        b.store.setLink({LinkState::Phase::Lost, u"gateway:8883"_s, {}, b.clock.now(), {}});
        QCOMPARE(role(DeviceListModel::StateTextRole), u"last known"_s);
    }

    void deviceThatWasNeverAdmitted_isOneRowAndStaysOne()
    {
        Building b;
        DeviceListModel model(b.store, b.units);
        ConnectionModel connection(b.store, {});
        b.store.applyIdentity(u"building-1"_s, u"hvac-9"_s, {DeviceIdentity::State::Valid, {}, {}});
        QCOMPARE(b.store.deviceCount(), 0); // nothing is wrong with it, and nobody has heard it
        b.store.applyIdentity(u"building-1"_s, u"hvac-9"_s,
                              {DeviceIdentity::State::NotAdmitted, u"Nobody has approved it."_s, b.clock.now()});
        model.refresh();
        QCOMPARE(model.rowCount(), 1);
        QVERIFY(connection.reportingText().isEmpty());
        b.store.applyIdentity(u"building-1"_s, u"hvac-9"_s, {});
        model.refresh();
        QCOMPARE(model.attention(), 0);
        b.store.applyBirth(participant(u"gateway"_s, {point(u"t"_s)}, b.clock.now(), u"hvac-9"_s));
        b.send(u"gateway"_s, u"t"_s, 20);
        QCOMPARE(b.store.device(0).device, u"hvac-9"_s);
        QVERIFY(b.store.device(0).online);
        QCOMPARE(b.store.device(0).points.size(), 1);
    }
};

QTEST_GUILESS_MAIN(TestConsoleDevices)
#include "tst_console_devices.moc"
