#include "contract/identity_source_contract.h"
#include "fakes/mosquitto_broker.h"

using namespace lintel;

class TestMemoryIdentitySource : public IdentitySourceContract
{
    Q_OBJECT
protected:
    std::unique_ptr<IdentitySource> make() override { return std::make_unique<test::MemoryIdentitySource>(); }
    void give(IdentitySource &source, const IdentitySnapshot &snapshot) override
    {
        static_cast<test::MemoryIdentitySource &>(source).set(snapshot);
    }
    void giveBundles(IdentitySource &source, const TrustBundles &bundles) override
    {
        static_cast<test::MemoryIdentitySource &>(source).setBundles(bundles);
    }
};

QTEST_GUILESS_MAIN(TestMemoryIdentitySource)
#include "tst_memory_identity_source.moc"
