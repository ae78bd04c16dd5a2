#include "gateway/history_pruning.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace std::chrono_literals;

class TestHistoryPruning : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void step_waitsUntilTheClockWasChecked()
    {
        int pruned = 0;
        int asked = 0;
        bool connected = false;
        HistoryPruning pruning(
            [&pruned]() -> Result<quint64> {
                ++pruned;
                return quint64(1);
            },
            [&] {
                ++asked;
                return connected;
            });
        pruning.start(1ms);
        QTRY_VERIFY_WITH_TIMEOUT(asked > 1, 30'000);
        QCOMPARE(pruned, 0);
        connected = true;
        QTRY_VERIFY_WITH_TIMEOUT(pruned > 1, 30'000);
    }

    void step_saysWhatWentWrongAndGoesOn()
    {
        HistoryPruning pruning(
            []() -> Result<quint64> {
                return Error{Errc::Io, QStringLiteral("The disk is gone.")};
            },
            [] { return true; });
        QSignalSpy trouble(&pruning, &HistoryPruning::trouble);
        pruning.start(1ms);
        QTRY_VERIFY_WITH_TIMEOUT(trouble.count() > 1, 30'000);
        QCOMPARE(trouble.first().first().value<Error>().message, QStringLiteral("The disk is gone."));
    }
};

QTEST_GUILESS_MAIN(TestHistoryPruning)
#include "tst_history_pruning.moc"
