// What the authority does as time passes: the deny list forgets, keys come and go, also on a disk that is full.
#include "adapters/sqlite/database.h"
#include "authority/authority_schema.h"
#include "fakes/attested_agent.h"
#include "fakes/faulty_vfs.h"

#include "tls/identity_files.h"

#include <QSignalSpy>
#include <QTest>

#include <dlfcn.h>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {
/// "sync PATH", "rename TO" in their order, of this process.
QStringList diskEvents;
} // namespace

// In place of the C library's, which do the work.
extern "C" int fsync(int file)
{
    static const auto real = reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, "fsync"));
    diskEvents.append(u"sync "_s + QFile::symLinkTarget(u"/proc/self/fd/%1"_s.arg(file)));
    return real(file);
}
extern "C" int rename(const char *from, const char *to)
{
    static const auto real = reinterpret_cast<int (*)(const char *, const char *)>(dlsym(RTLD_NEXT, "rename"));
    diskEvents.append(u"rename "_s + QFile::decodeName(to));
    return real(from, to);
}

namespace {

tls::DenyList listOf(AuthorityFixture &f)
{
    return *tls::verifyDenyList(*f.authority->denyListJws(), f.config.domain, f.authority->bundle()->jwtAuthorities, 0);
}

QString databaseOf(const AuthorityFixture &f)
{
    return f.config.stateDir + u"/authority.db"_s;
}

/// While the authority does not run.
Result<void> execute(const AuthorityFixture &f, const QByteArray &sql)
{
    auto database = sqlite::Database::open(databaseOf(f));
    return database ? (*database)->execute(sql.constData()) : database.error();
}

QStringList keyFilesOf(const AuthorityFixture &f)
{
    return QDir(f.config.keysDir()).entryList({u"*.key"_s}, QDir::Files, QDir::Name);
}

QStringList signingLabelsOf(const AuthorityFixture &f)
{
    QStringList labels;
    const auto status = f.authority->status();
    for (const CaStatus &key : status->authorities)
        if (key.phase != CaPhase::Old)
            labels.append(key.label + u".key"_s);
    labels.sort();
    return labels;
}

/// Keeps what it is told to destroy, as a process does that dies before it comes to that.
class KeepingKeyStore final : public KeyStore
{
public:
    explicit KeepingKeyStore(const QString &dir) : m_files(dir) {}
    Result<std::shared_ptr<SigningKey>> create(const QString &label) override { return m_files.create(label); }
    Result<std::shared_ptr<SigningKey>> open(const QString &label) override { return m_files.open(label); }
    Result<void> remove(const QString &) override { return Error{Errc::Unavailable, u"not now"_s}; }
    QString description() const override { return m_files.description(); }

private:
    tls::FileKeyStore m_files;
};

} // namespace

class TestAuthorityUpkeep : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    // --- Deny list ---
    void denyList_forgetsWhoHasNothingLeft_andNobodyBefore()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        // As late as can be: its issuer is about to be replaced, and signs an SVID of the longest life.
        f.clock.advance(24h * 10);
        VERIFY_OK(f.authority->tick());
        const auto last =
            f.authority->mintX509(*tls::makeCsr(*a.key.signer, f.id(u"/agent/hvac-001"_s)), 24h * 365, f.actor);
        VERIFY_OK(last);
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, u"stolen"_s, f.actor));
        QCOMPARE(listOf(f).entries.size(), 3); // the device, and its agent by either attestation
        quint64 sequence = listOf(f).sequence;
        const Timestamp revoked = f.clock.now();
        QSignalSpy changed(f.authority.get(), &Authority::denyListChanged);

        while (!listOf(f).entries.isEmpty()) {
            QVERIFY(f.clock.now() < revoked + 24h * 15);
            QVERIFY(listOf(f).find(last->id, last->serial, last->notBefore));
            QVERIFY(listOf(f).find(a.agent.id, {}, f.clock.now()));
            f.clock.advance(6h);
            if (f.clock.now() == revoked + 24h * 6)
                VERIFY_OK(f.open()); // survives
            VERIFY_OK(f.authority->tick());
            QVERIFY(listOf(f).sequence >= sequence);
            sequence = listOf(f).sequence;
        }
        QVERIFY2(f.clock.now() > last->notAfter, "its last SVID was still valid");
        QVERIFY(f.clock.now() > revoked + f.config.issuingLifetime);
        QVERIFY(sequence > 0 && sequence == *f.authority->denyListSequence());

        // Nobody has let it in again, and it gets nothing.
        VERIFY_ERROR(f.authority->considerDevice({ekHashOf(1), {}, {}}), Errc::Denied);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(1), a.key)), Errc::Denied);
        VERIFY_ERROR(a.issue(f, a.key.csr), Errc::NotFound);
        VERIFY_ERROR(f.authority->mintX509(*tls::makeCsr(*a.key.signer, f.id(u"/agent/hvac-001"_s)), {}, f.actor),
                     Errc::Denied);
        VERIFY_ERROR(f.authority->mintJwt(f.id(u"/agent/hvac-001"_s), {u"x"_s}, {}, f.actor), Errc::Denied);
        VERIFY_ERROR(f.authority->approve(u"hvac-001"_s, factsOf(u"hvac-001"_s), f.actor), Errc::Conflict);
        const Attested again(f);
        VERIFY_OK(again.issue(f, again.key.csr));
    }
    void denyList_keysOfALongerLifeAreWaitedFor()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const auto last =
            f.authority->mintX509(*tls::makeCsr(*a.key.signer, f.id(u"/agent/hvac-001"_s)), 24h * 365, f.actor);
        f.config.issuingLifetime = f.config.jwtKeyLifetime = 24h; // the issuing CA of now keeps its 14 days
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, u"stolen"_s, f.actor));
        while (f.clock.now() < last->notAfter) {
            QVERIFY(listOf(f).find(last->id, last->serial, last->notBefore));
            f.clock.advance(4h);
            VERIFY_OK(f.authority->tick());
        }
        f.clock.advance(2h);
        VERIFY_OK(f.authority->tick());
        QVERIFY(listOf(f).entries.isEmpty());
    }
    void denyList_nothingElseCarriesTheIdentityOn()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const Attested b(f, 2, u"hvac-002"_s);
        Entry entry; // somebody let another host have the same identity
        entry.spiffeId = f.id(u"/agent/hvac-001"_s);
        entry.parentId = b.agent.id;
        entry.selectors = {{u"unix"_s, u"uid:1"_s}};
        VERIFY_OK(f.authority->createEntry(entry, f.actor));
        const auto token = f.authority->createToken(24h * 30, f.id(u"/agent/hvac-003"_s), f.actor);
        VERIFY_OK(token);
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, {}, f.actor));
        VERIFY_OK(f.authority->revoke(u"hvac-003"_s, {}, f.actor));
        QVERIFY(f.authority->entries({f.id(u"/agent/hvac-001"_s), {}, {}, {}, {}})->isEmpty());
        for (int day = 0; day < 16; ++day) {
            f.clock.advance(24h);
            VERIFY_OK(f.authority->tick());
        }
        QVERIFY(listOf(f).entries.isEmpty());
        VERIFY_ERROR(f.authority->attest(f.tokenNode(token->token, DeviceKey())), Errc::Denied);
    }
    void denyList_whatAnOlderVersionWroteIsForgottenToo()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, u"stolen"_s, f.actor));
        f.authority.reset();
        VERIFY_OK(execute(f, "UPDATE deny SET until = 0"));
        VERIFY_OK(f.open());
        const Timestamp start = f.clock.now();
        f.clock.advance(24h * 13);
        VERIFY_OK(f.authority->tick());
        QCOMPARE(listOf(f).entries.size(), 3);
        f.clock.advance(start + f.config.issuingLifetime + 2h - f.clock.now());
        VERIFY_OK(f.authority->tick());
        QVERIFY(listOf(f).entries.isEmpty());
    }
    void denyList_chipThatWasNeverLetInIsNotOnIt()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const DeviceKey key;
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(7), key)), Errc::Unavailable);
        const quint64 before = *f.authority->denyListSequence();
        const auto report = f.authority->revoke(ekHashOf(7), u"not ours"_s, f.actor);
        VERIFY_OK(report);
        QVERIFY(listOf(f).entries.isEmpty());
        QCOMPARE(report->denyListSequence, before);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(7), key)), Errc::Denied);
    }
    void denyList_isNeverLongerThanWhatBrokersRead()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const Attested b(f, 2, u"hvac-002"_s);
        VERIFY_OK(f.authority->revoke(u"hvac-002"_s, QString(500, u'x'), f.actor));
        QVERIFY(listOf(f).entries.first().reason.size() < 200);
        QCOMPARE(f.authority->device(u"hvac-002"_s)->revokedWhy.size(), 500);
        f.authority.reset();
        VERIFY_OK(execute(f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3150) "
                             "INSERT INTO deny (spiffe_id, serial, ek, at, why, origin, issued_before, until) SELECT "
                             "'spiffe://building-1.smart.local/spire/agent/lintel_tpm/' || printf('%064x', i), '', "
                             "printf('%064x', i), 1, 'stolen', '', 0, 9000000000000 FROM n"));
        VERIFY_OK(f.open());
        const auto full = f.authority->denyListJws();
        VERIFY_OK(full);
        const auto report = f.authority->revoke(u"hvac-001"_s, u"stolen"_s, f.actor);
        VERIFY_ERROR(report, Errc::Full);
        QVERIFY(report.error().message.contains("no room"_L1));
        // Nothing has happened, and what there is goes on.
        QCOMPARE(f.authority->device(u"hvac-001"_s)->state, DeviceState::Approved);
        VERIFY_OK(f.authority->attest(f.node(ekHashOf(1), a.key)));
        VERIFY_OK(f.authority->denyListJws());
        VERIFY_OK(f.open());
        const auto again = f.authority->denyListJws();
        VERIFY_OK(again);
        QVERIFY(again->size() < tls::kMostDenyListBytes);
        // Enrolling some of them anew makes the list longer, and it can still be published.
        VERIFY_OK(f.authority->enroll(ekHashOf(2), factsOf(u"hvac-002"_s), f.actor));
        VERIFY_OK(f.authority->denyListJws());
    }
    void denyList_longerOneIsNotSigned()
    {
        tls::DenyList list{*TrustDomain::parse(u"building-1.smart.local"), 1, {}, {}};
        const DeviceKey key;
        tls::DenyEntry entry;
        entry.ekHash = ekHashOf(1);
        entry.reason = QString(1'000, u'x');
        while (tls::denyListBytes(list) <= tls::kMostDenyListBytes)
            for (int i = 0; i < 20; ++i)
                list.entries.append(entry);
        VERIFY_ERROR(tls::signDenyList(list, u"k"_s, *key.signer), Errc::Full);
        list.entries.resize(list.entries.size() - 20);
        const auto jws = tls::signDenyList(list, u"k"_s, *key.signer);
        VERIFY_OK(jws);
        QVERIFY(qAbs(jws->size() - tls::denyListBytes(list)) < 300);
        VERIFY_OK(tls::verifyDenyList(*jws, list.issuer, {{u"k"_s, key.signer->publicKeyDer()}}, 0));
    }

    // --- Keys ---
    void keys_fullDiskLeavesNoneBehind_andMemoryIsWhatIsOnDisk()
    {
        FaultyVfs disk;
        AuthorityFixture f;
        f.config.vfs = disk.name();
        VERIFY_OK(f.open());
        const auto before = *f.authority->bundle();
        f.clock.advance(f.config.issuingLifetime / 2 + 1h); // issuing CA and JWT key need successors
        bool hasFailedLate = false;
        for (qint64 room = 0; room < 64 * 1024; room += 2 * 1024) {
            disk.setRoom(room);
            if (f.authority->tick())
                break;
            QVERIFY2(keyFilesOf(f).size() <= 3 + 2, "each attempt has made a key of its own");
            hasFailedLate = hasFailedLate || keyFilesOf(f).size() == 3 + 2;
            QCOMPARE(f.authority->bundle()->jwtAuthorities, before.jwtAuthorities);
            QCOMPARE(*f.authority->bundle()->sequence, *before.sequence);
            QVERIFY(!f.authority->health());
        }
        QVERIFY2(hasFailedLate, "no attempt came as far as a key");
        disk.setRoom(std::nullopt);
        VERIFY_OK(f.authority->tick());
        VERIFY_OK(f.authority->health());
        QCOMPARE(f.authority->bundle()->jwtAuthorities.size(), 2);
        QCOMPARE(keyFilesOf(f), signingLabelsOf(f));
        QCOMPARE(keyFilesOf(f).size(), 5);
        f.authority.reset();
    }
    void keys_thoseOfACrashAreDestroyedAtTheNextStart()
    {
        FaultyVfs disk;
        AuthorityFixture f;
        f.config.vfs = disk.name();
        VERIFY_OK(f.open());
        f.clock.advance(f.config.issuingLifetime / 2 + 1h);
        for (qint64 room = 0; keyFilesOf(f).size() == 3; room += 2 * 1024) {
            QVERIFY(room < 64 * 1024);
            disk.setRoom(room);
            QVERIFY(!f.authority->tick());
        }
        f.authority.reset(); // it dies with a key that nothing names
        QVERIFY(keyFilesOf(f).size() > 3);
        const QStringList orphans = keyFilesOf(f);
        disk.setRoom(std::nullopt);
        VERIFY_OK(f.open());
        QCOMPARE(keyFilesOf(f), signingLabelsOf(f));
        for (const QString &orphan : orphans)
            QCOMPARE(keyFilesOf(f).contains(orphan), signingLabelsOf(f).contains(orphan));
        f.authority.reset();
    }
    void keys_thatHaveServedAreDestroyed_alsoAfterACrashBetween()
    {
        AuthorityFixture f;
        f.config.rootLifetime = 24h * 40;
        f.config.rootOverlap = 24h * 10;
        f.config.issuingLifetime = 24h * 4;
        f.config.jwtKeyLifetime = 24h * 4;
        VERIFY_OK(f.open());
        f.authority.reset();
        auto keeping = Authority::open(f.config, std::make_unique<KeepingKeyStore>(f.config.keysDir()), f.clock);
        VERIFY_OK(keeping);
        for (int day = 0; day < 60; ++day) { // a root and several issuing CAs are replaced
            f.clock.advance(24h);
            VERIFY_OK((*keeping)->tick());
        }
        keeping->reset();
        const auto kept = keyFilesOf(f).size();
        VERIFY_OK(f.open());
        QCOMPARE(keyFilesOf(f), signingLabelsOf(f));
        QVERIFY(keyFilesOf(f).size() < kept);
        VERIFY_OK(f.authority->mintX509(*tls::makeCsr(*DeviceKey().signer, f.id(u"/w"_s)), {}, f.actor));
    }

    // --- What a broker accepted last ---
    void lastAccepted_aClockThatIsAheadHidesNothing()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const SpiffeId id = f.id(u"/agent/hvac-001"_s);
        VERIFY_ERROR(f.authority->noteLastAccepted(id, f.clock.now(), u"broker"_s), Errc::NotFound); // not revoked
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, u"stolen"_s, f.actor));
        VERIFY_OK(f.authority->noteLastAccepted(id, fromEpochMillis(253'370'764'800'000), u"broker"_s)); // 9999
        QCOMPARE(f.authority->device(u"hvac-001"_s)->lastAcceptedAt, f.clock.now());
        f.clock.advance(2s);
        VERIFY_OK(f.authority->noteLastAccepted(id, f.clock.now() - 1s, u"broker"_s));
        QCOMPARE(f.authority->device(u"hvac-001"_s)->lastAcceptedAt, f.clock.now() - 1s);
        VERIFY_OK(f.authority->noteLastAccepted(id, f.clock.now() - 2s, u"broker"_s)); // no step back
        QCOMPARE(f.authority->device(u"hvac-001"_s)->lastAcceptedAt, f.clock.now() - 1s);
    }
    void lastAccepted_auditTrailHearsOnceAMinute_andTheLastOfIt()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, u"stolen"_s, f.actor));
        const auto told = [&f] {
            QList<AuditRecord> records = *f.authority->audit(0, 10'000);
            records.removeIf([](const AuditRecord &record) { return record.action != "device.lastAccepted"_L1; });
            return records;
        };
        for (int i = 0; i < 100; ++i) {
            f.clock.advance(500ms);
            VERIFY_OK(f.authority->noteLastAccepted(f.id(u"/agent/hvac-001"_s), f.clock.now(), u"broker"_s));
        }
        QCOMPARE(told().size(), 1);
        const Timestamp last = f.clock.now();
        f.clock.advance(30s);
        VERIFY_OK(f.authority->tick());
        QCOMPARE(told().size(), 2);
        QVERIFY(told().last().details.contains(toIso8601(last)));
        QCOMPARE(told().last().actor, u"broker"_s);
        VERIFY_OK(f.authority->tick());
        QCOMPARE(told().size(), 2);
        VERIFY_OK(f.authority->checkAudit());
    }
    void lastAccepted_isKeptOfAWorkloadToo()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        Entry entry;
        entry.spiffeId = f.id(u"/w/reporter"_s);
        entry.parentId = a.agent.id;
        entry.selectors = {{u"unix"_s, u"uid:1"_s}};
        VERIFY_OK(f.authority->createEntry(entry, f.actor));
        VERIFY_OK(f.authority->revoke(entry.spiffeId.toString(), u"not needed"_s, f.actor));
        f.clock.advance(1s);
        VERIFY_OK(f.authority->noteLastAccepted(entry.spiffeId, f.clock.now(), u"broker"_s));
        const AuditRecord record = f.authority->audit()->last();
        QCOMPARE(record.subject, entry.spiffeId.toString());
        QVERIFY(record.details.contains(u"last message accepted at "_s + toIso8601(f.clock.now())));
        const auto count = f.authority->audit()->size();
        f.clock.advance(5min);
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->noteLastAccepted(entry.spiffeId, f.clock.now() - 5min, u"broker"_s)); // known
        QCOMPARE(f.authority->audit()->size(), count);
    }

    // --- Backup ---
    void backup_isOnTheDiskBeforeItSaysSo_andRestoredKeysBeforeTheirDatabase()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const QString dir = f.dir.filePath(u"backup"_s);
        diskEvents.clear();
        VERIFY_OK(f.authority->backup(dir, f.actor));
        const auto at = [](const QString &event) { return diskEvents.lastIndexOf(event); };
        for (const QString &name : {u"/authority.db"_s, u"/keys"_s, u"/manifest.json"_s, u""_s})
            QVERIFY2(at(u"sync "_s + dir + name) >= 0, qPrintable(name));
        QVERIFY(at(u"sync "_s + dir + u"/authority.db"_s) < at(u"sync "_s + dir + u"/manifest.json"_s));
        const QStringList keys = keyFilesOf(f);
        QCOMPARE(keys.size(), 3);
        for (const QString &key : keys) {
            const QString copy = dir + u"/keys/"_s + key;
            QVERIFY2(at(u"sync "_s + copy + u".part"_s) >= 0, qPrintable(key));
            QVERIFY(at(u"sync "_s + copy + u".part"_s) < at(u"sync "_s + dir + u"/keys"_s));
        }
        f.authority.reset();

        f.config.stateDir = f.dir.filePath(u"restored"_s);
        diskEvents.clear();
        VERIFY_OK(restoreBackup(dir, f.config, {}, f.clock.now()));
        const auto becomesTheState = at(u"rename "_s + databaseOf(f));
        QVERIFY(becomesTheState >= 0);
        for (const QString &key : keys) {
            const QString copy = f.config.keysDir() + u'/' + key;
            QVERIFY2(at(u"sync "_s + copy + u".part"_s) >= 0, qPrintable(key));
            QVERIFY(at(u"sync "_s + copy + u".part"_s) < at(u"rename "_s + copy));
            QVERIFY(at(u"rename "_s + copy) < at(u"sync "_s + f.config.keysDir()));
        }
        QVERIFY(at(u"sync "_s + f.config.keysDir()) < becomesTheState);
        QVERIFY(at(u"sync "_s + f.config.stateDir) > becomesTheState);
        VERIFY_OK(f.open());
    }
    void restore_otherKeyUnderTheSameNameIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const QString dir = f.dir.filePath(u"backup"_s);
        VERIFY_OK(f.authority->backup(dir, f.actor));
        const QStringList keys = keyFilesOf(f);
        f.authority.reset();
        f.config.stateDir = f.dir.filePath(u"restored"_s);
        QVERIFY(QDir().mkpath(f.config.keysDir()));
        const QString there = f.config.keysDir() + u'/' + keys.first();
        VERIFY_OK(tls::writePrivateFile(there, "something else"));
        const auto refused = restoreBackup(dir, f.config, {}, f.clock.now());
        VERIFY_ERROR(refused, Errc::Conflict);
        QVERIFY(refused.error().message.contains(there));
        QVERIFY(!QFileInfo::exists(databaseOf(f)));
        // What an attempt before this one has copied is no reason.
        QVERIFY(QFile::remove(there));
        QVERIFY(QFile::copy(dir + u"/keys/"_s + keys.first(), there));
        VERIFY_OK(restoreBackup(dir, f.config, {}, f.clock.now()));
        VERIFY_OK(f.open());
    }
    void restore_denyListKnowsAllWhoWereRevokedSinceTheBackup_orIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        Entry workload;
        workload.spiffeId = f.id(u"/w/report"_s);
        workload.parentId = f.id(u"/spire/agent/x"_s);
        workload.selectors = {{u"unix"_s, u"uid:0"_s}};
        VERIFY_OK(f.authority->createEntry(workload, f.actor));
        Entry byHand = workload;
        byHand.spiffeId = a.entry.spiffeId;
        VERIFY_OK(f.authority->createEntry(byHand, f.actor));
        const QString dir = f.dir.filePath(u"backup"_s);
        VERIFY_OK(f.authority->backup(dir, f.actor));
        f.clock.advance(1h);
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, u"stolen"_s, f.actor));
        VERIFY_OK(f.authority->revoke(workload.spiffeId.toString(), u"stolen"_s, f.actor));
        int used = 0;
        for (int day = 1; day <= 20; ++day) {
            f.clock.advance(24h);
            VERIFY_OK(f.authority->tick());
            AuthorityFixture other;
            other.clock.setNow(f.clock.now());
            other.config.stateDir = f.dir.filePath(u"restored-%1"_s.arg(day));
            if (!restoreBackup(dir, other.config, *f.authority->denyListJws(), f.clock.now()))
                continue; // its key is not in the backup; lintelctl says what to do
            ++used;
            VERIFY_OK(other.open());
            QCOMPARE(other.authority->device(u"hvac-001"_s)->state, DeviceState::Revoked);
            const auto left = other.authority->entries();
            VERIFY_OK(left);
            for (const Entry &entry : *left)
                QVERIFY2(entry.spiffeId != workload.spiffeId && entry.spiffeId != byHand.spiffeId,
                         qPrintable(entry.spiffeId.toString()));
        }
        QVERIFY(used > 0 && used < 20);
    }

    // --- Schema ---
    void schema_stateOfTheThirdVersionIsTakenOver()
    {
        AuthorityFixture f;
        QVERIFY(QDir().mkpath(f.config.stateDir));
        {
            auto database = sqlite::Database::open(databaseOf(f));
            VERIFY_OK(database);
            VERIFY_OK((*database)->migrate(authorityMigrations().first(3)));
            VERIFY_OK((*database)->execute(
                "INSERT INTO devices (id, ek, spiffe_id, agent_id, name, kind, site, space, tags, state, enrolled_by, "
                "vendor, hardware, release, verdict, pcrs, enrolled_at, approved_at, attested_at, revoked_at, "
                "last_accepted_at, revoked_why) VALUES (1, printf('%064x', 5), '', '', '', '', '', '', '[]', 0, 2, '', '', "
                "'', 0, '{}', 1700000000000, 0, 0, 0, 0, '')"));
            VERIFY_OK(
                (*database)->execute("INSERT INTO deny (spiffe_id, serial, ek, at, why, origin, issued_before, "
                                     "until) VALUES ('spiffe://building-1.smart.local/agent/old', '', '', "
                                     "1700000000000, 'stolen', 'spiffe://building-1.smart.local/agent/old', 0, 0)"));
        }
        VERIFY_OK(f.open());
        QCOMPARE(listOf(f).entries.size(), 1);
        f.authority.reset();
        auto database = sqlite::Database::open(databaseOf(f));
        VERIFY_OK(database);
        QCOMPARE(*(*database)->schemaVersion(), int(authorityMigrations().size()));
        auto query = (*database)->prepare("SELECT seen_at > enrolled_at, address FROM devices WHERE id = 1 UNION ALL "
                                          "SELECT until > 0, last_accepted_at FROM deny");
        VERIFY_OK(query);
        QVERIFY(*query->step());
        QCOMPARE(query->integer(0), 1);
        QVERIFY(*query->step());
        QCOMPARE(query->integer(0), 1);
    }
};

QTEST_GUILESS_MAIN(TestAuthorityUpkeep)
#include "tst_authority_upkeep.moc"
