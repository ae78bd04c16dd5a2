#include "adapters/sqlite/database.h"
#include "adapters/sqlite/sqlite_spool.h"
#include "contract/reading_spool_contract.h"
#include "fakes/fake_clock.h"

#include <QTemporaryDir>

using namespace lintel;

class tst_SqliteSpoolContract : public ReadingSpoolContract
{
    Q_OBJECT
protected:
    std::unique_ptr<ReadingSpool> make(SpoolLimits limits) override
    {
        m_path = m_folder.filePath(QStringLiteral("spool-%1.db").arg(++m_made));
        return open(limits);
    }
    std::unique_ptr<ReadingSpool> reopen(std::unique_ptr<ReadingSpool> spool, SpoolLimits limits) override
    {
        spool.reset();
        return open(limits);
    }
    std::unique_ptr<ReadingSpool> spoil(std::unique_ptr<ReadingSpool> spool, Msn msn) override
    {
        spool.reset();
        {
            auto database = sqlite::Database::open(m_path);
            if (!database)
                qFatal("%s", qPrintable(database.error().message));
            const QByteArray sql = "UPDATE batch SET payload = zeroblob(40) WHERE msn = " + QByteArray::number(msn);
            if (const auto done = (*database)->execute(sql.constData()); !done)
                qFatal("%s", qPrintable(done.error().message));
        }
        return open({});
    }

private:
    std::unique_ptr<ReadingSpool> open(SpoolLimits limits)
    {
        auto spool = SqliteSpool::open({m_path, QStringLiteral("gateway"), limits, {}}, m_clock);
        if (!spool)
            qFatal("%s", qPrintable(spool.error().message));
        return *std::move(spool);
    }

    QTemporaryDir m_folder;
    FakeClock m_clock;
    QString m_path;
    int m_made = 0;
};

QTEST_GUILESS_MAIN(tst_SqliteSpoolContract)
#include "tst_sqlite_spool_contract.moc"
