#include "adapters/sqlite/sqlite_state_store.h"
#include "contract/state_store_contract.h"
#include "fakes/fake_clock.h"

#include <QTemporaryDir>

using namespace lintel;

class TestSqliteStateStore : public StateStoreContract
{
    Q_OBJECT
protected:
    std::unique_ptr<StateStore> make() override
    {
        m_path = m_folder.filePath(QStringLiteral("state-%1.db").arg(++m_made));
        return open();
    }
    std::unique_ptr<StateStore> reopen(std::unique_ptr<StateStore> store) override
    {
        store.reset();
        return open();
    }

private:
    std::unique_ptr<StateStore> open()
    {
        auto store = SqliteStateStore::open(m_path, m_clock);
        if (!store)
            qFatal("%s", qPrintable(store.error().message));
        return *std::move(store);
    }

    QTemporaryDir m_folder;
    FakeClock m_clock;
    QString m_path;
    int m_made = 0;
};

QTEST_GUILESS_MAIN(TestSqliteStateStore)
#include "tst_sqlite_state_store.moc"
