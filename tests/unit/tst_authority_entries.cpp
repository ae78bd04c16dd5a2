// Entries and revocation: what is authorized, and what is out everywhere.
#include "fakes/attested_agent.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {
const DeviceFacts kFacts = factsOf(u"hvac-001"_s);
} // namespace

class TestAuthorityEntries : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    // --- Entries ---
    void entries_reservedForeignAndIncompleteOnesAreRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        Entry good;
        good.spiffeId = f.id(u"/w/a"_s);
        good.parentId = f.id(u"/spire/agent/x"_s);
        good.selectors = {{u"unix"_s, u"uid:0"_s}};
        VERIFY_OK(f.authority->createEntry(good, f.actor));
        VERIFY_ERROR(f.authority->createEntry(good, f.actor), Errc::Conflict);
        Entry bad = good;
        bad.spiffeId = f.id(u"/spire/server"_s);
        VERIFY_ERROR(f.authority->createEntry(bad, f.actor), Errc::Malformed);
        bad.spiffeId = *SpiffeId::parse(u"spiffe://other.example/w");
        VERIFY_ERROR(f.authority->createEntry(bad, f.actor), Errc::Malformed);
        bad = good;
        bad.selectors.clear();
        VERIFY_ERROR(f.authority->createEntry(bad, f.actor), Errc::Malformed);
        bad = good;
        bad.spiffeId = f.id(u"/w/b"_s);
        bad.federatesWith = {*TrustDomain::parse(u"other.example")};
        VERIFY_ERROR(f.authority->createEntry(bad, f.actor), Errc::NotFound);
        bad.federatesWith.clear();
        bad.x509Ttl = 24h * 30;
        VERIFY_ERROR(f.authority->createEntry(bad, f.actor), Errc::OutOfRange);
    }
    /// SPIFFE_Workload_API.md section 8, which counts bytes.
    void entries_hintsHave1024BytesAtMost()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        Entry entry;
        entry.spiffeId = f.id(u"/w/a"_s);
        entry.parentId = f.id(u"/spire/agent/x"_s);
        entry.selectors = {{u"unix"_s, u"uid:0"_s}};
        for (const QString &hint : {QString(1'025, u'x'), QString(513, u'ü'), QString(400, u'€')}) {
            entry.hint = hint;
            VERIFY_ERROR(f.authority->createEntry(entry, f.actor), Errc::Malformed);
        }
        entry.hint = QString(512, u'ü');
        auto made = f.authority->createEntry(entry, f.actor);
        VERIFY_OK(made);
        QCOMPARE(f.authority->entry(made->id)->hint, entry.hint);
        made->hint = QString(513, u'ü');
        VERIFY_ERROR(f.authority->updateEntry(*made, f.actor), Errc::Malformed);
        QCOMPARE(f.authority->entry(made->id)->hint, entry.hint);
    }
    void entries_giveNoRevokedIdentityBack()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        Entry entry;
        entry.spiffeId = f.id(u"/w/a"_s);
        entry.parentId = f.id(u"/spire/agent/x"_s);
        entry.selectors = {{u"unix"_s, u"uid:0"_s}};
        VERIFY_OK(f.authority->createEntry(entry, f.actor));
        Entry other = entry;
        other.spiffeId = f.id(u"/w/b"_s);
        const auto made = f.authority->createEntry(other, f.actor);
        VERIFY_OK(made);
        VERIFY_OK(f.authority->revoke(f.id(u"/w/a"_s).toString(), u"stolen"_s, f.actor));
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, u"stolen"_s, f.actor));
        Entry renamed = *made;
        renamed.spiffeId = f.id(u"/w/a"_s);
        VERIFY_ERROR(f.authority->updateEntry(renamed, f.actor), Errc::Denied);
        entry.spiffeId = a.entry.spiffeId;
        VERIFY_ERROR(f.authority->createEntry(entry, f.actor), Errc::Denied);
    }
    void entries_aliasesAndGrandchildrenAreAuthorized()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const auto add = [&](const QString &id, const SpiffeId &parent, const Selectors &selectors) {
            Entry entry;
            entry.spiffeId = f.id(id);
            entry.parentId = parent;
            entry.selectors = selectors;
            return f.authority->createEntry(entry, f.actor);
        };
        VERIFY_OK(add(u"/all"_s, f.id(u"/spire/server"_s), {{u"lintel_tpm"_s, u"ek:"_s + ekHashOf(1)}}));
        VERIFY_OK(add(u"/none"_s, f.id(u"/spire/server"_s), {{u"lintel_tpm"_s, u"ek:other"_s}}));
        VERIFY_OK(add(u"/child"_s, f.id(u"/all"_s), {{u"unix"_s, u"uid:1"_s}}));
        VERIFY_OK(add(u"/grandchild"_s, f.id(u"/child"_s), {{u"unix"_s, u"uid:2"_s}}));
        VERIFY_OK(add(u"/loop"_s, f.id(u"/grandchild"_s), {{u"unix"_s, u"uid:3"_s}}));
        VERIFY_OK(add(u"/all"_s, f.id(u"/loop"_s), {{u"unix"_s, u"uid:4"_s}}));
        VERIFY_OK(add(u"/stranger"_s, f.id(u"/none"_s), {{u"unix"_s, u"uid:5"_s}}));
        QStringList paths;
        const auto authorized = f.authority->authorizedEntries(a.agent);
        for (const Entry &entry : *authorized)
            paths.append(entry.spiffeId.path());
        paths.sort();
        QCOMPARE(paths, (QStringList{u"/agent/hvac-001"_s, u"/all"_s, u"/child"_s, u"/grandchild"_s, u"/loop"_s}));
    }
    void entries_updateCountsRevision_andDevicesEntryStays()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        Entry entry = a.entry;
        entry.hint = u"h"_s;
        const auto updated = f.authority->updateEntry(entry, f.actor);
        VERIFY_OK(updated);
        QCOMPARE(updated->revision, a.entry.revision + 1);
        QVERIFY(updated->keyBound);
        entry.spiffeId = f.id(u"/agent/other"_s);
        VERIFY_ERROR(f.authority->updateEntry(entry, f.actor), Errc::Denied);
        VERIFY_OK(f.open());
        QCOMPARE(f.authority->entry(entry.id)->hint, u"h"_s);
    }

    // --- Revocation ---
    void revoke_deviceIsOutEverywhere_andFreshEnrolmentBringsItBack()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const auto before = a.issue(f, a.key.csr);
        VERIFY_OK(before);
        const auto agentLeaf = f.authority->attest(f.node(ekHashOf(1), a.key))->svid.chainDer.first();
        QSignalSpy changed(f.authority.get(), &Authority::denyListChanged);
        QSignalSpy removed(f.authority.get(), &Authority::agentRemoved);
        f.clock.advance(10s);
        const auto report = f.authority->revoke(u"hvac-001"_s, u"stolen"_s, f.actor);
        VERIFY_OK(report);
        QCOMPARE(changed.count(), 1);
        QCOMPARE(removed.count(), 1);

        const auto list = [&] {
            return *tls::verifyDenyList(*f.authority->denyListJws(), f.config.domain,
                                        f.authority->bundle()->jwtAuthorities, 0);
        };
        QCOMPARE(list().sequence, report->denyListSequence);
        QVERIFY(list().find(before->id, before->serial, before->notBefore));
        QVERIFY(list().find(a.agent.id, {}, before->notBefore));
        QCOMPARE(f.authority->checkAgent(agentLeaf).denial, AgentDenial::Banned);
        VERIFY_ERROR(f.authority->considerDevice({ekHashOf(1), {}, {}}), Errc::Denied);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(1), a.key)), Errc::Denied);
        VERIFY_ERROR(a.issue(f, a.key.csr), Errc::NotFound);
        VERIFY_ERROR(f.authority->approve(u"hvac-001"_s, kFacts, f.actor), Errc::Conflict);
        VERIFY_ERROR(f.authority->revoke(u"hvac-001"_s, {}, f.actor), Errc::Conflict);
        VERIFY_OK(f.authority->noteLastAccepted(before->id, f.clock.now() + 1s, u"broker"_s));
        QVERIFY(f.authority->audit()->last().details.contains("last message accepted at"_L1));

        // All of this is on the disk.
        VERIFY_OK(f.open());
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(1), a.key)), Errc::Denied);
        QVERIFY(list().find(before->id, before->serial, before->notBefore));

        f.clock.advance(5s);
        const Attested again(f);
        const auto after = again.issue(f, again.key.csr);
        VERIFY_OK(after);
        QVERIFY(list().sequence > report->denyListSequence);
        QVERIFY2(list().find(before->id, before->serial, before->notBefore), "the old SVID must stay refused");
        QVERIFY2(!list().find(after->id, after->serial, after->notBefore), "the new SVID must be good at once");
        VERIFY_OK(f.verify(*after));
    }
    void revoke_takesWhatRanOnlyThere()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const Attested b(f, 2, u"hvac-002"_s);
        const auto add = [&](const QString &id, const SpiffeId &parent) {
            Entry entry;
            entry.spiffeId = f.id(id);
            entry.parentId = parent;
            entry.selectors = {{u"unix"_s, u"uid:1"_s}};
            VERIFY_OK(f.authority->createEntry(entry, f.actor));
        };
        add(u"/w/alone"_s, a.agent.id);
        add(u"/w/shared"_s, a.agent.id);
        add(u"/w/shared"_s, b.agent.id);
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, u"x"_s, f.actor));
        const auto list = *tls::verifyDenyList(*f.authority->denyListJws(), f.config.domain,
                                               f.authority->bundle()->jwtAuthorities, 0);
        QVERIFY(list.find(f.id(u"/w/alone"_s), {}, f.clock.now()));
        QVERIFY(!list.find(f.id(u"/w/shared"_s), {}, f.clock.now()));
        QVERIFY(!list.find(f.id(u"/agent/hvac-002"_s), {}, f.clock.now()));
    }
    void revoke_anotherTpmMayTakeTheFreeName_butTheOldOneStaysOut()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, u"broken"_s, f.actor));
        const Attested b(f, 2);
        VERIFY_OK(b.issue(f, b.key.csr));
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(1), a.key)), Errc::Denied);
    }
};

QTEST_GUILESS_MAIN(TestAuthorityEntries)
#include "tst_authority_entries.moc"
