#include "contract/reading_spool_contract.h"
#include "fakes/memory_spool.h"

using namespace lintel;

class tst_MemorySpool : public ReadingSpoolContract
{
    Q_OBJECT
protected:
    std::unique_ptr<ReadingSpool> make(SpoolLimits limits) override { return std::make_unique<MemorySpool>(limits); }
    std::unique_ptr<ReadingSpool> reopen(std::unique_ptr<ReadingSpool>, SpoolLimits) override { return nullptr; }
    std::unique_ptr<ReadingSpool> spoil(std::unique_ptr<ReadingSpool> spool, Msn msn) override
    {
        static_cast<MemorySpool &>(*spool).makeUnreadable(msn);
        return spool;
    }
};

QTEST_GUILESS_MAIN(tst_MemorySpool)
#include "tst_memory_spool.moc"
