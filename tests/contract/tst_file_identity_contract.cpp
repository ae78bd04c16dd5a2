#include "contract/identity_source_contract.h"
#include "tls/file_identity_source.h"
#include "tls/identity_files.h"
#include "tls/x509.h"

#include <QTemporaryDir>

using namespace lintel;
using namespace lintel::tls;

class TestFileIdentityContract : public IdentitySourceContract
{
    Q_OBJECT
protected:
    std::unique_ptr<IdentitySource> make() override
    {
        m_dir = std::make_unique<QTemporaryDir>();
        return std::make_unique<FileIdentitySource>(m_dir->path(), std::chrono::milliseconds{20});
    }
    void give(IdentitySource &, const IdentitySnapshot &snapshot) override
    {
        QVERIFY(writeIdentity(m_dir->path(), snapshot.svid, snapshot.bundles));
    }
    void giveBundles(IdentitySource &, const TrustBundles &bundles) override
    {
        for (auto it = bundles.cbegin(); it != bundles.cend(); ++it)
            QVERIFY(writePublicFile(m_dir->filePath(bundleFileName(it.key())), certificatesToPem(it.value())));
    }

private:
    std::unique_ptr<QTemporaryDir> m_dir;
};

QTEST_GUILESS_MAIN(TestFileIdentityContract)
#include "tst_file_identity_contract.moc"
