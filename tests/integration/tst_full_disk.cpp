// A sensor's disk that is full, stays full, and is still full when the process is killed: what it measured is
// stored or written down as lost in the cloud, and the two add up. Real processes on a small file system.
#include "fakes/needs.h"
#include "integration/running_building.h"

#include <QCborArray>
#include <QFileInfo>
#include <QTest>

#include <cerrno>

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr int kPatience = 90'000;

demo::DemoPlan planWith(const QString &name)
{
    demo::DemoPlan plan;
    plan.sensorPeriod = 100ms;
    demo::SensorPlan sensor;
    sensor.name = name;
    sensor.space = u"floor-1/zone-a"_s;
    sensor.equip = u"ahu-1"_s;
    plan.sensors.append(sensor);
    return plan;
}

/// A file system in memory, which takes root to make.
class SmallDisk
{
public:
    SmallDisk()
        : m_isMounted(::mount("tmpfs", QFile::encodeName(m_dir.path()).constData(), "tmpfs", 0, "size=4m,mode=700")
                      == 0)
    {}
    ~SmallDisk()
    {
        if (m_isMounted)
            ::umount2(QFile::encodeName(m_dir.path()).constData(), MNT_DETACH);
    }
    [[nodiscard]] bool isMounted() const { return m_isMounted; }
    /// By a link, so that what runs there can be removed before the disk is.
    void linkAt(const QString &folder) const
    {
        QVERIFY(QDir().mkpath(QFileInfo(folder).absolutePath()));
        QVERIFY(QFile::link(m_dir.path(), folder));
    }
    [[nodiscard]] bool fill() const
    {
        const int file =
            ::open(QFile::encodeName(filler()).constData(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        const QByteArray block(4096, 'x');
        while (file >= 0 && ::write(file, block.constData(), size_t(block.size())) > 0) {
        }
        const bool isFull = file >= 0 && errno == ENOSPC;
        ::close(file);
        return isFull;
    }
    [[nodiscard]] bool free() const { return QFile::remove(filler()); }

private:
    QString filler() const { return m_dir.filePath(u"filler"_s); }

    QTemporaryDir m_dir;
    bool m_isMounted = false;
};

qint64 numberOf(const QCborMap &status, QLatin1StringView key)
{
    return status.value(key).toInteger(-1);
}

/// What the historian says that this sensor's full disk cost.
qint64 lostAtHome(RunningBuilding &running, const QString &device)
{
    qint64 lost = 0;
    const QCborArray gaps = running.backend(u"list_gaps"_s).value("gaps"_L1).toArray();
    for (const QCborValue &gap : gaps) {
        const QCborMap one = gap.toMap();
        if (one.value("device"_L1).toString() == device && one.value("reason"_L1).toString() == u"storage failed")
            lost += one.value("readings"_L1).toInteger();
    }
    return lost;
}

} // namespace

class TestFullDisk : public QObject
{
    Q_OBJECT

    const QString m_sensor = u"hvac-001"_s;

    QCborMap status(RunningBuilding &running) { return running.sensor(m_sensor, u"status"_s); }

private Q_SLOTS:
    void init()
    {
        if (!SmallDisk().isMounted())
            LINTEL_SKIP("A file system of its own may not be mounted here; run this as root.");
    }

    void killedWhileFull_theLossIsRecordedInTheCloud()
    {
        SmallDisk disk; // outlives those who write on it
        RunningBuilding running(planWith(m_sensor));
        disk.linkAt(running.building->plan().stateDir(m_sensor));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 20, kPatience);
        QCOMPARE(numberOf(status(running), "held_in_memory"_L1), 0);

        QVERIFY(disk.fill());
        QTRY_VERIFY_WITH_TIMEOUT(numberOf(status(running), "held_in_memory"_L1) > 30, kPatience);
        const QCborMap before = status(running);
        QCOMPARE(before.value("held_is_noted"_L1).toBool(), true);
        QVERIFY(!before.value("not_durable_since"_L1).toString().isEmpty());
        running.kill(m_sensor);

        // The disk is still full: it starts, says so, and holds again.
        running.restart(m_sensor);
        QTRY_VERIFY2_WITH_TIMEOUT(
            running.log(m_sensor).contains(u"never reached the disk; their loss is recorded when"_s),
            qPrintable(running.log(m_sensor)), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(numberOf(status(running), "held_in_memory"_L1) > 10, kPatience);
        const qint64 heldAgain = numberOf(status(running), "held_in_memory"_L1);
        running.kill(m_sensor);

        QVERIFY(disk.free());
        running.restart(m_sensor);
        const qint64 held = numberOf(before, "held_in_memory"_L1) + heldAgain;
        QTRY_VERIFY_WITH_TIMEOUT(lostAtHome(running, m_sensor) >= held, kPatience);
        // At most what was measured between the last look and the kill: a few samples.
        const qint64 lost = lostAtHome(running, m_sensor);
        QVERIFY2(lost <= held + 400, qPrintable(u"%1 of %2"_s.arg(lost).arg(held)));
        const QCborArray losses = status(running).value("losses"_L1).toArray();
        QVERIFY(!losses.isEmpty());
        qint64 told = 0;
        for (const QCborValue &one : losses)
            told += one.toMap().value("readings"_L1).toInteger();
        QCOMPARE(told, lost);
        QTRY_COMPARE_WITH_TIMEOUT(numberOf(status(running), "held_in_memory"_L1), 0, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(numberOf(running.backend(u"status"_s), "readings_lost"_L1), lost, kPatience);
    }

    void fullBeyondMemory_producedIsStoredAndLostTogether()
    {
        SmallDisk disk;
        demo::DemoPlan plan = planWith(m_sensor);
        RunningBuilding running(plan);
        disk.linkAt(running.building->plan().stateDir(m_sensor));
        QVERIFY(disk.fill()); // from the first start on: there is not even a spool
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(m_sensor).contains(u"the oldest ones are lost"_s),
                                  qPrintable(running.log(m_sensor)), kPatience * 2);
        const QString log = running.log(m_sensor);
        QVERIFY2(log.contains(u"until the spool can be opened: disk full"_s)
                     || log.contains(u"No space left on device"_s),
                 qPrintable(log));
        QVERIFY(disk.free());
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(m_sensor).contains(u"the spool is open"_s)
                                      || numberOf(status(running), "held_in_memory"_L1) == 0,
                                  qPrintable(running.log(m_sensor)), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(lostAtHome(running, m_sensor) > 0, kPatience);
        const QCborMap after = status(running);
        const qint64 produced =
            numberOf(after, "accepted"_L1) + numberOf(after, "lost"_L1) + numberOf(after, "held_in_memory"_L1);
        QCOMPARE(numberOf(after, "lost"_L1), lostAtHome(running, m_sensor));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() + lostAtHome(running, m_sensor) >= produced, kPatience);
        running.building->child(m_sensor)->terminate();
        QTRY_VERIFY_WITH_TIMEOUT(!running.building->child(m_sensor)->isRunning(), kPatience);
        const auto spool = demo::readSpool(running.building->plan(), m_sensor);
        QVERIFY(spool);
        QTRY_COMPARE_WITH_TIMEOUT(running.storedInCloud(), qint64(spool->totalReadings), kPatience);
    }
};

QTEST_GUILESS_MAIN(TestFullDisk)
#include "tst_full_disk.moc"
