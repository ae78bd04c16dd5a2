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
    void plainBatches_settleWhatWasNotedOfThem()
    {
        CustodyStore &store = freshStore();
        QVERIFY(store.noteUnstored({5, m_clock.now(), m_clock.now()}));
        sparkplug::HostBatch plain{node("plc"), QStringLiteral("plc"), {}, {}, false};
        plain.batch.device = QStringLiteral("plc");
        for (int i = 0; i < 2; ++i)
            plain.batch.readings.append(
                {QStringLiteral("p"), double(i), Unit::None, m_clock.now(), Quality::Good, false});
        QVERIFY(store.append(std::vector{plain}));
        QCOMPARE(m_spool->status().notedReadings, 3u);
        sparkplug::HostBatch notice{node("plc"), QStringLiteral("plc"), {}, {}, false};
        notice.batch.device = QStringLiteral("plc");
        notice.batch.losses.append({QStringLiteral("plc"), {}, 0, 0, 3, {}, {}, LossReason::StorageFailed});
        QVERIFY(store.append(std::vector{notice}));
        QCOMPARE(m_spool->status().notedReadings, 0u);
        QVERIFY(store.append(std::vector{plain})); // later ones settle nothing
        QVERIFY(store.noteUnstored({1, m_clock.now(), m_clock.now()}));
        QCOMPARE(m_spool->status().notedReadings, 1u);
    }

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
