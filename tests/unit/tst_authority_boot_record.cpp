// What the authority keeps of how devices booted, and of whom it refused.
#include "adapters/sqlite/database.h"
#include "fakes/attested_agent.h"

#include <QTest>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {
const DeviceFacts kFacts = factsOf(u"hvac-001"_s);
} // namespace

class TestAuthorityBootRecord : public QObject
{
    Q_OBJECT
private Q_SLOTS:
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
};

QTEST_GUILESS_MAIN(TestAuthorityBootRecord)
#include "tst_authority_boot_record.moc"
