// What a boot event log says, and what it is not believed.
#include "boot_log.h"
#include "tpm/event_log.h"

#include <QtTest>

using namespace lintel;
using namespace lintel::test;
using namespace lintel::tpm;

namespace {
QByteArray extended(const QByteArray &from, const QByteArray &digest)
{
    return QCryptographicHash::hash(from + digest, QCryptographicHash::Sha256);
}
QByteArray sha256(const QByteArray &bytes)
{
    return QCryptographicHash::hash(bytes, QCryptographicHash::Sha256);
}
const QByteArray kZero(32, '\0');
constexpr quint32 kDriverConfig = 0x80000001;
} // namespace

class TestEventLog : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void replay_extendsInOrder()
    {
        BootLog log;
        log.measured(0, 8, "firmware").measured(0, 4, QByteArray(4, '\0')).measured(7, kDriverConfig, "policy");
        const auto parsed = parseEventLog(log.bytes());
        QVERIFY(parsed);
        QCOMPARE(parsed->events.size(), 3);
        const auto pcrs = replay(*parsed);
        QCOMPARE(pcrs.value(0), extended(extended(kZero, sha256("firmware")), sha256(QByteArray(4, '\0'))));
        QCOMPARE(pcrs.value(7), extended(kZero, sha256("policy")));
        QCOMPARE(pcrs.value(1), kZero);
        QVERIFY(!pcrs.contains(17));
    }

    void replay_startsFromTheLocalityThatTheLogNames()
    {
        BootLog log;
        log.raw(0, 3, kZero, QByteArray("StartupLocality\0\3", 17)).measured(0, 8, "firmware");
        QByteArray start = kZero;
        start[31] = 3;
        QCOMPARE(replay(*parseEventLog(log.bytes())).value(0), extended(start, sha256("firmware")));
    }

    void secureBoot_isReadFromAMeasuredVariable()
    {
        for (const bool on : {true, false}) {
            BootLog log;
            log.measured(7, kDriverConfig, BootLog::secureBoot(on));
            QCOMPARE(secureBootOf(*parseEventLog(log.bytes())), std::optional(on));
        }
        QCOMPARE(secureBootOf(*parseEventLog(BootLog().bytes())), std::nullopt);
    }

    void secureBoot_isNotBelievedWhenTheDataWereNotMeasured()
    {
        BootLog log;
        log.raw(7, kDriverConfig, sha256(BootLog::secureBoot(false)), BootLog::secureBoot(true));
        QCOMPARE(secureBootOf(*parseEventLog(log.bytes())), std::nullopt);
        BootLog elsewhere;
        elsewhere.measured(1, kDriverConfig, BootLog::secureBoot(true));
        QCOMPARE(secureBootOf(*parseEventLog(elsewhere.bytes())), std::nullopt);
    }

    void parse_refusesEveryTruncation()
    {
        BootLog log;
        log.measured(0, 8, "firmware");
        const auto header = BootLog().bytes().size();
        for (qsizetype size = 0; size < log.bytes().size(); ++size)
            QCOMPARE(bool(parseEventLog(log.bytes().first(size))), size == header);
    }

    void parse_refusesOldLogsAndUnknownDigests()
    {
        QCOMPARE(parseEventLog(QByteArray(32, '\0')).error().code, Errc::Unsupported);
        BootLog log;
        log.measured(24, 8, "no such PCR");
        QCOMPARE(parseEventLog(log.bytes()).error().code, Errc::Malformed);
        QByteArray unknown = BootLog().measured(0, 8, "x").bytes();
        unknown[BootLog().bytes().size() + 12] = '\x12'; // algorithm that the header does not name
        QCOMPARE(parseEventLog(unknown).error().code, Errc::Malformed);
    }
};

QTEST_GUILESS_MAIN(TestEventLog)
#include "tst_event_log.moc"
