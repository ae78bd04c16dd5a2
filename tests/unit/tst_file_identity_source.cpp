#include "ports/system_clock.h"
#include "tls/file_identity_source.h"
#include "tls/identity_files.h"
#include "tls/pki.h"
#include "tls/x509.h"

#include <QFile>
#include <QFileInfo>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include <atomic>
#include <thread>

using namespace lintel;
using namespace lintel::tls;
using namespace Qt::StringLiterals;

class TestFileIdentitySource : public QObject
{
    Q_OBJECT

    static constexpr std::chrono::milliseconds kPoll{20};
    const Timestamp m_now = SystemClock().now();
    const Pki m_pki = *Pki::create(*TrustDomain::parse(u"building-1.smart.local"), m_now);
    const Pki m_cloud = *Pki::create(*TrustDomain::parse(u"smart-building.cloud"), m_now);
    const TrustBundles m_bundles{{m_pki.domain(), {m_pki.rootDer()}}, {m_cloud.domain(), {m_cloud.rootDer()}}};
    std::unique_ptr<QTemporaryDir> m_dir;

    X509Svid svid() const
    {
        return *m_pki.issue(*SpiffeId::parse(u"spiffe://building-1.smart.local/agent/hvac-001"), std::chrono::hours{1},
                            m_now);
    }
    void write(const QString &name, const QByteArray &bytes) const
    {
        QVERIFY(writePublicFile(m_dir->filePath(name), bytes));
    }

private Q_SLOTS:
    void initTestCase() { qRegisterMetaType<lintel::Error>(); }
    void init() { m_dir = std::make_unique<QTemporaryDir>(); }

    void privateDirectory_isClosedWithAllThatWasMadeForIt()
    {
        const QTemporaryDir open;
        QVERIFY(QFile::setPermissions(open.path(), QFile::Permissions(0x7755)));
        const auto others = [](const QString &path) {
            return QFileInfo(path).permissions() & QFile::Permissions(0x77);
        };
        QVERIFY(makePrivateDirectory(open.filePath(u"state/tpm/"_s)));
        QVERIFY(makePrivateDirectory(open.filePath(u"state/tpm"_s)));
        QVERIFY(QFileInfo(open.filePath(u"state/tpm"_s)).isDir());
        QVERIFY(!others(open.filePath(u"state/tpm"_s)));
        QVERIFY(!others(open.filePath(u"state"_s)));
        QCOMPARE(others(open.path()), QFile::Permissions(0x55)); // it was there
        QVERIFY(!makePrivateDirectory({}));
    }

    void identity_isThereAtOnce()
    {
        const X509Svid mine = svid();
        QVERIFY(writeIdentity(m_dir->path(), mine, m_bundles));
        const FileIdentitySource source(m_dir->path());
        const auto current = source.current();
        QVERIFY(current);
        QCOMPARE((*current)->svid.chainDer, mine.chainDer);
        QCOMPARE((*current)->svid.id, mine.id);
        QVERIFY((*current)->bundles == m_bundles);
        QVERIFY(!source.problem());
    }

    void emptyDirectory_saysWhatIsMissingAndTakesItLater()
    {
        FileIdentitySource source(m_dir->path(), kPoll);
        QSignalSpy changed(&source, &IdentitySource::svidChanged);
        QVERIFY(!source.current());
        QVERIFY(source.current().error().message.contains(u"svid.pem"_s));
        QVERIFY(writeIdentity(m_dir->path(), svid(), m_bundles));
        QTRY_COMPARE(changed.size(), 1);
        QVERIFY(source.current());
    }

    void newSvid_isTakenOnceAndBundlesStay()
    {
        QVERIFY(writeIdentity(m_dir->path(), svid(), m_bundles));
        FileIdentitySource source(m_dir->path(), kPoll);
        QSignalSpy svidChanged(&source, &IdentitySource::svidChanged);
        QSignalSpy bundlesChanged(&source, &IdentitySource::bundlesChanged);
        const X509Svid next = svid();
        QVERIFY(writeIdentity(m_dir->path(), next, m_bundles));
        QTRY_COMPARE((*source.current())->svid.chainDer, next.chainDer);
        QCOMPARE(svidChanged.size(), 1);
        QVERIFY(bundlesChanged.isEmpty());
    }

    void newBundle_isTakenAlone()
    {
        QVERIFY(writeIdentity(m_dir->path(), svid(), m_bundles));
        FileIdentitySource source(m_dir->path(), kPoll);
        QSignalSpy svidChanged(&source, &IdentitySource::svidChanged);
        QSignalSpy bundlesChanged(&source, &IdentitySource::bundlesChanged);
        const Pki next = *Pki::create(m_pki.domain(), m_now);
        write(bundleFileName(m_pki.domain()), certificatesToPem({m_pki.rootDer(), next.rootDer()}));
        QTRY_COMPARE(bundlesChanged.size(), 1);
        QVERIFY(svidChanged.isEmpty());
        QCOMPARE((*source.current())->bundles.value(m_pki.domain()).size(), 2);
    }

    void halfWrittenFiles_keepTheLastGoodIdentityAndAreSaid_data()
    {
        QTest::addColumn<QString>("file");
        QTest::addColumn<QByteArray>("bytes");
        QTest::newRow("certificate cut off") << u"svid.pem"_s << certificatesToPem(svid().chainDer).left(300);
        QTest::newRow("empty certificate") << u"svid.pem"_s << QByteArray();
        QTest::newRow("key of another") << u"svid.key"_s << *privateKeyToPem(*svid().key);
        QTest::newRow("key cut off") << u"svid.key"_s << privateKeyToPem(*svid().key)->left(80);
        QTest::newRow("bundle cut off") << u"smart-building.cloud.pem"_s
                                        << certificatesToPem({m_cloud.rootDer()}).left(200);
        QTest::newRow("file that is named after no domain")
            << u"Wrong Name.pem"_s << certificatesToPem({m_cloud.rootDer()});
    }
    void halfWrittenFiles_keepTheLastGoodIdentityAndAreSaid()
    {
        QFETCH(QString, file);
        QFETCH(QByteArray, bytes);
        const X509Svid mine = svid();
        QVERIFY(writeIdentity(m_dir->path(), mine, m_bundles));
        FileIdentitySource source(m_dir->path(), kPoll);
        QSignalSpy problems(&source, &FileIdentitySource::problemFound);
        QSignalSpy changed(&source, &IdentitySource::svidChanged);
        if (file == u"svid.key"_s)
            QVERIFY(writePrivateFile(m_dir->filePath(file), bytes));
        else
            write(file, bytes);
        QTRY_COMPARE(problems.size(), 1);
        QVERIFY2(source.problem()->message.contains(m_dir->path()), qPrintable(source.problem()->message));
        QCOMPARE((*source.current())->svid.chainDer, mine.chainDer);
        QVERIFY(changed.isEmpty());
        // Whole again, and the problem is gone.
        QFile::remove(m_dir->filePath(u"Wrong Name.pem"_s));
        QVERIFY(writeIdentity(m_dir->path(), svid(), m_bundles));
        QTRY_VERIFY(!source.problem());
        QVERIFY(changed.size() == 1);
    }

    void keyThatOthersMayRead_isRefused_data()
    {
        QTest::addColumn<int>("mode");
        QTest::newRow("group reads") << int(QFile::ReadGroup);
        QTest::newRow("others read") << int(QFile::ReadOther);
        QTest::newRow("group writes") << int(QFile::WriteGroup);
    }
    void keyThatOthersMayRead_isRefused()
    {
        QFETCH(int, mode);
        const QString key = m_dir->filePath(u"svid.key"_s);
        constexpr QFile::Permissions owner = QFile::ReadOwner | QFile::WriteOwner;
        QVERIFY(writeIdentity(m_dir->path(), svid(), m_bundles));
        QVERIFY(QFile::setPermissions(key, owner | QFile::Permission(mode)));
        FileIdentitySource source(m_dir->path(), kPoll);
        QVERIFY(!source.current());
        QCOMPARE(source.current().error().code, Errc::Denied);
        QVERIFY2(source.problem()->message.endsWith(u"run: chmod 600 '%1'"_s.arg(key)),
                 qPrintable(source.problem()->message));
        QVERIFY(QFile::setPermissions(key, owner));
        QTRY_VERIFY(source.current());
        QVERIFY(!source.problem());
    }

    void keyThatOthersMayReadNow_isSaidAndTheLastGoodStays()
    {
        QVERIFY(writeIdentity(m_dir->path(), svid(), m_bundles));
        FileIdentitySource source(m_dir->path(), kPoll);
        const auto before = *source.current();
        QVERIFY(QFile::setPermissions(m_dir->filePath(u"svid.key"_s),
                                      QFile::ReadOwner | QFile::WriteOwner | QFile::ReadOther));
        QTRY_VERIFY(source.problem());
        QCOMPARE(source.problem()->code, Errc::Denied);
        QCOMPARE(*source.current(), before);
    }

    void current_mayBeAskedByAnotherThreadWhileItChanges()
    {
        QVERIFY(writeIdentity(m_dir->path(), svid(), m_bundles));
        FileIdentitySource source(m_dir->path());
        std::atomic<int> answers = 0;
        std::jthread handshakes([&](const std::stop_token &stop) {
            while (!stop.stop_requested()) {
                const auto current = source.current();
                if (current && !(*current)->svid.chainDer.isEmpty())
                    ++answers;
            }
        });
        for (int i = 0; i < 20; ++i) {
            QVERIFY(writeIdentity(m_dir->path(), svid(), m_bundles));
            source.refresh();
        }
        QTRY_VERIFY(answers > 0);
    }

    void writeIdentity_makesAPrivateDirectoryAndKey()
    {
        const QString dir = m_dir->filePath(u"a/b"_s);
        QVERIFY(writeIdentity(dir, svid(), m_bundles));
        const auto others = QFile::ReadGroup | QFile::WriteGroup | QFile::ReadOther | QFile::WriteOther;
        QVERIFY(!(QFile::permissions(dir + u"/svid.key"_s) & others));
        QVERIFY(!(QFile::permissions(dir) & others));
    }
};

QTEST_GUILESS_MAIN(TestFileIdentitySource)
#include "tst_file_identity_source.moc"
