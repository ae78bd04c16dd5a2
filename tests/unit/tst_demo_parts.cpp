// Parts of the demo by themselves: what it quotes of a log, its work folder, the watch over a revoked sensor.
#include "adapters/sqlite/sqlite_spool.h"
#include "demo/accounting.h"
#include "demo/child_process.h"
#include "demo/final_state.h"
#include "demo/revocation.h"
#include "demo/status_board.h"
#include "demo/work_folder.h"
#include "fakes/fake_clock.h"
#include "fakes/scripted_transport.h"
#include "gateway/spool_store.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include <fcntl.h>
#include <pty.h>
#include <unistd.h>

using namespace lintel;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

class TestDemoParts : public QObject
{
    Q_OBJECT

    static MqttMessage message(const char *verb, const char *node = "energy-001")
    {
        return {u"spBv1.0/building-1/%1/%2"_s.arg(QLatin1StringView(verb), QLatin1StringView(node)), {}, 0, false};
    }

private Q_SLOTS:
    void board_isClearedBeforeTheAccount()
    {
        int terminal = -1;
        int screen = -1;
        QCOMPARE(::openpty(&terminal, &screen, nullptr, nullptr, nullptr), 0);
        std::fflush(stdout);
        const int standardOutput = ::dup(STDOUT_FILENO);
        ::dup2(screen, STDOUT_FILENO);
        demo::StatusBoard board(false);
        demo::BoardState state;
        board.show(state);
        board.clear();
        board.clear(); // nothing is left to take away
        ::dup2(standardOutput, STDOUT_FILENO);
        ::close(standardOutput);
        ::fcntl(terminal, F_SETFL, O_NONBLOCK);
        const qsizetype lines = demo::StatusBoard::table(state).count(u'\n');
        const QByteArray cleared = "\r\n\x1b[" + QByteArray::number(lines) + "A\x1b[J";
        QByteArray written; // the kernel may pass it on in pieces
        const bool isCleared = QTest::qWaitFor(
            [&] {
                QByteArray piece(16'384, '\0');
                const auto size = ::read(terminal, piece.data(), size_t(piece.size()));
                written += piece.left(std::max<qsizetype>(0, size));
                return written.endsWith(cleared);
            },
            20'000);
        ::close(screen);
        ::close(terminal);
        QVERIFY(written.contains("sensors online"));
        QVERIFY2(isCleared, written);
    }

    void oneOfAKind_isSaidInTheSingular()
    {
        demo::BoardState state;
        state.sensors = 1;
        state.oldestUnsentSeconds = 2;
        state.pendingAtGateway = 1;
        QVERIFY2(demo::StatusBoard::table(state).contains(u"2 s, 1 reading waits\n"_s),
                 qPrintable(demo::StatusBoard::table(state)));
        QVERIFY2(demo::StatusBoard::line(state).contains(u"0 of 1 sensor online"_s),
                 qPrintable(demo::StatusBoard::line(state)));
        state.pendingAtGateway = 5;
        QVERIFY(demo::StatusBoard::table(state).contains(u"2 s, 5 readings wait\n"_s));
        demo::Totals totals;
        totals.produced = totals.pendingAtSensors = totals.duplicates = totals.gaps = 1;
        totals.storedGateway = totals.storedCloud = 0;
        totals.pendingAtGateway = 1;
        const QStringList expected{
            u"1 reading still lies in a sensor that has stopped; it would be sent at the next start."_s,
            u"The sensors produced 1 reading, but the gateway stored 0."_s,
            u"The gateway still holds 1 reading that the cloud has not acknowledged."_s,
            u"The sensors produced 1 reading, but the cloud stored 0."_s,
            u"1 reading stands in the historian more than once."_s,
            u"The historian knows of 1 gap."_s,
        };
        QCOMPARE(demo::problemsOf(totals), expected);
    }

    void lastComplaints_quoteNoInformation()
    {
        QCOMPARE(demo::lastComplaints(u"2026-11-21T17:44:18.242Z level=INFO category=lintel.sensor msg=\"connected\"\n"
                                      "2026-11-21T17:44:18: New client connected from 127.0.0.1.\n"_s),
                 QString());
        const QString warning =
            u"2026-11-21T17:44:18.242Z level=WARNING category=lintel.sensor msg=\"no connection\""_s;
        const QString refusal = u"lintel-sensor: The spool is of a newer version."_s;
        const QString broker = u"1795283066: Error: Address already in use"_s;
        QCOMPARE(
            demo::lastComplaints(u"an older line\n"_s + warning + u"\n1795283066: mosquitto starting\n"_s + refusal),
            warning + u'\n' + refusal);
        QCOMPARE(demo::lastComplaints(broker), broker);
    }

    void workFolder_isRemovedWhenItsOwnerIsGone()
    {
        const QTemporaryDir parent;
        const QDir dir(parent.path());
        auto mine = demo::WorkFolder::make(dir);
        QVERIFY(mine);
        const QString path = (*mine)->path();
        QVERIFY(dir.mkpath(u"lintel-demo-nolock"_s));      // just being made, or somebody else's
        QVERIFY(dir.mkpath(u"lintel-demo-Dead01/keys"_s)); // its owner was killed
        QFile lock(dir.filePath(u"lintel-demo-Dead01/owner.lock"_s));
        QVERIFY(lock.open(QIODevice::WriteOnly));
        lock.close();
        QCOMPARE(demo::removeLeftFolders(dir), 1);
        QVERIFY(!dir.exists(u"lintel-demo-Dead01"_s));
        QVERIFY(dir.exists(u"lintel-demo-nolock"_s));
        QVERIFY(QDir(path).exists());
        (*mine).reset();
        QVERIFY(!QDir(path).exists());
    }

    void freeSpace_isCheckedAlsoOfAFolderThatIsNotThereYet()
    {
        const QTemporaryDir parent;
        const QString folder = parent.filePath(u"a/b"_s);
        QVERIFY(demo::checkFreeSpace(folder, 1));
        const auto refused = demo::checkFreeSpace(folder, std::numeric_limits<qint64>::max());
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Full);
        QVERIFY2(refused.error().message.contains(folder) && refused.error().message.contains(u"--keep"_s),
                 qPrintable(refused.error().message));
    }

    void revocation_measuresUntilTheBrokerSaysThatTheSensorDied()
    {
        FakeClock clock;
        ScriptedTransport transport;
        demo::Revocation revocation(u"building-1"_s, u"energy-001"_s, transport, clock);
        transport.start([] { return MqttConnect(); });
        transport.accept();
        QCOMPARE(transport.subscriptions.size(), 1);
        Q_EMIT transport.messageReceived(message("NDEATH")); // an end of before
        Q_EMIT transport.messageReceived(message("NBIRTH"));
        QVERIFY(!revocation.problems().isEmpty()); // not revoked yet
        revocation.accepted(clock.now());
        QVERIFY(!revocation.isOut());
        clock.advance(30ms);
        Q_EMIT transport.messageReceived(message("NDEATH", "hvac-001")); // somebody else
        QVERIFY(!revocation.isOut());
        clock.advance(10ms);
        Q_EMIT transport.messageReceived(message("NDEATH"));
        QCOMPARE(revocation.closedAfterMs(), std::optional<qint64>(40));
        QVERIFY(!revocation.isProven());
        clock.advance(5s);
        QVERIFY(revocation.isProven());
        Q_EMIT transport.messageReceived(message("NCMD")); // the gateway's, not the sensor's
        QCOMPARE(revocation.report().acceptedAfter, 0u);
        QCOMPARE(revocation.problems(), QStringList());
    }

    /// It was sent away between a message and its acknowledgement: the gateway has what it still holds.
    void account_knowsWhatTheGatewayTookOfARefusedSensor()
    {
        const QTemporaryDir folder;
        demo::DemoPlan plan;
        plan.root = QDir(folder.path());
        const FakeClock clock;
        const auto open = [&](const QString &agent) {
            plan.root.mkpath(plan.stateDir(agent));
            return SqliteSpool::open({plan.stateDir(agent) + u"/spool.db"_s, agent, {}, {}}, clock);
        };
        {
            const auto sensor = open(u"energy-001"_s);
            const auto gateway = open(u"gateway"_s);
            QVERIFY(sensor && gateway);
            const StreamId stream = (*sensor)->status().stream;
            std::vector<IncomingBatch> taken;
            std::vector<sparkplug::HostBatch> arrived;
            for (Msn msn = 1; msn <= 4; ++msn) {
                const ReadingBatch batch{
                    u"energy-001"_s, {Reading{u"power"_s, double(msn), Unit::Kilowatt, clock.now()}}, {}};
                taken.push_back({batch, {}});
                if (msn <= 3)
                    arrived.push_back({{demo::ids::kSite, u"energy-001"_s}, {}, batch, Receipt{stream, msn}});
            }
            QVERIFY((*sensor)->append(taken));
            QVERIFY((*sensor)->acknowledge(1));
            QVERIFY(SpoolStore(**gateway).append(arrived));
        }
        const auto held = demo::readingsNobodyElseHas(plan, u"energy-001"_s);
        QVERIFY2(held, held ? "" : qPrintable(held.error().message));
        QCOMPARE(*held, 1u);
    }

    void revocation_noticesWhoComesBack()
    {
        FakeClock clock;
        ScriptedTransport transport;
        demo::Revocation revocation(u"building-1"_s, u"energy-001"_s, transport, clock);
        transport.start([] { return MqttConnect(); });
        transport.accept();
        revocation.accepted(clock.now());
        Q_EMIT transport.messageReceived(message("NDATA")); // was on its way
        QCOMPARE(revocation.report().acceptedAfter, 0u);
        Q_EMIT transport.messageReceived(message("NDEATH"));
        clock.advance(3s);
        Q_EMIT transport.messageReceived(message("NBIRTH"));
        Q_EMIT transport.messageReceived(message("NDATA"));
        QCOMPARE(revocation.report().acceptedAfter, 2u);
        QVERIFY(!revocation.isOut());
        QCOMPARE(revocation.problems().size(), 2);
    }

    void revocation_believesTheBrokerThatHeardMore()
    {
        FakeClock clock;
        ScriptedTransport transport;
        demo::Revocation revocation(u"building-1"_s, u"energy-001"_s, transport, clock);
        revocation.accepted(clock.now());
        revocation.takeAuthoritysWord({clock.now(), clock.now() + 1s});
        QCOMPARE(revocation.report().acceptedAfter, 0u);
        revocation.takeAuthoritysWord({clock.now(), clock.now() + 3s});
        QCOMPARE(revocation.report().acceptedAfter, 1u);
    }
};

QTEST_GUILESS_MAIN(TestDemoParts)
#include "tst_demo_parts.moc"
