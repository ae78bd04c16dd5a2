#include "contract/state_store_contract.h"
#include "fakes/memory_state_store.h"

using namespace lintel;

class TestMemoryStateStore : public StateStoreContract
{
    Q_OBJECT
protected:
    std::unique_ptr<StateStore> make() override { return std::make_unique<MemoryStateStore>(); }
    std::unique_ptr<StateStore> reopen(std::unique_ptr<StateStore>) override { return nullptr; }
};

QTEST_GUILESS_MAIN(TestMemoryStateStore)
#include "tst_memory_state_store.moc"
