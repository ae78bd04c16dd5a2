// Devices whose clock is behind: one that starts in 1970, one that was off for long, one whose clock is
// ten minutes late. Each finds back by itself with a TPM and a real authority, knows the time then, and
// keeps knowing it. And a gateway whose clock was a day ahead for a while: it keeps its broker's files
// again as soon as the clock is right.
#include "fakes/live_authority.h"
#include "spire/broker_trust_keeper.h"
#include "spire/directory_state_store.h"

#include <QSignalSpy>
#include <QTest>

#include <atomic>

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

/// The real one, moved by whoever runs the test.
class MovedClock final : public Clock
{
public:
    [[nodiscard]] Timestamp now() const override { return m_real.now() + ahead.load(); }
    [[nodiscard]] std::chrono::nanoseconds monotonic() const override { return m_real.monotonic(); }
    std::atomic<Millis> ahead{Millis{0}};

private:
    SystemClock m_real;
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

    /// A clock that is wrong says nothing for longer than it is.
    void gateway_healsWhenItsClockIsRightAgain()
    {
        MovedClock clock;
        const SoftwareTpm tpm;
        LiveAuthority authority(1h);
        QVERIFY(authority.open());
        const auto gateway = authority.agent(u"gateway"_s, u"gateway"_s, tpm, 0.5, clock);
        QVERIFY(gateway);
        spire::BrokerTrustOptions options;
        options.authority = authority.address();
        options.authorityId = authority.serverId();
        options.broker = authority.id(u"/broker"_s);
        options.bundlesDir = authority.dir.filePath(u"bundles"_s);
        options.denyListsDir = authority.dir.filePath(u"deny"_s);
        options.identityFile = authority.dir.filePath(u"broker.pem"_s);
        options.renewal.retryMax = Millis{2'000};
        spire::BrokerTrustKeeper broker(options, *gateway, {}, clock);
        QStringList troubles;
        connect(&broker, &spire::BrokerTrustKeeper::trouble, this,
                [&troubles](const Error &what) { troubles << what.message; });
        broker.start();
        const auto isGood = [&broker] { return broker.status().certificate == SvidKeeper::State::Valid; };
        QTRY_VERIFY2_WITH_TIMEOUT(isGood(), qPrintable(broker.status().problem), kPatience);

        clock.ahead = 24h;
        gateway->hurry();
        QTRY_VERIFY_WITH_TIMEOUT(!gateway->current(), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(broker.status().certificate, SvidKeeper::State::Expired, kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(troubles.join(u'\n').contains(u"has expired"_s), kPatience);

        clock.ahead = Millis{0};
        QTRY_VERIFY2_WITH_TIMEOUT(gateway->current(), qPrintable(gateway->status().sentence), kPatience);
        QTRY_VERIFY2_WITH_TIMEOUT(isGood() && broker.status().problem.isEmpty(), qPrintable(broker.status().problem),
                                  kPatience);
        // No new ones every few seconds either: one errand more, and the broker's files stay as they are.
        const quint64 rotations = gateway->status().rotations;
        const quint64 certificates = broker.status().rotations;
        gateway->hurry();
        QTRY_VERIFY_WITH_TIMEOUT(gateway->status().rotations > rotations, kPatience);
        QVERIFY(isGood());
        QCOMPARE(broker.status().rotations, certificates);
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
