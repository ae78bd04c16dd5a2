// Who gets an SVID and who does not: devices, names, tokens, agents.
#include "fakes/attested_agent.h"
#include "fakes/odd_certificate.h"

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

class TestAuthorityAdmission : public QObject
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
        f.config.maxPending = 4;
        VERIFY_OK(f.open());
        const DeviceKey key;
        const auto come = [&](int number, const QString &address) {
            auto node = f.node(ekHashOf(number), key);
            node.address = address;
            return f.authority->attest(node);
        };
        // Whoever makes chips up from one place leaves room for others, and in IPv6 a place is a network.
        VERIFY_ERROR(come(1, u"2001:db8::1"_s), Errc::Unavailable);
        VERIFY_ERROR(come(2, u"2001:db8::2"_s), Errc::Unavailable);
        const auto third = come(3, u"2001:db8::3"_s);
        VERIFY_ERROR(third, Errc::Full);
        QVERIFY2(third.error().message.contains("2001:db8::/64"_L1), qPrintable(third.error().message));
        VERIFY_ERROR(come(3, u"192.0.2.7"_s), Errc::Unavailable);
        VERIFY_OK(f.open());
        VERIFY_ERROR(come(4, u"2001:db8::3"_s), Errc::Full);
        VERIFY_ERROR(come(4, u"192.0.2.7"_s), Errc::Unavailable);
        VERIFY_ERROR(come(5, u"192.0.2.8"_s), Errc::Full);
    }
    void attest_whoHasNotComeForLongNoLongerWaits()
    {
        AuthorityFixture f;
        f.config.pendingKept = 24h * 7;
        VERIFY_OK(f.open());
        const DeviceKey key;
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(1), key)), Errc::Unavailable);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(2), key)), Errc::Unavailable);
        VERIFY_OK(f.authority->enroll(ekHashOf(3), kFacts, f.actor));
        for (int day = 0; day < 8; ++day) {
            f.clock.advance(24h);
            VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(2), key)), Errc::Unavailable); // still there
            VERIFY_OK(f.authority->tick());
            if (day == 3)
                VERIFY_OK(f.open()); // what it has seen outlasts a restart
        }
        const auto waiting = f.authority->devices(DeviceState::Pending);
        QCOMPARE(waiting->size(), 1);
        QCOMPARE(waiting->first().ekHash, ekHashOf(2));
        QCOMPARE(f.authority->devices(DeviceState::Approved)->size(), 1);
        QVERIFY(f.authority->audit()->last().action == u"device.forget"_s);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(1), key)), Errc::Unavailable); // and waits again
        QCOMPARE(f.authority->devices(DeviceState::Pending)->size(), 2);
    }
    void reject_chipLeavesTheQueue_andDoesNotComeBackByItself()
    {
        AuthorityFixture f;
        f.config.maxPending = 2;
        VERIFY_OK(f.open());
        const DeviceKey key;
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(1), key)), Errc::Unavailable);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(2), key)), Errc::Full);
        const auto rejected = f.authority->reject(ekHashOf(1), u"not ours"_s, f.actor);
        VERIFY_OK(rejected);
        QCOMPARE(rejected->state, DeviceState::Revoked);
        QCOMPARE(f.authority->audit()->last().action, u"device.reject"_s);
        QCOMPARE(f.authority->waiting(10)->total, 0);
        const auto again = f.authority->attest(f.node(ekHashOf(1), key));
        VERIFY_ERROR(again, Errc::Denied);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(2), key)), Errc::Unavailable); // there is room
        VERIFY_ERROR(f.authority->reject(ekHashOf(1), {}, f.actor), Errc::Conflict);
        VERIFY_ERROR(f.authority->reject(ekHashOf(9), {}, f.actor), Errc::NotFound);
        VERIFY_OK(f.authority->enroll(ekHashOf(1), kFacts, f.actor));
        VERIFY_OK(f.authority->attest(f.node(ekHashOf(1), key)));
        VERIFY_ERROR(f.authority->reject(ekHashOf(1), {}, f.actor), Errc::Conflict); // it does not wait
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
        QVERIFY(again->problems.first().message.startsWith(u"name: "_s));
        const auto known = f.authority->enrollBatch(head + ekHashOf(1).toLatin1() + ",other,,,,\n", f.actor);
        QVERIFY(known->problems.first().message.startsWith(u"hash: "_s));
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
    void agents_bannedChipDoesNotComeBackByTheOtherAttestation()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const QString ofSpire = u"/spire/agent/tpm/"_s + ekHashOf(1);
        auto other = f.node(ekHashOf(1), a.key);
        other.type = u"tpm"_s;
        VERIFY_OK(f.authority->banAgent(a.agent.id, f.actor));
        VERIFY_ERROR(f.authority->attest(other), Errc::Denied); // as which it was never here
        VERIFY_ERROR(f.authority->agent(f.id(ofSpire)), Errc::NotFound);

        // Evicted, it may attest again; then both agents of the chip are banned together, and let in together.
        VERIFY_OK(f.authority->deleteAgent(a.agent.id, f.actor));
        const auto first = f.authority->attest(f.node(ekHashOf(1), a.key));
        const auto second = f.authority->attest(other);
        VERIFY_OK(first);
        VERIFY_OK(second);
        QSignalSpy removed(f.authority.get(), &Authority::agentRemoved);
        VERIFY_OK(f.authority->banAgent(second->agent.id, f.actor));
        QCOMPARE(removed.count(), 2);
        QCOMPARE(f.authority->checkAgent(first->svid.chainDer.first()).denial, AgentDenial::Banned);
        QCOMPARE(f.authority->checkAgent(second->svid.chainDer.first()).denial, AgentDenial::Banned);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(1), a.key)), Errc::Denied);
        VERIFY_OK(f.authority->deleteAgent(first->agent.id, f.actor));
        VERIFY_OK(f.authority->attest(other));
        VERIFY_ERROR(f.authority->deleteAgent(f.id(u"/spire/agent/tpm/none"_s), f.actor), Errc::NotFound);
    }
    void agents_ofOneChipAreSentAwayTogether()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        auto other = f.node(ekHashOf(1), a.key);
        other.type = u"tpm"_s;
        const QSet<SpiffeId> both{a.agent.id, f.id(u"/spire/agent/tpm/"_s + ekHashOf(1))};
        QSignalSpy removed(f.authority.get(), &Authority::agentRemoved);
        const auto told = [&removed] {
            QSet<SpiffeId> ids;
            for (const QList<QVariant> &one : std::as_const(removed))
                ids.insert(one.first().value<SpiffeId>());
            removed.clear();
            return ids;
        };
        VERIFY_OK(f.authority->attest(other));
        VERIFY_OK(f.authority->reattest(u"hvac-001"_s, f.actor));
        QCOMPARE(told(), both);
        VERIFY_OK(f.authority->attest(f.node(ekHashOf(1), a.key)));
        VERIFY_OK(f.authority->attest(other));
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, {}, f.actor));
        QCOMPARE(told(), both);
    }
    void attest_typeThatIsSwitchedOffGivesNothing_alsoToThoseWhoHadIt()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        auto weaker = f.node(ekHashOf(1), a.key);
        weaker.type = u"tpm"_s;
        const auto agent = f.authority->attest(weaker);
        VERIFY_OK(agent);
        const auto leaf = agent->svid.chainDer.first();
        QCOMPARE(f.authority->checkAgent(leaf).denial, AgentDenial::None);
        const auto token = f.authority->createToken(1h, f.id(u"/agent/hvac-009"_s), f.actor);
        VERIFY_OK(token);

        f.config.attestationTypes = {u"lintel_tpm"_s};
        VERIFY_OK(f.open());
        QCOMPARE(f.authority->checkAgent(leaf).denial, AgentDenial::NotAttested);
        VERIFY_ERROR(f.authority->attest(weaker), Errc::Unsupported);
        VERIFY_ERROR(f.authority->attest(f.tokenNode(token->token, DeviceKey())), Errc::Unsupported);
        VERIFY_ERROR(f.authority->createToken(1h, {}, f.actor), Errc::Unsupported);
        VERIFY_OK(f.authority->attest(f.node(ekHashOf(1), a.key)));
        auto unknown = weaker;
        unknown.type = u"x509pop"_s;
        VERIFY_ERROR(f.authority->attest(unknown), Errc::Unsupported);
    }
    /// Whoever has a rooted device cannot have it come by the weaker attestation, and take its key along.
    void attest_whoHasProvedItsKeyInItsTpmMustDoSoEachTime()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->enroll(ekHashOf(1), kFacts, f.actor));
        QVERIFY(!f.authority->device(ekHashOf(1))->keyIsInTpm);
        const DeviceKey key;
        auto node = f.node(ekHashOf(1), key);
        node.keyIsInTpm = true;
        VERIFY_OK(f.authority->attest(node));
        VERIFY_OK(f.open());
        QVERIFY(f.authority->device(ekHashOf(1))->keyIsInTpm);

        auto weaker = node;
        weaker.type = u"tpm"_s;
        weaker.keyIsInTpm = false;
        const auto refused = f.authority->attest(weaker);
        VERIFY_ERROR(refused, Errc::Denied);
        QVERIFY2(refused.error().message.endsWith("lintelctl device reattest hvac-001 --allow-weaker"_L1),
                 qPrintable(refused.error().message));
        QVERIFY(f.authority->device(ekHashOf(1))->keyIsInTpm);
        QCOMPARE(f.authority->attestations(ekHashOf(1))->size(), 1);

        // The same proof by another type is as good, and a plain reattest allows nothing.
        weaker.keyIsInTpm = true;
        VERIFY_OK(f.authority->attest(weaker));
        weaker.keyIsInTpm = false;
        VERIFY_OK(f.authority->reattest(u"hvac-001"_s, f.actor));
        VERIFY_ERROR(f.authority->attest(weaker), Errc::Denied);

        // An administrator may allow it, until the device proves more again.
        VERIFY_OK(f.authority->reattest(u"hvac-001"_s, f.actor, true));
        QCOMPARE(f.authority->audit()->last().action, u"device.reattest"_s);
        QVERIFY(f.authority->audit()->last().details.contains("need not prove"_L1));
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->attest(weaker));
        VERIFY_OK(f.authority->attest(weaker));
        QVERIFY(!f.authority->device(ekHashOf(1))->keyIsInTpm);
        VERIFY_OK(f.authority->attest(node));
        VERIFY_ERROR(f.authority->attest(weaker), Errc::Denied);

        // So does a fresh enrolment.
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, {}, f.actor));
        VERIFY_OK(f.authority->enroll(ekHashOf(1), kFacts, f.actor));
        VERIFY_OK(f.authority->attest(weaker));
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
};

QTEST_GUILESS_MAIN(TestAuthorityAdmission)
#include "tst_authority_admission.moc"
