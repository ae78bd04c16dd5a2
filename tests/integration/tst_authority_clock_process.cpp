// lintel-authority as a process whose clock jumps (fakes/shifted_clock.cpp), and what lintelctl says and does then.
#include "fakes/authority_under_test.h"
#include "ports/system_clock.h"

#include <QDir>
#include <QFile>
#include <QJsonArray>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

/// The clock of every process that is started while this is set up.
class ForeignClock
{
public:
    explicit ForeignClock(const QString &file) : m_file(file) {}

    [[nodiscard]] bool shift(Millis wall, Millis suspended = {})
    {
        const qint64 shifts[] = {wall.count(), suspended.count()};
        return (m_file.isOpen() || m_file.open(QIODevice::ReadWrite)) && m_file.seek(0)
               && m_file.write(reinterpret_cast<const char *>(shifts), sizeof shifts) == qint64(sizeof shifts)
               && m_file.flush();
    }
    [[nodiscard]] bool start(AuthorityUnderTest &authority) const
    {
        QByteArray libraries = LINTEL_SHIFTED_CLOCK;
#ifdef LINTEL_ASAN_RUNTIME
        libraries.prepend(LINTEL_ASAN_RUNTIME " "); // it has to be the first
#endif
        qputenv("LD_PRELOAD", libraries);
        qputenv("LINTEL_TEST_CLOCK", QFile::encodeName(m_file.fileName()));
        const bool isStarted = authority.start();
        qunsetenv("LD_PRELOAD");
        qunsetenv("LINTEL_TEST_CLOCK");
        return isStarted;
    }

private:
    QFile m_file;
};

QStringList keyFiles(const AuthorityUnderTest &authority)
{
    return QDir(authority.file(u"state/keys"_s)).entryList(QDir::Files, QDir::Name);
}

} // namespace

class TestAuthorityClockProcess : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void jump_isToldAndNotFollowed_untilItIsUndoneOrAccepted()
    {
        AuthorityUnderTest authority(u"building-1.smart.local"_s,
                                     u"lifetimes: {x509_svid: 10s}\n"_s); // ticks each second
        ForeignClock clock(authority.file(u"clock"_s));
        QVERIFY(clock.shift(0ms));
        QVERIFY2(clock.start(authority), qPrintable(authority.log()));
        const QStringList status{u"authority"_s, u"status"_s};
        const QStringList keys = keyFiles(authority);
        QVERIFY(keys.size() >= 3);
        QCOMPARE(authority.ctl(status).exitCode, 0);
        // A new one follows every step for an hour, unless somebody says that its clock is right.
        QCOMPARE(authority.ctl({u"authority"_s, u"accept-clock"_s}).exitCode, 0);

        for (const auto days : {12, 800}) {
            QVERIFY(clock.shift(std::chrono::hours{24} * days));
            QTest::qWait(2'500); // ticks; what is wanted is that nothing happens
            const auto jumped = authority.ctl(status);
            QCOMPARE(jumped.exitCode, 1);
            QVERIFY(jumped.json.value("problem"_L1).toString().contains(u"jumped %1 days ahead"_s.arg(days)));
            QCOMPARE(jumped.json.value("clock"_L1), jumped.json.value("problem"_L1));
            QTRY_COMPARE_WITH_TIMEOUT(authority.log().count("The clock jumped"_L1), 1, 30'000);
            QVERIFY(authority.ctlText(status).contains("accept-clock"_L1));
            QCOMPARE(keyFiles(authority), keys);
            const auto said = timestampFromIso8601(jumped.json.value("now"_L1).toString());
            QVERIFY(said && std::chrono::abs(*said - SystemClock().now()) < 5min);
        }
        // It is started again, and still the machine is not.
        QCOMPARE(authority.stop(), 0);
        QVERIFY2(clock.start(authority), qPrintable(authority.log()));
        QCOMPARE(authority.ctl(status).exitCode, 1);
        QCOMPARE(keyFiles(authority), keys);
        QVERIFY(clock.shift(0ms));
        QCOMPARE(authority.ctl(status).exitCode, 0);

        QTRY_VERIFY_WITH_TIMEOUT(authority.log().contains("well again"_L1), 30'000);

        // A night in which the machine slept is no jump.
        QVERIFY(clock.shift(8h, 8h));
        QCOMPARE(authority.ctl(status).exitCode, 0);

        QVERIFY(clock.shift(24h * 2 + 8h, 8h));
        QCOMPARE(authority.ctl(status).exitCode, 1);
        const auto accepted = authority.ctl({u"authority"_s, u"accept-clock"_s});
        QCOMPARE(accepted.exitCode, 0);
        const auto before = timestampFromIso8601(accepted.json.value("before"_L1).toString());
        const auto now = timestampFromIso8601(accepted.json.value("now"_L1).toString());
        QVERIFY(before && now);
        QVERIFY(std::chrono::abs(*now - *before - 24h * 2) < 1min);
        const auto after = authority.ctl(status);
        QCOMPARE(after.exitCode, 0);
        QVERIFY(after.json.value("problem"_L1).toString().isEmpty()
                && after.json.value("clock"_L1).toString().isEmpty());
        QCOMPARE(authority.stop(), 0);
    }
};

QTEST_GUILESS_MAIN(TestAuthorityClockProcess)
#include "tst_authority_clock_process.moc"
