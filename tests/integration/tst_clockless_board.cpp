// Devices whose clock is behind: one that starts in 1970, one that was off for long, one whose clock is
// ten minutes late. Each finds back by itself with a TPM and a real authority, knows the time then, and
// keeps knowing it.
#include "fakes/live_authority.h"
#include "spire/directory_state_store.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr int kPatience = 30'000;
constexpr Millis kNear = 20s; // less than what an SVID is backdated by

/// The real one, but late.
class LateClock final : public Clock
{
public:
    explicit LateClock(Millis late) : m_late(late) {}
    [[nodiscard]] Timestamp now() const override { return m_real.now() - m_late; }
    [[nodiscard]] std::chrono::nanoseconds monotonic() const override { return m_real.monotonic(); }

private:
    SystemClock m_real;
    Millis m_late;
};

bool isNear(Timestamp a, Timestamp b)
{
    return std::chrono::abs(a - b) < kNear;
}

} // namespace

class TestClocklessBoard : public QObject
{
    Q_OBJECT

    SystemClock m_real;

private Q_SLOTS:
    void board_findsBackAndKnowsTheTime_data()
    {
        QTest::addColumn<qint64>("lateMs");
        QTest::addRow("starts in 1970") << toEpochMillis(m_real.now()) - 5'000;
        QTest::addRow("was off for half a year") << qint64(Millis(24h * 180).count());
        QTest::addRow("ten minutes late") << qint64(Millis(10min).count());
    }
    void board_findsBackAndKnowsTheTime()
    {
        QFETCH(qint64, lateMs);
        const LateClock late{Millis{lateMs}};
        const SoftwareTpm tpm;
        LiveAuthority authority(1h);
        const auto opened = authority.open();
        QVERIFY2(opened, opened ? "" : qPrintable(opened.error().message));
        const auto board = authority.agent(u"hvac-001"_s, u"sensor"_s, tpm, 0.5, late);
        QVERIFY(board);
        QTRY_VERIFY2_WITH_TIMEOUT(board->current(), qPrintable(board->status().sentence), kPatience);
        QVERIFY2(isNear(board->trustedNow(), m_real.now()), qPrintable(toIso8601(board->trustedNow())));
        QCOMPARE(board->status().state, IdentityStatus::State::Valid);
    }

    /// What it learnt outlives a power cut.
    void board_remembersTheTime()
    {
        const LateClock late{Millis{toEpochMillis(m_real.now())}};
        LiveAuthority authority(1h);
        QVERIFY(authority.open());
        {
            const auto board = authority.joiner(u"hvac-001"_s, u"sensor"_s);
            QVERIFY(board);
            QTRY_VERIFY2_WITH_TIMEOUT(board->current(), qPrintable(board->status().sentence), kPatience);
        }
        spire::DirectoryStateStore kept(authority.dir.filePath(u"hvac-001"_s));
        TimeFloor floor(late, &kept);
        QVERIFY(floor.open());
        // It is written down every ten minutes, to spare the flash.
        QVERIFY2(floor.now() > m_real.now() - 12min, qPrintable(toIso8601(floor.now())));
    }
};

QTEST_GUILESS_MAIN(TestClocklessBoard)
#include "tst_clockless_board.moc"
