#include "contract/state_store_contract.h"
#include "spire/directory_state_store.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>

using namespace lintel;

class TestDirectoryStateStore : public StateStoreContract
{
    Q_OBJECT
protected:
    std::unique_ptr<StateStore> make() override
    {
        m_path = m_folder.filePath(QStringLiteral("state-%1").arg(++m_made));
        return std::make_unique<spire::DirectoryStateStore>(m_path);
    }
    std::unique_ptr<StateStore> reopen(std::unique_ptr<StateStore> store) override
    {
        store.reset();
        return std::make_unique<spire::DirectoryStateStore>(m_path);
    }

private Q_SLOTS:
    void files_areForTheOwnerAloneAndInTheFolder()
    {
        const auto store = make();
        QVERIFY(store->save(QStringLiteral("../escape"), "secret"));
        const auto others = QFile::ReadGroup | QFile::WriteGroup | QFile::ReadOther | QFile::WriteOther;
        QVERIFY(!(QFile::permissions(m_path) & others));
        const QStringList files = QDir(m_path).entryList(QDir::Files | QDir::Hidden);
        QCOMPARE(files.size(), 1);
        QVERIFY(!(QFile::permissions(m_path + u'/' + files.first()) & others));
    }

private:
    QTemporaryDir m_folder;
    QString m_path;
    int m_made = 0;
};

QTEST_GUILESS_MAIN(TestDirectoryStateStore)
#include "tst_directory_state_store.moc"
