// The historian as a custody store.
#include "contract/custody_store_contract.h"
#include "fakes/fake_clock.h"
#include "ingestion/historian_store.h"

#include <QTemporaryDir>

using namespace lintel;

class TestHistorianStore : public CustodyStoreContract
{
    Q_OBJECT

    QTemporaryDir m_folder;
    FakeClock m_clock;
    std::unique_ptr<historian::Historian> m_historian;
    std::unique_ptr<HistorianStore> m_store;
    int m_made = 0;

    CustodyStore &freshStore() override
    {
        m_store.reset();
        auto opened =
            historian::Historian::open({m_folder.filePath(QStringLiteral("historian-%1.db").arg(++m_made))}, m_clock);
        if (!opened)
            qFatal("%s", qPrintable(opened.error().message));
        m_historian = *std::move(opened);
        m_store = std::make_unique<HistorianStore>(*m_historian, m_clock);
        return *m_store;
    }
    quint64 storedReadings() const override
    {
        const auto counters = m_historian->counters();
        return counters ? counters->rows : 0;
    }
    QList<Loss> storedLosses() const override
    {
        QList<Loss> losses;
        if (const auto gaps = m_historian->gaps({}, m_clock.now())) {
            for (const historian::Gap &gap : *gaps)
                losses.append(gap.loss);
        }
        return losses;
    }
};

QTEST_GUILESS_MAIN(TestHistorianStore)
#include "tst_historian_store.moc"
