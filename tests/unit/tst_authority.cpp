// The authority's promises: who gets an SVID and who does not, what revocation does, how keys rotate.
#include "adapters/sqlite/database.h"
#include "fakes/authority_fixture.h"
#include "fakes/odd_certificate.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

// Each looks at its expression once.
#define VERIFY_OK(expression)                                                                                          \
    do {                                                                                                               \
        const auto &outcome_ = (expression);                                                                           \
        QVERIFY2(bool(outcome_), outcome_ ? "" : qPrintable(outcome_.error().message));                                \
    } while (false)
#define VERIFY_ERROR(expression, errc)                                                                                 \
    do {                                                                                                               \
        const auto &outcome_ = (expression);                                                                           \
        QVERIFY(!outcome_);                                                                                            \
        QCOMPARE(outcome_.error().code, errc);                                                                         \
        QVERIFY(!outcome_.error().message.isEmpty());                                                                  \
    } while (false)

namespace {
const DeviceFacts kFacts{u"hvac-001"_s, u"sensor"_s, u"building-1"_s, u"roof"_s, {u"hvac"_s}};

/// Enrolled, attested and checked: an agent ready to ask.
struct Attested {
    DeviceKey key;
    Agent agent;
    Entry entry;

    explicit Attested(AuthorityFixture &f, int number = 1, const QString &name = u"hvac-001"_s)
    {
        DeviceFacts facts = kFacts;
        facts.name = name;
        (void)f.authority->enroll(ekHashOf(number), facts, f.actor);
        const auto svid = f.authority->attest(f.node(ekHashOf(number), key));
        if (!svid)
            return;
        agent = f.authority->checkAgent(svid->svid.chainDer.first()).agent;
        const auto entries = f.authority->authorizedEntries(agent);
        if (entries && !entries->isEmpty())
            entry = entries->first();
    }
    Result<IssuedSvid> issue(AuthorityFixture &f, const QByteArray &csr) const
    {
        const auto results = f.authority->issueX509(agent, {{entry.id, csr}});
        return results ? results->first() : results.error();
    }
};
} // namespace

class TestAuthority : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    // --- The device's way ---
    void attest_enrolledDeviceGetsAgentAndDeviceSvid()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        QCOMPARE(a.agent.id, f.id(u"/spire/agent/lintel_tpm/"_s + ekHashOf(1)));
        QCOMPARE(a.entry.spiffeId, f.id(u"/agent/hvac-001"_s));
        const auto svid = a.issue(f, a.key.csr);
        VERIFY_OK(svid);
        QCOMPARE(svid->id, f.id(u"/agent/hvac-001"_s));
        VERIFY_OK(f.verify(*svid));
        QCOMPARE(svid->notAfter - std::chrono::floor<std::chrono::seconds>(f.clock.now()), 1h);
    }
    void attest_unknownChipWaitsInTheQueue_untilApproved()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const DeviceKey key;
        VERIFY_OK(f.authority->considerDevice({ekHashOf(5), {}, {}}));
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(5), key)), Errc::Unavailable);
        VERIFY_ERROR(f.authority->considerDevice({ekHashOf(5), {}, {}}), Errc::Unavailable);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(5), key)), Errc::Unavailable);
        QCOMPARE(f.authority->devices(DeviceState::Pending)->size(), 1);
        VERIFY_OK(f.authority->approve(ekHashOf(5), kFacts, f.actor));
        VERIFY_OK(f.authority->attest(f.node(ekHashOf(5), key)));
    }
    void attest_queueIsBounded()
    {
        AuthorityFixture f;
        f.config.maxPending = 2;
        VERIFY_OK(f.open());
        const DeviceKey key;
        for (int i = 1; i <= 2; ++i)
            VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(i), key)), Errc::Unavailable);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(3), key)), Errc::Full);
    }
    void attest_unknownMakerIsRefused_whenOnlyGenuineChipsMayQueue()
    {
        AuthorityFixture f;
        f.config.firstSeen = FirstSeen::QueueGenuine;
        VERIFY_OK(f.open());
        const DeviceKey key;
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(1), key)), Errc::Denied);
        auto genuine = f.node(ekHashOf(1), key);
        genuine.vendor = u"CN=Maker"_s;
        VERIFY_ERROR(f.authority->attest(genuine), Errc::Unavailable);
        QCOMPARE(f.authority->devices()->first().enrolledBy, EnrolledBy::VendorCertificate);
    }
    void attest_brokenCsrIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->enroll(ekHashOf(1), kFacts, f.actor));
        DeviceKey key;
        auto node = f.node(ekHashOf(1), key);
        node.csrDer.replace(key.signer->publicKeyDer(), DeviceKey().signer->publicKeyDer());
        VERIFY_ERROR(f.authority->attest(node), Errc::Denied);
    }
    void issue_keyThatWasNotAttestedIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        VERIFY_ERROR(a.issue(f, DeviceKey().csr), Errc::Denied);
    }
    void issue_brokenCsrIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        QByteArray csr = a.key.csr;
        csr[csr.size() - 3] = char(csr[csr.size() - 3] ^ 1);
        VERIFY_ERROR(a.issue(f, csr), Errc::Denied);
    }
    void issue_entryOfAnotherAgentIsNotFound()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const Attested b(f, 2, u"hvac-002"_s);
        const auto results = f.authority->issueX509(a.agent, {{b.entry.id, a.key.csr}, {a.entry.id, a.key.csr}});
        VERIFY_OK(results);
        VERIFY_ERROR(results->first(), Errc::NotFound);
        VERIFY_OK(results->last());
    }
    void issue_batchKeepsItsOrder()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        QList<SvidRequest> requests;
        QList<SpiffeId> ids;
        for (int i = 0; i < 40; ++i) {
            Entry entry;
            entry.spiffeId = f.id(u"/w/%1"_s.arg(i));
            entry.parentId = a.agent.id;
            entry.selectors = {{u"unix"_s, u"uid:%1"_s.arg(i)}};
            requests.append({f.authority->createEntry(entry, f.actor)->id, DeviceKey().csr});
            ids.append(entry.spiffeId);
        }
        const auto results = f.authority->issueX509(a.agent, requests);
        VERIFY_OK(results);
        for (qsizetype i = 0; i < ids.size(); ++i)
            QCOMPARE(results->at(i)->id, ids[i]);
    }

    // --- Names ---
    void enroll_secondTpmUnderAnExistingIdIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->enroll(ekHashOf(1), kFacts, f.actor));
        VERIFY_ERROR(f.authority->enroll(ekHashOf(2), kFacts, f.actor), Errc::Conflict);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(2), DeviceKey())), Errc::Unavailable);
        VERIFY_ERROR(f.authority->approve(ekHashOf(2), kFacts, f.actor), Errc::Conflict);
        VERIFY_ERROR(f.authority->createToken(5min, f.id(u"/agent/hvac-001"_s), f.actor), Errc::Conflict);
        VERIFY_ERROR(f.authority->enroll(ekHashOf(1), {u"other"_s, {}, {}, {}, {}}, f.actor), Errc::Conflict);
    }
    void enroll_gatewayAlsoGetsTheBrokersEntry()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->enroll(ekHashOf(1), {u"gateway"_s, u"gateway"_s, {}, {}, {}}, f.actor));
        // For its agent by either attestation with the same chip.
        QList<SpiffeId> parents;
        const auto entries = f.authority->entries({f.id(u"/broker"_s), {}, {}, {}, {}});
        VERIFY_OK(entries);
        for (const Entry &entry : *entries) {
            QVERIFY(!entry.keyBound);
            parents.append(entry.parentId);
        }
        QCOMPARE(parents.size(), 2);
        for (const QString &type : {u"tpm"_s, u"lintel_tpm"_s})
            QVERIFY(parents.contains(f.id(u"/spire/agent/%1/%2"_s.arg(type, ekHashOf(1)))));
    }
    void revoke_ofAGatewayEndsItsBrokersIdentityToo()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->enroll(ekHashOf(1), {u"gateway"_s, u"gateway"_s, {}, {}, {}}, f.actor));
        VERIFY_OK(f.authority->attest(f.node(ekHashOf(1), DeviceKey())));
        VERIFY_OK(f.authority->revoke(u"gateway"_s, u"stolen"_s, f.actor));
        const auto jws = f.authority->denyListJws();
        VERIFY_OK(jws);
        const auto list = tls::verifyDenyList(*jws, f.config.domain, f.authority->bundle()->jwtAuthorities, 0);
        VERIFY_OK(list);
        QVERIFY(std::any_of(list->entries.begin(), list->entries.end(),
                            [&](const tls::DenyEntry &entry) { return entry.id == f.id(u"/broker"_s); }));
        QVERIFY(f.authority->entries({f.id(u"/broker"_s), {}, {}, {}, {}})->isEmpty());
    }
    void enrollBatch_allOrNothing()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const QByteArray head = "hash,name,kind,site,space,tags\n";
        const QByteArray good = ekHashOf(1).toLatin1() + ",a,sensor,s,r,x;y\n" + ekHashOf(2).toLatin1() + ",b,,,,\n";
        const auto bad =
            f.authority->enrollBatch(head + good + "zz,c,,,,\n" + ekHashOf(1).toLatin1() + ",d,,,,\n", f.actor);
        VERIFY_OK(bad);
        QCOMPARE(bad->enrolled, 0);
        QCOMPARE(bad->problems.size(), 2);
        QCOMPARE(bad->problems[0].line, 4);
        QCOMPARE(bad->problems[1].line, 5);
        QCOMPARE(f.authority->devices()->size(), 0);
        QCOMPARE(f.authority->entries()->size(), 0);
        const auto done = f.authority->enrollBatch(head + good, f.actor);
        QCOMPARE(done->enrolled, 2);
        QCOMPARE(f.authority->device(u"a"_s)->facts.tags, (QStringList{u"x"_s, u"y"_s}));
        // A row that contradicts what is stored undoes the others as well.
        const auto again = f.authority->enrollBatch(
            head + ekHashOf(7).toLatin1() + ",new,,,,\n" + ekHashOf(8).toLatin1() + ",a,,,,\n", f.actor);
        QCOMPARE(again->problems.first().line, 3);
        VERIFY_ERROR(f.authority->device(u"new"_s), Errc::NotFound);
    }

    // --- Tokens ---
    void token_isSpentOnce_butItsKeyMayRepeat()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const auto token = f.authority->createToken(5min, f.id(u"/agent/soft-1"_s), f.actor);
        VERIFY_OK(token);
        const DeviceKey key;
        VERIFY_OK(f.authority->attest(f.tokenNode(token->token, key)));
        const auto again = f.authority->attest(f.tokenNode(token->token, key));
        VERIFY_OK(again);
        VERIFY_ERROR(f.authority->attest(f.tokenNode(token->token, DeviceKey())), Errc::Denied);
        const auto check = f.authority->checkAgent(again->svid.chainDer.first());
        QCOMPARE(check.denial, AgentDenial::None);
        const auto entries = f.authority->authorizedEntries(check.agent);
        QCOMPARE(entries->size(), 1);
        QCOMPARE(entries->first().spiffeId, f.id(u"/agent/soft-1"_s));
        QCOMPARE(f.authority->device(u"soft-1"_s)->enrolledBy, EnrolledBy::JoinToken);
        f.clock.advance(2h);
        VERIFY_ERROR(f.authority->attest(f.tokenNode(token->token, key)), Errc::Denied);
    }
    void token_expiredOrUnknownIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const auto token = f.authority->createToken(60s, {}, f.actor);
        f.clock.advance(60s);
        VERIFY_ERROR(f.authority->attest(f.tokenNode(token->token, DeviceKey())), Errc::Denied);
        VERIFY_ERROR(f.authority->attest(f.tokenNode(u"guessed"_s, DeviceKey())), Errc::Denied);
        VERIFY_ERROR(f.authority->attest(f.tokenNode(u"../../server"_s, DeviceKey())), Errc::Malformed);
    }

    // --- Agents ---
    void renew_bothSvidsWork_untilTheNewOneIsUsed()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const auto token = f.authority->createToken(5min, {}, f.actor);
        const auto first = f.authority->attest(f.tokenNode(token->token, DeviceKey()));
        const auto second = f.authority->renewAgent(first->agent.id, DeviceKey().csr);
        VERIFY_OK(second);
        const QByteArray oldLeaf = first->svid.chainDer.first();
        const QByteArray newLeaf = second->svid.chainDer.first();
        QCOMPARE(f.authority->checkAgent(oldLeaf).denial, AgentDenial::None);
        QCOMPARE(f.authority->checkAgent(newLeaf).denial, AgentDenial::None);
        QCOMPARE(f.authority->checkAgent(oldLeaf).denial, AgentDenial::NotActive);
        f.clock.advance(61min);
        QCOMPARE(f.authority->checkAgent(newLeaf).denial, AgentDenial::Expired);
    }
    void renew_agentWithTpmMustAttestAgain()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        VERIFY_ERROR(f.authority->renewAgent(a.agent.id, DeviceKey().csr), Errc::Denied);
    }
    void agents_banEvictAndUnknown()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const auto leaf = f.authority->attest(f.node(ekHashOf(1), a.key))->svid.chainDer.first();
        QSignalSpy removed(f.authority.get(), &Authority::agentRemoved);
        VERIFY_OK(f.authority->deleteAgent(a.agent.id, f.actor));
        QCOMPARE(f.authority->checkAgent(leaf).denial, AgentDenial::NotAttested);
        VERIFY_OK(f.authority->attest(f.node(ekHashOf(1), a.key)));
        VERIFY_OK(f.authority->banAgent(a.agent.id, f.actor));
        QCOMPARE(f.authority->checkAgent(leaf).denial, AgentDenial::Banned);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(1), a.key)), Errc::Denied);
        QCOMPARE(removed.count(), 2);
        QCOMPARE(f.authority->checkAgent(makeCertificate({}).der).denial, AgentDenial::NotAttested);
    }

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

    // --- Boot ---
    void boot_verdictsAndTheirChangesAreStored()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        DeviceFacts facts = kFacts;
        facts.hardware = u"pi"_s;
        facts.release = u"1.0"_s;
        VERIFY_OK(f.authority->enroll(ekHashOf(1), facts, f.actor));
        const DeviceKey key;
        auto node = f.node(ekHashOf(1), key);
        const auto attest = [&](char pcr4, const QByteArray &quote) {
            node.quote = quote;
            node.pcrs = {{0, QByteArray(32, 'a')}, {4, QByteArray(32, pcr4)}};
            VERIFY_OK(f.authority->attest(node));
        };
        const auto verdict = [&] { return f.authority->device(u"hvac-001"_s)->verdict; };
        attest('b', {});
        QCOMPARE(verdict(), BootVerdict::NotMeasured);
        attest('b', "quote");
        QCOMPARE(verdict(), BootVerdict::NoReference);
        VERIFY_OK(f.authority->setReferenceValues({u"pi"_s, u"1.0"_s, {{4, {QByteArray(32, 'b')}}}}, f.actor));
        attest('b', "quote");
        QCOMPARE(verdict(), BootVerdict::Matches);
        attest('x', "quote");
        QCOMPARE(verdict(), BootVerdict::Differs);
        const auto last = f.authority->attestations(ekHashOf(1), 1)->first();
        QVERIFY(last.change.contains("PCR 4"_L1));
        QCOMPARE(last.quote, "quote"_ba);
        f.config.requireMeasuredBoot = true;
        VERIFY_OK(f.open());
        VERIFY_ERROR(f.authority->attest(node), Errc::Denied);
        // Another release of its software: its own references count.
        VERIFY_OK(f.authority->setHardware(u"hvac-001"_s, u"pi"_s, u"1.1"_s, f.actor));
        VERIFY_OK(f.authority->setReferenceValues({u"pi"_s, u"1.1"_s, {{4, {QByteArray(32, 'x')}}}}, f.actor));
        VERIFY_OK(f.authority->attest(node));
        VERIFY_OK(f.authority->removeReferenceValues(u"pi"_s, u"1.1"_s, f.actor));
        VERIFY_ERROR(f.authority->attest(node), Errc::Denied);
        VERIFY_ERROR(f.authority->removeReferenceValues(u"pi"_s, u"1.1"_s, f.actor), Errc::NotFound);
    }
    void boot_thatIsAcceptedIsTheReference()
    {
        AuthorityFixture f;
        f.config.requireMeasuredBoot = true;
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->enroll(ekHashOf(1), kFacts, f.actor));
        const DeviceKey key;
        auto node = f.node(ekHashOf(1), key);
        const auto accept = [&](bool replaces = false) {
            return f.authority->acceptBoot(u"hvac-001"_s, {}, {}, replaces, f.actor);
        };
        VERIFY_ERROR(f.authority->acceptBoot(u"hvac-001"_s, u"pi"_s, {}, false, f.actor), Errc::Conflict); // never came
        node.quote = "quote";
        node.pcrs = {{0, QByteArray(32, '\0')}};
        VERIFY_ERROR(f.authority->attest(node), Errc::Denied);
        VERIFY_ERROR(f.authority->acceptBoot(u"hvac-001"_s, u"pi"_s, {}, false, f.actor),
                     Errc::Conflict); // nothing measured
        node.pcrs = {{0, QByteArray(32, 'a')}};
        VERIFY_ERROR(f.authority->attest(node), Errc::Denied);
        VERIFY_ERROR(accept(), Errc::Malformed); // which hardware?
        VERIFY_OK(f.authority->acceptBoot(u"hvac-001"_s, u"pi"_s, u"1"_s, false, f.actor));
        QCOMPARE(f.authority->device(u"hvac-001"_s)->facts.hardware, u"pi"_s);
        VERIFY_OK(f.authority->attest(node));
        auto other = node;
        other.pcrs = {{0, QByteArray(32, 'b')}};
        VERIFY_ERROR(f.authority->attest(other), Errc::Denied);
        VERIFY_OK(accept()); // beside the one before
        VERIFY_OK(f.authority->attest(other));
        VERIFY_OK(f.authority->attest(node));
        VERIFY_OK(accept(true)); // instead
        VERIFY_OK(f.authority->attest(node));
        VERIFY_ERROR(f.authority->attest(other), Errc::Denied);
        QCOMPARE(f.authority->referenceValues()->size(), 1);
    }
    void boot_eventLogThatTellsAnotherBootIsRefusedAndKept()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        DeviceFacts facts = kFacts;
        facts.hardware = u"pi"_s;
        VERIFY_OK(f.authority->enroll(ekHashOf(1), facts, f.actor));
        VERIFY_OK(f.authority->setReferenceValues({u"pi"_s, {}, {{4, {QByteArray(32, 'b')}}}}, f.actor));
        const DeviceKey key;
        auto node = f.node(ekHashOf(1), key);
        node.quote = "quote";
        node.pcrs = {{4, QByteArray(32, 'b')}};
        node.eventLog = QByteArray(5'000, 'l');
        VERIFY_OK(f.authority->attest(node));
        QCOMPARE(f.authority->device(u"hvac-001"_s)->verdict, BootVerdict::Matches);
        node.eventLogProblem = u"It does not lead to PCR 4."_s;
        node.eventLog = QByteArray(5'000, 'm');
        VERIFY_OK(f.authority->attest(node)); // with an identity, but said
        QCOMPARE(f.authority->device(u"hvac-001"_s)->verdict, BootVerdict::LogContradicts);
        VERIFY_ERROR(f.authority->acceptBoot(u"hvac-001"_s, {}, {}, false, f.actor), Errc::Conflict);
        f.config.requireMeasuredBoot = true;
        VERIFY_OK(f.open());
        VERIFY_ERROR(f.authority->attest(node), Errc::Denied);
        const auto history = *f.authority->attestations(ekHashOf(1));
        QCOMPARE(history.size(), 3);
        QCOMPARE(history[1].eventLog, node.eventLog);
        QCOMPARE(history[1].reason, node.eventLogProblem);
        QVERIFY(history[1].change.contains(u"event log"_s));
        QCOMPARE(history[2].eventLog, QByteArray(5'000, 'l'));
        // A device that always has another story cannot fill the disk.
        f.config.requireMeasuredBoot = false;
        VERIFY_OK(f.open());
        for (int i = 0; i < 600; ++i) {
            node.pcrs = {{4, QByteArray(32, char(i % 100 + 1))}};
            node.eventLog = QByteArray::number(i);
            VERIFY_OK(f.authority->attest(node));
        }
        VERIFY_OK(f.authority->tick());
        const auto kept = *f.authority->attestations(ekHashOf(1), 1'000);
        QCOMPARE(kept.size(), 500);
        QCOMPARE(std::count_if(kept.begin(), kept.end(), [](const auto &one) { return !one.eventLog.isEmpty(); }), 8);
        f.authority.reset();
        auto database = sqlite::Database::open(f.config.stateDir + u"/authority.db"_s);
        VERIFY_OK(database);
        auto logs = (*database)->prepare("SELECT COUNT(*) FROM event_logs");
        VERIFY_OK(logs);
        VERIFY_OK(logs->step());
        QCOMPARE(logs->integer(0), 8);
    }
    void refusals_areMergedWrittenOnceAMinuteAndBounded()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const auto trail = f.authority->audit()->size();
        for (int i = 0; i < 10'000; ++i)
            f.authority->noteRefusal(u"192.0.2.1"_s, u"chip"_s, u"no"_s);
        QCOMPARE(f.authority->refusals()->size(), 1);
        QCOMPARE(f.authority->refusals()->first().count, 10'000);
        f.clock.advance(1min);
        VERIFY_OK(f.authority->tick());
        f.authority->noteRefusal(u"192.0.2.1"_s, u"chip"_s, u"no"_s);
        QCOMPARE(f.authority->refusals()->size(), 2); // another minute
        VERIFY_OK(f.open());                          // also what was not due yet is there after a restart
        QCOMPARE(f.authority->refusals()->size(), 2);
        for (int minute = 0; minute < 8; ++minute) {
            for (int i = 0; i < 5'000; ++i)
                f.authority->noteRefusal(u"192.0.2.%1"_s.arg(i), {}, u"no"_s);
            f.clock.advance(1min);
            VERIFY_OK(f.authority->tick());
        }
        QCOMPARE(f.authority->refusals(10'000)->size(), 5'000);
        QCOMPARE(f.authority->audit()->size(), trail);
        VERIFY_OK(f.authority->checkAudit());
    }

    // --- CA ---
    void ca_rotationNeverBreaksWhatIsInUse()
    {
        AuthorityFixture f;
        f.config.rootLifetime = 24h * 40;
        f.config.rootOverlap = 24h * 10;
        f.config.issuingLifetime = 24h * 4;
        f.config.jwtKeyLifetime = 24h * 4;
        VERIFY_OK(f.open());
        const Attested a(f);
        TrustBundles seen{{f.config.domain, f.authority->bundle()->x509Authorities}};
        tls::JwtBundles jwtSeen{{f.config.domain, f.authority->bundle()->jwtAuthorities}};
        QSet<QByteArray> roots;
        QSet<QByteArray> issuers;
        quint64 sequence = 0;
        for (int hours = 0; hours < 24 * 100; hours += 4) {
            VERIFY_OK(f.authority->tick());
            const auto svid = f.authority->mintX509(*tls::makeCsr(*a.key.signer, f.id(u"/w"_s)), {}, f.actor);
            VERIFY_OK(svid);
            const auto jwt = f.authority->mintJwt(f.id(u"/w"_s), {u"x"_s}, {}, f.actor);
            VERIFY_OK(jwt);
            // Somebody with the bundle of four hours ago accepts what is signed now.
            const auto verified = tls::verifyPeer(svid->chainDer, svid->id, seen, tls::PeerRole::Client, f.clock.now());
            VERIFY_OK(verified);
            VERIFY_OK(tls::validateJwtSvid(jwt->token, u"x"_s, jwtSeen, f.clock.now()));
            const auto facts = tls::describeCertificate(svid->chainDer.last());
            QVERIFY(svid->notAfter <= facts->notAfter);
            const auto bundle = *f.authority->bundle();
            QVERIFY(*bundle.sequence >= sequence);
            if (bundle.x509Authorities != seen.value(f.config.domain)
                || bundle.jwtAuthorities != jwtSeen.value(f.config.domain))
                QVERIFY(hours == 0 || *bundle.sequence > sequence);
            sequence = *bundle.sequence;
            seen[f.config.domain] = bundle.x509Authorities;
            jwtSeen[f.config.domain] = bundle.jwtAuthorities;
            roots += QSet<QByteArray>(bundle.x509Authorities.cbegin(), bundle.x509Authorities.cend());
            issuers += svid->chainDer.last();
            QVERIFY(f.authority->identity().current());
            if (hours % 480 == 240)
                VERIFY_OK(f.open());
            f.clock.advance(4h);
        }
        QVERIFY(roots.size() >= 3);
        QVERIFY(issuers.size() >= 25);
        // Private keys that never sign again are gone.
        const auto status = f.authority->status();
        int signing = 0;
        for (const CaStatus &key : status->authorities)
            signing += key.phase != CaPhase::Old;
        QCOMPARE(QDir(f.config.keysDir()).entryList({u"*.key"_s}).size(), signing);
    }
    void ca_signsNothingPastItsOwnEnd()
    {
        AuthorityFixture f;
        f.config.issuingLifetime = 4h;
        VERIFY_OK(f.open());
        const QByteArray csr = *tls::makeCsr(*DeviceKey().signer, f.id(u"/w"_s));
        f.clock.advance(3h + 30min); // nobody ticked
        const auto svid = f.authority->mintX509(csr, 24h, f.actor);
        VERIFY_OK(svid);
        QCOMPARE(svid->notAfter, tls::describeCertificate(svid->chainDer.last())->notAfter);
        f.clock.advance(1h);
        VERIFY_ERROR(f.authority->mintX509(csr, {}, f.actor), Errc::Unavailable);
        VERIFY_OK(f.authority->tick());
        VERIFY_OK(f.authority->mintX509(csr, {}, f.actor));
        f.clock.setNow(f.clock.now() - 24h * 400);
        VERIFY_ERROR(f.authority->mintX509(csr, {}, f.actor), Errc::Unavailable);
    }
    void ca_nameConstraintMayBeSwitchedOff()
    {
        // 2.5.29.30, as it stands in a certificate.
        const auto isLimited = [](const QByteArray &der) { return der.contains(QByteArray::fromHex("0603551d1e")); };
        for (const bool constraint : {true, false}) {
            AuthorityFixture f;
            f.config.nameConstraint = constraint;
            VERIFY_OK(f.open());
            const QByteArray csr = *tls::makeCsr(*DeviceKey().signer, f.id(u"/w"_s));
            const auto svid = f.authority->mintX509(csr, {}, f.actor);
            VERIFY_OK(svid);
            QCOMPARE(isLimited(f.authority->bundle()->x509Authorities.first()), constraint);
            QCOMPARE(isLimited(svid->chainDer.last()), constraint);
            VERIFY_OK(f.verify(*svid)); // either is good for whoever follows SPIFFE
            // What else a root is by X509-SVID.md: CA:TRUE, a URI name without a path.
            const QByteArray root = f.authority->bundle()->x509Authorities.first();
            QVERIFY(tls::describeCertificate(root)->isAuthority);
            QCOMPARE(*tls::spiffeIdOf(root), *SpiffeId::parse(u"spiffe://building-1.smart.local"_s));
        }
    }
    void ca_foreignIdIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const QByteArray csr = *tls::makeCsr(*DeviceKey().signer, *SpiffeId::parse(u"spiffe://smart-building.cloud/w"));
        VERIFY_ERROR(f.authority->mintX509(csr, {}, f.actor), Errc::Denied);
        VERIFY_ERROR(f.authority->mintJwt(*SpiffeId::parse(u"spiffe://smart-building.cloud/w"), {u"x"_s}, {}, f.actor),
                     Errc::Denied);
    }

    // --- Federation ---
    void federation_bundlesAreNeverMerged_andOwnOneIsOurs()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const TrustDomain other = *TrustDomain::parse(u"smart-building.cloud");
        tls::BundleDocument bundle{{makeCertificate(rootOf("smart-building.cloud")).der}, {}, 5, 60s};
        VERIFY_OK(f.authority->setFederatedBundle(other, bundle, f.actor));
        VERIFY_ERROR(f.authority->setFederatedBundle(f.config.domain, bundle, f.actor), Errc::Denied);
        bundle.sequence = 4;
        VERIFY_ERROR(f.authority->setFederatedBundle(other, bundle, f.actor), Errc::Conflict);
        QVERIFY(!f.authority->bundle()->x509Authorities.contains(bundle.x509Authorities.first()));
        const auto identity = *f.authority->identity().current();
        QCOMPARE(identity->bundles.value(other), bundle.x509Authorities);
        QCOMPARE(identity->bundles.value(f.config.domain).size(), 1);
        VERIFY_OK(f.open());
        QCOMPARE(f.authority->federatedBundle(other)->value().sequence.value(), 5ULL);

        Entry entry;
        entry.spiffeId = f.id(u"/w/a"_s);
        entry.parentId = f.id(u"/spire/agent/x"_s);
        entry.selectors = {{u"unix"_s, u"uid:0"_s}};
        entry.federatesWith = {other};
        const auto created = f.authority->createEntry(entry, f.actor);
        VERIFY_OK(created);
        VERIFY_ERROR(f.authority->deleteFederatedBundle(other, f.actor), Errc::Conflict);
        VERIFY_OK(f.authority->deleteFederatedBundle(other, f.actor, true));
        QVERIFY(f.authority->entry(created->id)->federatesWith.isEmpty());
    }
    void federation_relationshipsAreChecked()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        FederationRelationship r{*TrustDomain::parse(u"smart-building.cloud"),
                                 u"https://cloud.example:8443/bundle"_s,
                                 EndpointProfile::HttpsSpiffe,
                                 *SpiffeId::parse(u"spiffe://smart-building.cloud/spire/server"),
                                 {},
                                 {}};
        VERIFY_OK(f.authority->setRelationship(r, f.actor));
        VERIFY_OK(f.authority->noteRefresh(r.domain, u"no route"_s));
        QCOMPARE(f.authority->relationships()->first().problem, u"no route"_s);
        r.url = u"http://cloud.example"_s;
        VERIFY_ERROR(f.authority->setRelationship(r, f.actor), Errc::Malformed);
        r.url = u"https://cloud.example"_s;
        r.endpointId = {};
        VERIFY_ERROR(f.authority->setRelationship(r, f.actor), Errc::Malformed);
    }

    // --- State ---
    void state_ofAnotherDomainIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        f.authority.reset();
        f.config.domain = *TrustDomain::parse(u"building-2.smart.local");
        VERIFY_ERROR(f.open(), Errc::Conflict);
    }
    void state_ofANewerVersionIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        f.authority.reset();
        {
            auto database = sqlite::Database::open(f.config.stateDir + u"/authority.db"_s);
            VERIFY_OK((*database)->execute("PRAGMA user_version=99"));
        }
        const auto opened = f.open();
        VERIFY_ERROR(opened, Errc::Unsupported);
        QVERIFY(opened.error().message.contains("newer version"_L1));
    }
    void clock_thatWasNeverSetSignsNothing()
    {
        AuthorityFixture f;
        f.clock.setNow(fromEpochMillis(0));
        VERIFY_ERROR(f.open(), Errc::Unavailable);
    }
    void audit_changeOrRemovalIsNoticed()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, u"stolen"_s, f.actor));
        VERIFY_OK(f.authority->checkAudit());
        f.authority.reset();
        {
            auto database = sqlite::Database::open(f.config.stateDir + u"/authority.db"_s);
            QVERIFY(!(*database)->execute("UPDATE audit SET actor = 'nobody' WHERE number = 2"));
            QVERIFY(!(*database)->execute("DELETE FROM audit WHERE number = 2"));
            VERIFY_OK((*database)->execute(
                "DROP TRIGGER audit_is_fixed; UPDATE audit SET actor = 'nobody' WHERE number = 2"));
        }
        VERIFY_OK(f.open());
        const auto checked = f.authority->checkAudit();
        VERIFY_ERROR(checked, Errc::Io);
        QVERIFY(checked.error().message.contains(" 2"_L1));
    }
    void backup_goesOnWhereItWas_withLaterRevocations()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const Attested b(f, 2, u"hvac-002"_s);
        const QString dir = f.dir.filePath(u"backup"_s);
        VERIFY_OK(f.authority->backup(dir, f.actor));
        VERIFY_ERROR(f.authority->backup(dir, f.actor), Errc::Conflict);
        const auto bundle = *f.authority->bundle();
        VERIFY_OK(f.authority->revoke(u"hvac-002"_s, u"stolen after the backup"_s, f.actor));
        const QByteArray denyList = *f.authority->denyListJws();
        const quint64 number = *f.authority->denyListSequence();
        f.authority.reset();
        VERIFY_ERROR(restoreBackup(dir, f.config, denyList, f.clock.now()), Errc::Conflict);
        f.config.stateDir = f.dir.filePath(u"restored"_s);
        f.clock.advance(1h);
        VERIFY_OK(restoreBackup(dir, f.config, denyList, f.clock.now()));
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->checkAudit());
        QCOMPARE(f.authority->bundle()->x509Authorities, bundle.x509Authorities);
        QVERIFY(*f.authority->denyListSequence() > number);
        VERIFY_OK(f.authority->attest(f.node(ekHashOf(1), a.key)));
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(2), b.key)), Errc::Denied);
        const auto restored =
            *tls::verifyDenyList(*f.authority->denyListJws(), f.config.domain, bundle.jwtAuthorities, number);
        QVERIFY(restored.find(f.id(u"/agent/hvac-002"_s), {}, f.clock.now()));
        QCOMPARE(QFileInfo(f.config.stateDir + u"/authority.db"_s).permissions()
                     & (QFile::ReadGroup | QFile::ReadOther),
                 QFile::Permissions());
    }
    void backup_damagedOneIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const QString dir = f.dir.filePath(u"backup"_s);
        VERIFY_OK(f.authority->backup(dir, f.actor));
        QFile file(dir + u"/authority.db"_s);
        QVERIFY(file.open(QIODevice::ReadWrite));
        file.seek(5'000);
        file.write("x");
        file.close();
        f.config.stateDir = f.dir.filePath(u"restored"_s);
        VERIFY_ERROR(restoreBackup(dir, f.config, {}, f.clock.now()), Errc::Io);
        QVERIFY(!QFileInfo::exists(f.config.stateDir + u"/authority.db"_s));
    }
    void status_countsAndRunway()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const auto status = f.authority->status();
        VERIFY_OK(status);
        QCOMPARE(status->approvedDevices, 1);
        QCOMPARE(status->agents, 1);
        QVERIFY(status->runway.first);
        QVERIFY(status->runway.left > 24h * 13);
        QVERIFY(status->runway.sentence.contains("14 days"_L1));
        const auto time = f.authority->signedTime("n");
        VERIFY_OK(time);
    }
};

QTEST_GUILESS_MAIN(TestAuthority)
#include "tst_authority.moc"
