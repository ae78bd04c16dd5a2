// The gateway's spool as a custody store.
#include "adapters/sqlite/sqlite_spool.h"
#include "contract/custody_store_contract.h"
#include "fakes/fake_clock.h"
#include "gateway/spool_store.h"

#include <QTemporaryDir>

using namespace lintel;

class TestSpoolStore : public CustodyStoreContract
{
    Q_OBJECT

    QTemporaryDir m_folder;
    FakeClock m_clock;
    int m_made = 0;
    std::unique_ptr<SqliteSpool> m_spool;
    std::unique_ptr<SpoolStore> m_store;

    CustodyStore &freshStore() override
    {
        m_store.reset();
        auto opened = SqliteSpool::open(
            {m_folder.filePath(QStringLiteral("spool-%1.db").arg(++m_made)), QStringLiteral("gateway"), {}, {}},
            m_clock);
        if (!opened)
            qFatal("%s", qPrintable(opened.error().message));
        m_spool = *std::move(opened);
        m_store = std::make_unique<SpoolStore>(*m_spool);
        return *m_store;
    }
    quint64 storedReadings() const override { return m_spool->status().totalReadings; }
    QList<Loss> storedLosses() const override
    {
        const auto losses = m_spool->losses(100);
        return losses ? *losses : QList<Loss>{};
    }

private Q_SLOTS:
    void losses_travelOnUnderOneName()
    {
        CustodyStore &store = freshStore();
        const StreamId stream = QUuid::createUuid();
        const Loss known{QStringLiteral("a"), stream, 1, 1, 3, {}, {}, LossReason::SpoolFull};
        const std::vector group{numbered(node("a"), stream, 2, {known})};
        QVERIFY(store.append(group));
        QVERIFY(store.senderDropped(node("a"), stream, 5)); // 3 and 4 never came
        QSet<StreamId> names;                               // the cloud puts notices of one stream together by its name
        const auto batches = m_spool->read(0, 10);
        QVERIFY(batches);
        for (const StoredBatch &one : *batches) {
            for (const Loss &loss : one.batch.losses)
                names.insert(loss.stream);
        }
        QCOMPARE(names.size(), 1);
        QVERIFY(!names.contains(StreamId{}));
    }
};

QTEST_GUILESS_MAIN(TestSpoolStore)
#include "tst_spool_store.moc"
