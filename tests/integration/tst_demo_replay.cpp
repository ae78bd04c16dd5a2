// `lintelctl demo --replay` as people run it: the console that ships, offscreen, TPMs, a folder with two
// recordings, a line that is cut. What the one JSON object says, and what lies in the historian
// afterwards.
#include "domain/timestamp.h"
#include "fakes/needs.h"
#include "historian/historian.h"
#include "ports/system_clock.h"

#include <QDir>
#include <QFile>
#include <QImage>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>

#include <csignal>
#include <sys/prctl.h>

using namespace lintel;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

const QString kDemo = QStringLiteral(LINTEL_BIN_DIR "/lintelctl");
const QString kRoom = u"replay-002"_s;
constexpr int kSensors = 3; // two recordings and one that is simulated
constexpr int kRoomRows = 6;
constexpr int kMeterRows = 400; // more than the demo has time for
constexpr qint64 kFirst = 1'600'000'000;

bool write(const QString &path, const QByteArray &text)
{
    QFile file(path);
    return file.open(QIODevice::WriteOnly) && file.write(text) == text.size();
}

/// A row a minute: epoch seconds, and a value that says which row it is.
QByteArray recording(const QByteArray &header, int rows)
{
    QByteArray csv = "time," + header + '\n';
    for (int row = 0; row < rows; ++row)
        csv += QByteArray::number(kFirst + row * 60) + ',' + QByteArray::number(row + 0.5) + '\n';
    return csv;
}

void checkHistory(historian::Historian &historian, const QString &device, const QString &point, int leastRows,
                  int mostRows)
{
    const auto rows = historian.history({u"building-1"_s, device}, point, fromEpochMillis(0),
                                        fromEpochMillis((kFirst + 60 * kMeterRows) * 1000), kMeterRows + 1);
    QVERIFY2(rows, rows ? "" : qPrintable(rows.error().message));
    QVERIFY2(rows->size() >= leastRows && rows->size() <= mostRows,
             qPrintable(u"%1 has %2 rows"_s.arg(device).arg(rows->size())));
    for (qsizetype row = 0; row < rows->size(); ++row) {
        const Reading &reading = rows->at(row).reading;
        QCOMPARE(reading.deviceTime, fromEpochMillis((kFirst + row * 60) * 1000));
        QCOMPARE(reading.value, Value(double(row) + 0.5));
    }
}

} // namespace

class TestDemoReplay : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void replay_isAccountedForInOneObject()
    {
        if (QStandardPaths::findExecutable(u"swtpm"_s).isEmpty())
            LINTEL_SKIP("swtpm is not installed; run scripts/bootstrap --test.");
        const QTemporaryDir dir;
        const QString recordings = dir.filePath(u"recordings"_s);
        const QString state = dir.filePath(u"state"_s);
        const QString picture = dir.filePath(u"picture.png"_s);
        QVERIFY(QDir(dir.path()).mkpath(u"recordings"_s));
        QVERIFY(write(recordings + u"/meter.csv"_s, recording("Power (kW)", kMeterRows)));
        QVERIFY(write(recordings + u"/room.csv"_s, recording("co2", kRoomRows)));

        QProcess demo;
        // Threads of libraries live until a process ends, and what they hold then is a leak to a sanitizer; here
        // exit codes count.
        auto environment = QProcessEnvironment::systemEnvironment();
        environment.insert(u"ASAN_OPTIONS"_s, environment.value(u"ASAN_OPTIONS"_s) + u":detect_leaks=0"_s);
        // In such a build a mosquitto with the runtime lies beside the programs.
        environment.insert(u"PATH"_s, QStringLiteral(LINTEL_BIN_DIR ":") + environment.value(u"PATH"_s));
        demo.setProcessEnvironment(environment);
        demo.setChildProcessModifier([] { prctl(PR_SET_PDEATHSIG, SIGKILL); });
        demo.start(kDemo, {u"demo"_s, u"--headless"_s, u"--replay"_s, recordings, u"--sensors"_s,
                           QString::number(kSensors), u"--duration"_s, u"15"_s, u"--wan-outage"_s, u"3,2"_s,
                           u"--json"_s, u"--keep"_s, state, u"--screenshot"_s, picture});
        const bool ended = QTest::qWaitFor([&demo] { return demo.state() == QProcess::NotRunning; }, 240'000);
        const QByteArray output = demo.readAllStandardOutput();
        const QByteArray words = output + demo.readAllStandardError();
        QVERIFY2(ended && demo.exitStatus() == QProcess::NormalExit && demo.exitCode() == 0, words.constData());

        QJsonParseError broken{};
        const QJsonObject report = QJsonDocument::fromJson(output, &broken).object();
        QVERIFY2(broken.error == QJsonParseError::NoError, words.constData());
        QVERIFY2(report.value(u"ok"_s).toBool() && report.value(u"problems"_s).toArray().isEmpty(), words.constData());
        QCOMPARE(report.value(u"sensors"_s).toInt(), kSensors);
        QCOMPARE(report.value(u"identity"_s).toString(), u"tpm"_s);
        QCOMPARE(report.value(u"attested_devices"_s).toInt(), kSensors + 1); // and the gateway
        QVERIFY(report.value(u"duration_seconds"_s).toDouble() >= 15);
        QCOMPARE(report.value(u"wan_outages"_s).toArray().size(), 1);
        const qint64 produced = report.value(u"readings_produced"_s).toInteger();
        QVERIFY2(produced > kRoomRows, words.constData());
        QCOMPARE(report.value(u"readings_stored_gateway"_s).toInteger(), produced);
        QCOMPARE(report.value(u"readings_stored_cloud"_s).toInteger(), produced);
        QVERIFY2(report.value(u"readings_historical"_s).toInteger() > 0, words.constData());
        for (const QString &none :
             {u"duplicates"_s, u"gaps"_s, u"readings_dropped"_s, u"readings_lost"_s, u"restarts"_s})
            QVERIFY2(report.value(none).toInt(-1) == 0, words.constData());
        const QString note = report.value(u"notes"_s).toArray().first().toString();
        QVERIFY2(note.contains(u"meter.csv"_s) && note.contains(u"room.csv"_s), words.constData());
        QCOMPARE(report.value(u"screenshot"_s).toString(), picture);
        QVERIFY(QImage(picture).width() > 0);

        const SystemClock clock;
        const auto historian = historian::Historian::open({state + u"/state/backend/historian.db"_s}, clock);
        QVERIFY2(historian, historian ? "" : qPrintable(historian.error().message));
        checkHistory(**historian, u"replay-001"_s, u"power"_s, kRoomRows, kMeterRows - 1);
        if (QTest::currentTestFailed())
            return;
        checkHistory(**historian, kRoom, u"co2"_s, kRoomRows, kRoomRows);
    }
};

QTEST_GUILESS_MAIN(TestDemoReplay)
#include "tst_demo_replay.moc"
