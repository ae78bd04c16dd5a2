// Keys in a real PKCS #11 token (SoftHSM), and an authority that signs with them.
#include "fakes/authority_fixture.h"
#include "fakes/needs.h"
#include "pkcs11/pkcs11_key_store.h"

#include <QProcess>
#include <QStandardPaths>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {
const QString kModule = u"/usr/lib/softhsm/libsofthsm2.so"_s;
}

class TestPkcs11Keys : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        if (!QFileInfo::exists(kModule) || QStandardPaths::findExecutable(u"softhsm2-util"_s).isEmpty())
            LINTEL_SKIP("SoftHSM is not installed (package softhsm2); run scripts/bootstrap --test.");
        QVERIFY(QDir(m_dir.path()).mkdir(u"tokens"_s));
        QFile config(m_dir.filePath(u"softhsm2.conf"_s));
        QVERIFY(config.open(QIODevice::WriteOnly));
        config.write("directories.tokendir = " + m_dir.filePath(u"tokens"_s).toLocal8Bit()
                     + "\nobjectstore.backend = file\nlog.level = ERROR\n");
        config.close();
        qputenv("SOFTHSM2_CONF", config.fileName().toLocal8Bit());
        QCOMPARE(QProcess::execute(u"softhsm2-util"_s, {u"--init-token"_s, u"--free"_s, u"--label"_s, u"lintel"_s,
                                                        u"--pin"_s, u"1234"_s, u"--so-pin"_s, u"5678"_s}),
                 0);
    }
    void keys_areMadeFoundUsedAndRemoved()
    {
        auto store = pkcs11::Pkcs11KeyStore::connect({kModule, u"lintel"_s, "1234"});
        QVERIFY2(bool(store), store ? "" : qPrintable(store.error().message));
        const auto key = (*store)->create(u"root-1"_s);
        QVERIFY2(bool(key), key ? "" : qPrintable(key.error().message));
        QCOMPARE((*store)->create(u"root-1"_s).error().code, Errc::Conflict);
        const auto again = (*store)->open(u"root-1"_s);
        QCOMPARE((*again)->publicKeyDer(), (*key)->publicKeyDer());
        for (int i = 0; i < 20; ++i) // signatures whose numbers begin with a zero or a high bit, too
            QVERIFY(tls::readCsr(*tls::makeCsr(**again)));
        QVERIFY((*store)->remove(u"root-1"_s));
        QCOMPARE((*store)->open(u"root-1"_s).error().code, Errc::NotFound);
        QVERIFY((*store)->remove(u"root-1"_s));
        QVERIFY((*store)->backupFiles().isEmpty());
    }
    void connect_wrongPinTokenOrModuleIsTold()
    {
        QCOMPARE(pkcs11::Pkcs11KeyStore::connect({kModule, u"lintel"_s, "9999"}).error().code, Errc::Denied);
        QCOMPARE(pkcs11::Pkcs11KeyStore::connect({kModule, u"other"_s, "1234"}).error().code, Errc::NotFound);
        QCOMPARE(pkcs11::Pkcs11KeyStore::connect({u"/nowhere.so"_s, u"lintel"_s, "1234"}).error().code, Errc::NotFound);
    }
    void authority_signsAndRotatesWithKeysInTheToken()
    {
        AuthorityFixture f;
        const auto open = [&] {
            f.authority.reset();
            auto keys = pkcs11::Pkcs11KeyStore::connect({kModule, u"lintel"_s, "1234"});
            QVERIFY2(bool(keys), keys ? "" : qPrintable(keys.error().message));
            auto opened = authority::Authority::open(f.config, std::move(*keys), f.clock);
            QVERIFY2(bool(opened), opened ? "" : qPrintable(opened.error().message));
            f.authority = std::move(*opened);
        };
        open();
        const DeviceKey key;
        const auto mint = [&] { return f.authority->mintX509(*tls::makeCsr(*key.signer, f.id(u"/w"_s)), {}, f.actor); };
        const auto first = mint();
        QVERIFY(first);
        QVERIFY(f.verify(*first));
        for (int day = 0; day < 15; ++day) {
            f.clock.advance(std::chrono::hours{24});
            QVERIFY(f.authority->tick());
        }
        open();
        const auto later = mint();
        QVERIFY(later);
        QVERIFY(f.verify(*later));
        QVERIFY(first->chainDer.last() != later->chainDer.last());
        QVERIFY(QDir(f.config.keysDir()).isEmpty());
    }

private:
    QTemporaryDir m_dir;
};

QTEST_GUILESS_MAIN(TestPkcs11Keys)
#include "tst_pkcs11_keys.moc"
