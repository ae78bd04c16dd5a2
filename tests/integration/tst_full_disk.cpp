// Disks that are full under real processes: sensor, gateway and historian, one after the other and all at once.
// One sentence says what and what to do, the process keeps running, nothing that was accepted is lost, and
// everything arrives once there is room. What was never accepted, because the process was killed or its
// memory ended, is written down as lost, and the historian shows it as a gap.
#include "fakes/needs.h"
#include "fakes/small_disk.h"
#include "integration/live_building.h"

#include <QCborArray>

#include <array>

#include <sys/resource.h>

using namespace lintel;
using namespace lintel::test;

namespace {

const QString kSensor = u"hvac-001"_s;

/// Where no disk of one's own may be mounted: no file of that process may grow, which looks nearly the same.
class GrowthLimit
{
public:
    [[nodiscard]] bool set(pid_t process)
    {
        if (::prlimit(process, RLIMIT_FSIZE, nullptr, &m_before) != 0)
            return false;
        rlimit full = m_before;
        full.rlim_cur = 96 * 1024; // the log file stays far below
        return ::prlimit(process, RLIMIT_FSIZE, &full, nullptr) == 0;
    }
    [[nodiscard]] bool lift(pid_t process) const { return ::prlimit(process, RLIMIT_FSIZE, &m_before, nullptr) == 0; }

private:
    rlimit m_before{};
};

/// What a process says of a disk that it cannot write to, and when it is over.
struct Words {
    QString process;
    QString failing;
    QString recovered;
};

const std::array kWords{
    Words{kSensor, u"Readings cannot be stored and wait in memory"_s, u"Readings are stored again"_s},
    Words{u"gateway"_s, u"Readings cannot be stored, so sensors keep theirs"_s, u"Readings are stored again"_s},
    Words{u"backend"_s, u"Readings cannot be stored, so gateways keep theirs"_s, u"Readings are stored again"_s}};

qint64 numberOf(const QCborMap &status, QLatin1StringView key)
{
    return status.value(key).toInteger(-1);
}

QCborMap statusOf(RunningBuilding &running, const QString &process)
{
    return process == u"gateway"   ? running.gateway(u"status"_s)
           : process == u"backend" ? running.backend(u"status"_s)
                                   : running.sensor(process, u"status"_s);
}

bool isFailing(RunningBuilding &running, const QString &process)
{
    const QCborMap status = statusOf(running, process);
    return process == kSensor ? numberOf(status, "waiting_batches"_L1) > 0
                              : status.value("storage_failing"_L1).toBool();
}

/// The gaps that the historian shows for what disks cost, as {readings of all, how many}.
struct Gaps {
    qint64 readings = 0;
    int count = 0;
};
Gaps gapsInCloud(RunningBuilding &running)
{
    Gaps sum;
    const QCborArray gaps = running.backend(u"list_gaps"_s).value("gaps"_L1).toArray();
    for (const QCborValue &gap : gaps) {
        const QCborMap one = gap.toMap();
        if (one.value("device"_L1).toString() != kSensor || one.value("reason"_L1).toString() != u"storage failed")
            continue;
        sum.readings += one.value("readings"_L1).toInteger();
        ++sum.count;
    }
    return sum;
}

qint64 lossesOf(const QCborMap &status)
{
    qint64 told = 0;
    const QCborArray losses = status.value("losses"_L1).toArray();
    for (const QCborValue &one : losses)
        told += one.toMap().value("readings"_L1).toInteger();
    return told;
}

/// Once, however long it lasts, and with the advice.
void checkSaidOnce(RunningBuilding &running, const Words &words)
{
    QStringList said;
    const QStringList lines = running.log(words.process).split(u'\n');
    for (const QString &line : lines) {
        if (line.contains(words.failing))
            said << line;
    }
    QVERIFY2(said.size() == 1, qPrintable(said.join(u'\n')));
    QVERIFY2(said.first().contains(u"disk full"_s) && said.first().contains(u"free some space"_s),
             qPrintable(said.first()));
}

} // namespace

class TestFullDisk : public QObject
{
    Q_OBJECT

    bool m_canMount = false;

private Q_SLOTS:
    void initTestCase() { m_canMount = SmallDisk(u"4m"_s).isMounted(); }

    void fullDisk_isSaidAndNothingIsLost_data()
    {
        QTest::addColumn<int>("which");
        for (size_t i = 0; i < kWords.size(); ++i)
            QTest::addRow("%s", qPrintable(kWords[i].process)) << int(i);
    }

    void fullDisk_isSaidAndNothingIsLost()
    {
        QFETCH(int, which);
        const Words &words = kWords[size_t(which)];
        const QString &process = words.process;
        const SmallDisk disk(u"16m"_s); // outlives those who write on it
        GrowthLimit limit;
        RunningBuilding running(planWith({kSensor}));
        if (disk.isMounted())
            QVERIFY(disk.linkAt(running.building->plan().stateDir(process)));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 20, kPatience);
        const auto pid = pid_t(running.building->child(process)->pid());
        QVERIFY(disk.isMounted() ? disk.fill() : limit.set(pid));
        QTRY_VERIFY_WITH_TIMEOUT(isFailing(running, process), kPatience);
        QVERIFY2(running.log(process).contains(words.failing), qPrintable(running.log(process)));
        if (process == u"gateway")
            QTRY_VERIFY_WITH_TIMEOUT(pendingAt(statusOf(running, kSensor)) > 20, kPatience);
        else if (process == u"backend")
            QTRY_VERIFY_WITH_TIMEOUT(pendingAt(statusOf(running, u"gateway"_s)) > 20, kPatience);
        else
            QTRY_VERIFY_WITH_TIMEOUT(numberOf(statusOf(running, kSensor), "held_in_memory"_L1) > 20, kPatience);
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
        if (disk.isMounted())
            checkSaidOnce(running, words);

        QVERIFY(disk.isMounted() ? disk.free() : limit.lift(pid));
        QTRY_VERIFY_WITH_TIMEOUT(!isFailing(running, process), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(running.log(process).contains(words.recovered), kPatience);
        QCOMPARE(pid_t(running.building->child(process)->pid()), pid); // no restart was needed
        checkNothingIsLost(running, kSensor);
    }

    void allDisksAtOnce_nothingIsLostWhenTheyAreFreedOneByOne()
    {
        if (!m_canMount)
            LINTEL_SKIP(
                "A file system of its own may not be mounted here; run this as root, or allow user namespaces.");
        const std::array<SmallDisk, kWords.size()> disks{SmallDisk(u"16m"_s), SmallDisk(u"16m"_s), SmallDisk(u"16m"_s)};
        RunningBuilding running(planWith({kSensor}));
        std::array<pid_t, kWords.size()> pids{};
        for (size_t i = 0; i < kWords.size(); ++i)
            QVERIFY(disks[i].linkAt(running.building->plan().stateDir(kWords[i].process)));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 20, kPatience);
        // From the far end, so that each has something in hand that the next one refuses.
        for (size_t i = kWords.size(); i-- > 0;) {
            pids[i] = pid_t(running.building->child(kWords[i].process)->pid());
            QVERIFY(disks[i].fill());
            QTRY_VERIFY2_WITH_TIMEOUT(isFailing(running, kWords[i].process), qPrintable(kWords[i].process), kPatience);
        }
        // From the near end, so that what comes free has nowhere to go at first.
        for (size_t i = 0; i < kWords.size(); ++i) {
            QVERIFY(disks[i].free());
            QTRY_VERIFY2_WITH_TIMEOUT(!isFailing(running, kWords[i].process), qPrintable(kWords[i].process), kPatience);
        }
        for (size_t i = 0; i < kWords.size(); ++i)
            QCOMPARE(pid_t(running.building->child(kWords[i].process)->pid()), pids[i]);
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
        checkNothingIsLost(running, kSensor);
    }

    void killedWhileFull_theLossIsAGapInTheCloud()
    {
        if (!m_canMount)
            LINTEL_SKIP(
                "A file system of its own may not be mounted here; run this as root, or allow user namespaces.");
        const SmallDisk disk(u"4m"_s);
        RunningBuilding running(planWith({kSensor}));
        QVERIFY(disk.linkAt(running.building->plan().stateDir(kSensor)));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 20, kPatience);
        QCOMPARE(numberOf(statusOf(running, kSensor), "held_in_memory"_L1), 0);

        QVERIFY(disk.fill());
        QTRY_VERIFY_WITH_TIMEOUT(numberOf(statusOf(running, kSensor), "held_in_memory"_L1) > 30, kPatience);
        const QCborMap before = statusOf(running, kSensor);
        QVERIFY(before.value("held_is_noted"_L1).toBool());
        QVERIFY(!before.value("not_durable_since"_L1).toString().isEmpty());
        running.kill(kSensor);

        // The disk is still full: it starts, says so, and holds again.
        QVERIFY(disk.fill());
        running.restart(kSensor);
        QTRY_VERIFY2_WITH_TIMEOUT(
            running.log(kSensor).contains(u"never reached the disk; their loss is recorded when"_s),
            qPrintable(running.log(kSensor)), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(numberOf(statusOf(running, kSensor), "held_in_memory"_L1) > 10, kPatience);
        const QCborMap again = statusOf(running, kSensor);
        QVERIFY(again.value("held_is_noted"_L1).toBool());
        running.kill(kSensor);

        QVERIFY(disk.free());
        running.restart(kSensor);
        const qint64 held = numberOf(before, "held_in_memory"_L1) + numberOf(again, "held_in_memory"_L1);
        QTRY_VERIFY_WITH_TIMEOUT(gapsInCloud(running).readings >= held, kPatience);
        // More only by what was measured between the last look and each kill, which a busy machine draws out.
        const Gaps gaps = gapsInCloud(running);
        QVERIFY2(gaps.readings <= held + 2'000, qPrintable(u"%1 of %2"_s.arg(gaps.readings).arg(held)));
        QVERIFY(gaps.count > 0);
        QCOMPARE(lossesOf(statusOf(running, kSensor)), gaps.readings);
        QTRY_COMPARE_WITH_TIMEOUT(numberOf(statusOf(running, kSensor), "held_in_memory"_L1), 0, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(numberOf(running.backend(u"status"_s), "readings_lost"_L1), gaps.readings, kPatience);
        checkAllArrived(running);
    }

    void fullFromTheFirstStart_storesWhatFitsIntoMemoryAndTellsTheRest()
    {
        if (!m_canMount)
            LINTEL_SKIP(
                "A file system of its own may not be mounted here; run this as root, or allow user namespaces.");
        const SmallDisk disk(u"4m"_s);
        RunningBuilding running(planWith({kSensor}));
        const QString state = running.building->plan().stateDir(kSensor);
        QVERIFY(disk.linkAt(state));
        QVERIFY(disk.fill()); // there is not even a spool
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const QString full =
            u"none of it is known after an end of this process, until the spool can be opened: disk full"_s;
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(kSensor).contains(full), qPrintable(running.log(kSensor)), kPatience);
        // Less memory, so that it ends sooner; nothing was ever accepted, so the first life leaves nothing.
        const QString config = running.building->plan().configFile(kSensor + u".yaml"_s);
        QFile file(config);
        QVERIFY(file.open(QIODevice::ReadOnly));
        QByteArray text = file.readAll();
        file.close();
        QVERIFY(text.contains("sampling:\n"));
        QVERIFY(writeFile(config, text.replace("sampling:\n", "sampling:\n  memory_batches: 64\n")));
        running.killAndRestart(kSensor);
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(kSensor).contains(u"the oldest ones are lost"_s),
                                  qPrintable(running.log(kSensor)), kPatience);
        QCOMPARE(running.log(kSensor).count(full), 2); // once a life
        QCOMPARE(running.log(kSensor).count(u"the oldest ones are lost"_s), 1);
        QVERIFY(running.building->child(kSensor)->isRunning());
        QVERIFY(!QFileInfo(state + u"/spool.db.note"_s).exists());

        QVERIFY(disk.free());
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(kSensor).contains(u"the spool is open"_s),
                                  qPrintable(running.log(kSensor)), kPatience);
        QCOMPARE(QFileInfo(state + u"/spool.db.note"_s).size(), 8192);
        QTRY_VERIFY_WITH_TIMEOUT(gapsInCloud(running).count > 0, kPatience);
        const QCborMap after = statusOf(running, kSensor);
        QCOMPARE(numberOf(after, "held_in_memory"_L1), 0);
        QVERIFY(after.value("held_is_noted"_L1).toBool());
        QCOMPARE(gapsInCloud(running).readings, numberOf(after, "lost"_L1));
        QCOMPARE(lossesOf(after), numberOf(after, "lost"_L1));
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
        checkAllArrived(running);
    }

private:
    /// Everything that the spool ever took is in the historian, once. Ends the sensor.
    static void checkAllArrived(RunningBuilding &running)
    {
        demo::ChildProcess *child = running.building->child(kSensor);
        child->terminate();
        QTRY_VERIFY_WITH_TIMEOUT(!child->isRunning(), kPatience);
        const auto spool = demo::readSpool(running.building->plan(), kSensor);
        QVERIFY2(spool, spool ? "" : qPrintable(spool.error().message));
        QCOMPARE(spool->pendingReadings, 0u);
        QVERIFY(spool->totalReadings > 0);
        QTRY_COMPARE_WITH_TIMEOUT(running.storedInCloud(), qint64(spool->totalReadings), kPatience);
        const QCborMap status = running.backend(u"status"_s, {{"exact"_L1, true}});
        QCOMPARE(numberOf(status, "readings_stored"_L1), qint64(spool->totalReadings));
        QCOMPARE(numberOf(status, "duplicates"_L1), 0);
    }
};

// Its own main: mounts are to end with this process, and to need no root where the system lets them.
int main(int argc, char **argv)
{
    lintel::test::enterOwnMounts();
    QCoreApplication application(argc, argv);
    TestFullDisk test;
    return QTest::qExec(&test, argc, argv);
}
#include "tst_full_disk.moc"
