// A clock that is wrong, above all in 1970, the way a board without a battery starts: each process says what is
// wrong and what to do and does not blame the broker, goes on as far as it can, and is back when the clock is
// set or when it is started again with the right time. One process of a running building has a clock of its
// own (fakes/shifted_clock.cpp), all the others that of this machine.
#include "integration/live_building.h"
#include "ports/system_clock.h"

#include <QProcess>

#include <csignal>
#include <sys/prctl.h>

using namespace lintel;
using namespace lintel::test;

namespace {

/// What a process inherits that is started while this lives, and the clock that it has then.
class ForeignClock
{
public:
    explicit ForeignClock(const QString &file) : m_file(file)
    {
        QVERIFY(m_file.open(QIODevice::ReadWrite));
        set(fromEpochMillis(5 * 60'000));
    }
    void set(Timestamp now) { write((now - SystemClock().now()).count()); }
    void setRight() { write(0); }

    [[nodiscard]] QByteArrayList environment() const
    {
        QByteArray libraries = LINTEL_SHIFTED_CLOCK;
#ifdef LINTEL_ASAN_RUNTIME
        libraries.prepend(LINTEL_ASAN_RUNTIME " "); // it has to be the first
#endif
        return {"LD_PRELOAD", libraries, "LINTEL_TEST_CLOCK", QFile::encodeName(m_file.fileName())};
    }
    void startWithIt(RunningBuilding &running, const QString &process) const
    {
        const QByteArrayList names = environment();
        for (qsizetype i = 0; i < names.size(); i += 2)
            qputenv(names[i].constData(), names[i + 1]);
        running.restart(process);
        for (qsizetype i = 0; i < names.size(); i += 2)
            qunsetenv(names[i].constData());
    }

private:
    void write(qint64 shift)
    {
        QVERIFY(m_file.seek(0));
        QCOMPARE(m_file.write(reinterpret_cast<const char *>(&shift), sizeof shift), qint64(sizeof shift));
        QVERIFY(m_file.flush());
    }

    QFile m_file;
};

const QString kSentence = u"This machine's clock says 1970-01-01"_s;
const QString kCure = u"set it, for example with timedatectl or NTP"_s;
const QString kSensor = u"hvac-001"_s;

} // namespace

class TestBadInputClock : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void clockIn1970_isSaidAndNothingIsLost_data()
    {
        QTest::addColumn<QString>("process");
        QTest::addColumn<bool>("restarted");
        for (const QString &process : {u"backend"_s, u"gateway"_s, kSensor}) {
            QTest::addRow("%s, set while it runs", qPrintable(process)) << process << false;
            QTest::addRow("%s, started again", qPrintable(process)) << process << true;
        }
    }

    void clockIn1970_isSaidAndNothingIsLost()
    {
        QFETCH(QString, process);
        QFETCH(bool, restarted);
        RunningBuilding running(planWith({kSensor}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 0, kPatience);
        ForeignClock clock(running.path(u"clock"_s));
        running.kill(process);
        const auto before = running.log(process).size();
        clock.startWithIt(running, process);
        const auto said = [&] { return running.log(process).mid(before); };
        QTRY_VERIFY2_WITH_TIMEOUT(said().contains(kSentence) && said().contains(kCure), qPrintable(said()), kPatience);

        // The others keep what it does not take; it keeps running, and says the same no twice.
        if (process == u"backend")
            QTRY_VERIFY_WITH_TIMEOUT(pendingAt(running.gateway(u"status"_s)) > 10, kPatience);
        else if (process == u"gateway")
            QTRY_VERIFY_WITH_TIMEOUT(pendingAt(running.sensor(kSensor, u"status"_s)) > 10, kPatience);
        else
            QTRY_VERIFY2_WITH_TIMEOUT(said().contains(u"readings wait in memory"_s), qPrintable(said()), kPatience);
        QVERIFY2(!said().contains(u"was refused"_s), qPrintable(said()));
        QVERIFY2(said().count(kSentence) <= 2, qPrintable(said())); // a gateway has two brokers
        QVERIFY2(running.building->child(process)->isRunning(), qPrintable(running.deaths.join(u'\n')));

        if (!restarted) {
            clock.setRight();
        } else if (process == kSensor) {
            // What it measured and could not stamp was never accepted, and it says that it is gone.
            demo::ChildProcess *child = running.building->child(process);
            child->terminate();
            QTRY_VERIFY_WITH_TIMEOUT(!child->isRunning(), kPatience);
            running.restart(process);
        } else {
            running.killAndRestart(process);
        }
        QTRY_COMPARE_WITH_TIMEOUT(running.sensor(kSensor, u"status"_s).value("phase"_L1).toString(), u"Custody"_s,
                                  kPatience);
        if (restarted && process == kSensor)
            checkOnlyUnstampedIsLost(running);
        else
            checkNothingIsLost(running, kSensor);
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
    }

    /// Its sensors know its last time and ignore what is older.
    void clockThatWentBack_ofAGatewayIsSaidAndItsSensorsHearIt()
    {
        const Timestamp beforeAll = SystemClock().now();
        RunningBuilding running(planWith({kSensor}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 0, kPatience);
        ForeignClock clock(running.path(u"clock"_s));
        clock.set(beforeAll - 40s); // every certificate is valid then, and a slow start is not later than the first
        running.kill(u"gateway"_s);
        clock.startWithIt(running, u"gateway"_s);
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(u"gateway"_s).contains(u"clock seems to have gone back"_s),
                                  qPrintable(running.log(u"gateway"_s)), kPatience);
        checkNothingIsLost(running, kSensor);
        QCOMPARE(running.log(u"gateway"_s).count(u"clock seems to have gone back"_s), 1);
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
    }

    void clockIn1970_ofACallIsSaid()
    {
        RunningBuilding running(planWith({kSensor}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const ForeignClock clock(running.path(u"clock"_s));
        const demo::DemoPlan &plan = running.building->plan();
        auto environment = QProcessEnvironment::systemEnvironment();
        const QByteArrayList names = clock.environment();
        for (qsizetype i = 0; i < names.size(); i += 2)
            environment.insert(QString::fromLocal8Bit(names[i]), QString::fromLocal8Bit(names[i + 1]));
        QProcess process;
        process.setProcessEnvironment(environment);
        process.setChildProcessModifier([] { prctl(PR_SET_PDEATHSIG, SIGKILL); });
        process.start(QStringLiteral(LINTEL_BIN_DIR "/lintelctl"),
                      {u"call"_s, u"--broker"_s, u"127.0.0.1:%1"_s.arg(plan.ports.gatewayBroker), u"--broker-id"_s,
                       QString(demo::ids::kGatewayBroker), u"--identity"_s, plan.identityDir(u"operator"_s),
                       u"--target"_s, QString(demo::ids::kGateway), u"--capability"_s, u"status"_s});
        QTRY_VERIFY_WITH_TIMEOUT(process.state() == QProcess::NotRunning, kPatience);
        const QString words = QString::fromUtf8(process.readAllStandardOutput() + process.readAllStandardError());
        QCOMPARE(process.exitStatus(), QProcess::NormalExit);
        QVERIFY(process.exitCode() != 0);
        QVERIFY2(words.contains(kSentence) && words.contains(kCure), qPrintable(words));
        QVERIFY2(!words.contains(u"was refused"_s), qPrintable(words));
    }

private:
    static void checkOnlyUnstampedIsLost(RunningBuilding &running)
    {
        demo::ChildProcess *child = running.building->child(kSensor);
        child->terminate();
        QTRY_VERIFY_WITH_TIMEOUT(!child->isRunning(), kPatience);
        const auto spool = demo::readSpool(running.building->plan(), kSensor);
        QVERIFY2(spool, spool ? "" : qPrintable(spool.error().message));
        QCOMPARE(spool->pendingReadings, 0u);
        QTRY_COMPARE_WITH_TIMEOUT(running.storedInCloud(), qint64(spool->totalReadings), kPatience);
        const QCborMap status = running.backend(u"status"_s, {{"exact"_L1, true}});
        QVERIFY2(!status.isEmpty(), qPrintable(running.lastError.message));
        QCOMPARE(status.value("readings_stored"_L1).toInteger(), qint64(spool->totalReadings));
        QCOMPARE(status.value("duplicates"_L1).toInteger(-1), 0);
    }
};

QTEST_GUILESS_MAIN(TestBadInputClock)
#include "tst_bad_input_clock.moc"
