#include "fakes/fake_clock.h"
#include "fakes/memory_state_store.h"
#include "gateway/history_pruning.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace std::chrono_literals;

class TestHistoryPruning : public QObject
{
    Q_OBJECT

    FakeClock m_clock;
    MemoryStateStore m_state;
    QList<Timestamp> m_pruned;

    HistoryPruning::Prune prune()
    {
        return [this](Timestamp now) -> Result<quint64> {
            m_pruned.append(now);
            return quint64(1);
        };
    }

private Q_SLOTS:
    void init() { m_pruned.clear(); }

    void step_waitsUntilTheClockWasChecked()
    {
        int asked = 0;
        bool connected = false;
        HistoryPruning pruning(m_clock, m_state, 30 * 24h, prune(), [&] {
            ++asked;
            return connected;
        });
        pruning.start(1h, 1ms);
        m_clock.advance(1h);
        QTRY_VERIFY_WITH_TIMEOUT(asked > 3, 30'000);
        QVERIFY(m_pruned.isEmpty());
        connected = true;
        QTRY_COMPARE_WITH_TIMEOUT(m_pruned, QList{m_clock.now()}, 30'000);
    }

    void step_countsAgesOnWhenTheClockJumpsWhileConnected()
    {
        HistoryPruning pruning(m_clock, m_state, 30 * 24h, prune(), [] { return true; });
        QSignalSpy notice(&pruning, &HistoryPruning::notice);
        pruning.start(1h, 1ms);
        const Timestamp expected = m_clock.now() + 1h;
        m_clock.advance(1h);
        m_clock.setNow(m_clock.now() + 365 * 24h);
        QTRY_COMPARE_WITH_TIMEOUT(m_pruned, QList{expected}, 30'000);
        QCOMPARE(notice.count(), 1);
        QVERIFY(pruning.report().value(QStringLiteral("clock_jumped")).toBool());
        m_clock.setNow(expected + 1s); // put right
        QTRY_COMPARE_WITH_TIMEOUT(notice.count(), 2, 30'000);
        QVERIFY(!pruning.report().value(QStringLiteral("clock_jumped")).toBool());
    }

    void step_saysWhatWentWrongAndGoesOn()
    {
        HistoryPruning pruning(
            m_clock, m_state, 30 * 24h,
            [](Timestamp) -> Result<quint64> {
                return Error{Errc::Io, QStringLiteral("The disk is gone; look for it.")};
            },
            [] { return true; });
        QSignalSpy trouble(&pruning, &HistoryPruning::trouble);
        pruning.start(1h, 1ms);
        for (int i = 1; i <= 2; ++i) {
            m_clock.advance(1h);
            QTRY_COMPARE_WITH_TIMEOUT(trouble.count(), i, 30'000);
        }
        QCOMPARE(trouble.first().first().value<Error>().code, Errc::Io);
        QCOMPARE(trouble.first().first().value<Error>().message,
                 QStringLiteral("Readings older than 30 days stay in the history, and it is tried again in 1 hour: "
                                "The disk is gone; look for it."));
    }

    void step_removesWhatStayedWithTheNextAttempt()
    {
        bool isRefused = true;
        HistoryPruning pruning(
            m_clock, m_state, 36h,
            [&](Timestamp now) -> Result<quint64> {
                if (isRefused)
                    return Error{Errc::Full, QStringLiteral("disk full: free some space.")};
                return prune()(now);
            },
            [] { return true; });
        QSignalSpy trouble(&pruning, &HistoryPruning::trouble);
        pruning.start(90min, 1ms);
        m_clock.advance(90min);
        QTRY_COMPARE_WITH_TIMEOUT(trouble.count(), 1, 30'000);
        QCOMPARE(
            trouble.first().first().value<Error>().message,
            QStringLiteral("Readings older than 36 hours stay in the history, and it is tried again in 90 minutes: "
                           "disk full: free some space."));
        isRefused = false;
        m_clock.advance(90min);
        QTRY_COMPARE_WITH_TIMEOUT(m_pruned, QList{m_clock.now()}, 30'000);
        QCOMPARE(trouble.count(), 1);
    }

    void timeThatCannotBeRead_isSaidOnceAndRemovesNothing()
    {
        class Unreadable final : public StateStore
        {
        public:
            Result<std::optional<QByteArray>> load(const QString &) const override
            {
                ++loads;
                return Error{Errc::Io, QStringLiteral("The disk is gone; look for it.")};
            }
            Result<void> save(const QString &, const QByteArray &) override { return {}; }
            Result<void> remove(const QString &) override { return {}; }
            Result<QStringList> keys(const QString &) const override { return QStringList{}; }
            mutable int loads = 0;
        } state;
        HistoryPruning pruning(m_clock, state, 30 * 24h, prune(), [] { return true; });
        QSignalSpy trouble(&pruning, &HistoryPruning::trouble);
        pruning.start(1h, 1ms);
        m_clock.advance(2h);
        QTRY_VERIFY_WITH_TIMEOUT(state.loads > 3, 30'000);
        QVERIFY(m_pruned.isEmpty());
        QCOMPARE(trouble.count(), 1);
        QCOMPARE(
            trouble.first().first().value<Error>().message,
            QStringLiteral("No reading is removed from the history, however old, because the time of before cannot "
                           "be read, and it is tried again every 1 millisecond: The disk is gone; look for it."));
    }
};

QTEST_GUILESS_MAIN(TestHistoryPruning)
#include "tst_history_pruning.moc"
