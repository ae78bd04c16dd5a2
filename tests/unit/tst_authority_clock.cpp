// An authority whose clock is wrong: nothing is lost by it, and it goes on when the clock is right again.
#include "fakes/attested_agent.h"
#include "sqlite/database.h"

#include <QTest>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

/// An authority that has somebody on its deny list, a token that is not spent, and a chip that waits.
struct Building : AuthorityFixture {
    DeviceKey key;
    Timestamp begun{};
    QByteArray denied;
    quint64 denyNumber = 0;
    QList<QByteArray> roots;
    QStringList keys;
    JoinToken token;

    Result<void> begin()
    {
        config.bootId = u"first"_s;
        if (const auto opened = open(); !opened)
            return opened;
        clock.advance(61min); // its trial is over
        if (const auto steady = authority->tick(); !steady)
            return steady;
        const Attested stolen(*this);
        if (const auto revoked = authority->revoke(u"hvac-001"_s, u"stolen"_s, actor); !revoked)
            return revoked.error();
        (void)authority->attest(node(ekHashOf(9), key));
        const auto made = authority->createToken(1h, {}, actor);
        if (!made)
            return made.error();
        token = *made;
        begun = clock.now();
        denyNumber = *authority->denyListSequence();
        roots = authority->bundle()->x509Authorities;
        keys = keyFiles();
        return authority->tick();
    }
    /// A tick a minute.
    Result<void> tickFor(std::chrono::minutes time)
    {
        for (auto passed = 0min; passed < time; ++passed) {
            clock.advance(1min);
            if (const auto ticked = authority->tick(); !ticked)
                return ticked;
        }
        return {};
    }
    void jump(Millis by) { clock.setNow(clock.now() + by); }
    /// The machine is started anew, `off` later.
    Result<void> startAnew(Millis off)
    {
        authority.reset();
        clock.advance(off);
        config.bootId += u'+';
        return open();
    }
    QStringList keyFiles() const { return QDir(config.keysDir()).entryList({u"*.key"_s}, QDir::Files, QDir::Name); }
    Result<IssuedSvid> sign() { return authority->mintX509(*tls::makeCsr(*key.signer, id(u"/w"_s)), {}, actor); }
    /// Somebody whose clock is right, and who knows the first roots, takes what is signed now.
    Result<void> signsFor(Timestamp rightTime)
    {
        const auto svid = sign();
        if (!svid)
            return svid.error();
        return tls::verifyPeer(svid->chainDer, svid->id, {{config.domain, roots}}, tls::PeerRole::Client, rightTime);
    }
    /// The certificate that agents see is good by their own clock.
    Result<void> ownSvidIsValid() const
    {
        const auto own = authority->identity().current();
        return tls::verifyPeer((*own)->svid.chainDer, (*own)->svid.id,
                               {{config.domain, authority->bundle()->x509Authorities}}, tls::PeerRole::Server,
                               clock.now());
    }
    bool isDeniedAsBefore()
    {
        const auto jws = authority->denyListJws();
        if (!jws || *authority->denyListSequence() != denyNumber)
            return false;
        const auto list = tls::verifyDenyList(*jws, config.domain, authority->bundle()->jwtAuthorities, denyNumber);
        return list && list->find(id(u"/agent/hvac-001"_s), {}, begun);
    }
    /// As a version left it that knew of no marks.
    Result<void> forgetMark() const
    {
        auto database = sqlite::Database::open(config.stateDir + u"/authority.db"_s);
        return database ? (*database)->execute("DELETE FROM meta WHERE key = 'clock.mark'") : database.error();
    }
    int audited(const QString &action)
    {
        const QList<AuditRecord> records = *authority->audit(0, 10'000);
        int count = 0;
        for (const AuditRecord &record : records)
            count += record.action == action;
        return count;
    }
    bool isWhole() const
    {
        const QStringList now = keyFiles();
        return std::all_of(keys.cbegin(), keys.cend(), [&](const QString &one) { return now.contains(one); });
    }
};

void jumps()
{
    QTest::addColumn<int>("days");
    QTest::newRow("12 days ahead") << 12;
    QTest::newRow("21 days ahead") << 21;
    QTest::newRow("300 days ahead") << 300; // the root would be replaced
    QTest::newRow("800 days ahead") << 800;
}

} // namespace

class TestAuthorityClock : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void jumpWhileItRuns_changesNothing_data() { jumps(); }
    void jumpWhileItRuns_changesNothing()
    {
        QFETCH(const int, days);
        Building f;
        VERIFY_OK(f.begin());
        f.jump(24h * days);
        for (int tick = 0; tick < 2; ++tick) {
            f.clock.advance(40s);
            VERIFY_OK(f.authority->tick());
            VERIFY_ERROR(f.authority->health(), Errc::Unavailable);
            VERIFY_OK(f.signsFor(f.begun + 40s * (tick + 1))); // by the right time
            QVERIFY(f.isDeniedAsBefore());
            QCOMPARE(f.keyFiles(), f.keys);
            QCOMPARE(f.authority->bundle()->x509Authorities, f.roots);
        }
        QVERIFY(f.authority->status()->problem.contains("jumped"_L1));
        QCOMPARE(f.audited(u"clock.doubt"_s), 1);
        f.jump(-24h * days);
        VERIFY_OK(f.authority->tick());
        VERIFY_OK(f.authority->health());
        QVERIFY(f.authority->status()->problem.isEmpty());
        QCOMPARE(f.audited(u"clock.sure"_s), 1);
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->health());
        VERIFY_OK(f.signsFor(f.clock.now()));
        QVERIFY(f.isDeniedAsBefore());
        QCOMPARE(f.keyFiles(), f.keys);
        QCOMPARE(f.authority->bundle()->x509Authorities, f.roots);
        VERIFY_OK(f.authority->attest(f.tokenNode(f.token.token, f.key)));
        QCOMPARE(f.authority->waiting(10)->total, qint64(1));
    }
    void jumpSeenAtARestart_changesNothing()
    {
        Building f;
        VERIFY_OK(f.begin());
        f.authority.reset();
        f.jump(24h * 800);
        f.clock.advance(40s);
        VERIFY_OK(f.open());
        VERIFY_ERROR(f.authority->health(), Errc::Unavailable);
        VERIFY_OK(f.signsFor(f.begun + 40s));
        QVERIFY(f.isDeniedAsBefore());
        QCOMPARE(f.keyFiles(), f.keys);
    }
    void newStartWithAClockAhead_losesNothing_data() { jumps(); }
    void newStartWithAClockAhead_losesNothing()
    {
        QFETCH(const int, days);
        for (const bool isRunningWhenItIsSet : {true, false}) {
            Building f;
            VERIFY_OK(f.begin());
            VERIFY_OK(f.startAnew(24h * days));
            for (int tick = 0; tick < 2; ++tick) {
                f.clock.advance(40s);
                VERIFY_OK(f.authority->tick());
            }
            QCOMPARE(bool(f.sign()), days < 800); // no root is valid then
            QCOMPARE(bool(f.authority->health()), days < 800);
            QCOMPARE(f.authority->status()->problem.isEmpty(), days < 800);
            QCOMPARE(f.authority->status()->runway.left == 0s, days >= 800);
            QVERIFY(!f.authority->status()->clockSentence.isEmpty());
            QVERIFY(f.isWhole());
            QCOMPARE(f.authority->bundle()->x509Authorities, f.roots);
            QCOMPARE(*f.authority->denyListSequence(), f.denyNumber);

            f.jump(-24h * days);
            if (isRunningWhenItIsSet)
                VERIFY_OK(f.authority->tick());
            else
                VERIFY_OK(f.open());
            VERIFY_OK(f.authority->health());
            VERIFY_OK(f.signsFor(f.clock.now()));
            QVERIFY(f.isDeniedAsBefore());
            QCOMPARE(f.authority->bundle()->x509Authorities, f.roots);
            const auto own = f.authority->identity().current();
            VERIFY_OK(tls::verifyPeer((*own)->svid.chainDer, (*own)->svid.id, {{f.config.domain, f.roots}},
                                      tls::PeerRole::Server, f.clock.now()));
            VERIFY_OK(f.authority->attest(f.tokenNode(f.token.token, f.key)));
            QCOMPARE(f.authority->waiting(10)->total, qint64(1));
            // Where another CA had signed meanwhile, the first one signs again, and that is said.
            const QList<AuditRecord> records = *f.authority->audit(0, 10'000);
            bool isSaid = false;
            for (const AuditRecord &record : records)
                isSaid = isSaid || record.details.contains("is not valid now"_L1);
            QCOMPARE(isSaid, days == 21 || days == 300);
            for (int minute = 0; minute < 65; ++minute) {
                f.clock.advance(1min);
                VERIFY_OK(f.authority->tick());
            }
            QVERIFY(f.authority->status()->clockSentence.isEmpty());
            QCOMPARE(f.keyFiles(), f.keys);
            VERIFY_OK(f.signsFor(f.clock.now()));
        }
    }
    void offForThreeWeeks_goesOnByItself()
    {
        Building f;
        VERIFY_OK(f.begin());
        VERIFY_OK(f.startAnew(24h * 21));
        VERIFY_OK(f.authority->health());
        VERIFY_OK(f.signsFor(f.clock.now())); // by a new issuing CA under the same root
        QVERIFY(f.isWhole());
        QVERIFY(f.isDeniedAsBefore());
        QVERIFY(f.authority->status()->clockSentence.contains("21 days later"_L1));
        for (int minute = 0; minute < 59; ++minute) {
            f.clock.advance(1min);
            VERIFY_OK(f.authority->tick());
            VERIFY_OK(f.authority->health());
        }
        QVERIFY(f.isWhole());
        QVERIFY(f.isDeniedAsBefore());
        QCOMPARE(f.authority->waiting(10)->total, qint64(1));
        for (int minute = 0; minute < 3; ++minute) {
            f.clock.advance(1min);
            VERIFY_OK(f.authority->tick());
        }
        QVERIFY(f.authority->status()->clockSentence.isEmpty());
        QVERIFY2(!f.isWhole(), "what was over is gone");
        QCOMPARE(f.keyFiles().size(), 3);
        QVERIFY(!f.isDeniedAsBefore());
        QVERIFY(f.authority->waiting(10)->total == 0);
        QCOMPARE(f.authority->bundle()->x509Authorities, f.roots);
        VERIFY_OK(f.signsFor(f.clock.now()));
    }
    void offForYears_waitsForAPerson()
    {
        Building f;
        VERIFY_OK(f.begin());
        VERIFY_OK(f.startAnew(24h * 800));
        for (int minute = 0; minute < 180; ++minute) {
            f.clock.advance(1min);
            VERIFY_OK(f.authority->tick());
        }
        QCOMPARE(f.keyFiles(), f.keys);
        const auto health = f.authority->health();
        VERIFY_ERROR(health, Errc::Unavailable);
        QVERIFY2(health.error().message.contains("accept-clock"_L1), qPrintable(health.error().message));
        const auto accepted = f.authority->acceptClock(f.actor);
        VERIFY_OK(accepted);
        QCOMPARE(accepted->now, f.clock.now());
        VERIFY_OK(f.authority->health());
        VERIFY_OK(f.sign());
        QVERIFY(f.authority->bundle()->x509Authorities != f.roots);
        QVERIFY(!f.isWhole());
        QCOMPARE(f.audited(u"clock.accept"_s), 1);
    }
    void jumpThatAPersonAccepts_isFollowedAtOnce()
    {
        Building f;
        VERIFY_OK(f.begin());
        f.jump(24h * 30);
        VERIFY_OK(f.authority->tick());
        const auto accepted = f.authority->acceptClock(f.actor);
        VERIFY_OK(accepted);
        QCOMPARE(accepted->before, f.begun);
        QCOMPARE(accepted->now, f.clock.now());
        VERIFY_OK(f.authority->health());
        VERIFY_OK(f.signsFor(f.clock.now()));
        QVERIFY(!f.isDeniedAsBefore());
        f.clock.setNow(fromEpochMillis(0));
        VERIFY_ERROR(f.authority->acceptClock(f.actor), Errc::Unavailable);
    }
    void clockThatWasWrongForLong_heals()
    {
        // Long enough to be believed: the keys of before are destroyed, and those of now are not valid yet.
        Building f;
        VERIFY_OK(f.begin());
        f.jump(24h * 20);
        for (int minute = 0; minute < 200; ++minute) {
            f.clock.advance(1min);
            VERIFY_OK(f.authority->tick());
        }
        QVERIFY(!f.isWhole());
        for (int day = 0; day < 8; ++day) { // successors are prepared, too
            f.clock.advance(24h);
            VERIFY_OK(f.authority->tick());
        }
        f.jump(-24h * 28);
        VERIFY_OK(f.startAnew(1min));
        VERIFY_ERROR(f.authority->health(), Errc::Unavailable); // it was later already
        VERIFY_OK(f.signsFor(f.clock.now()));
        QCOMPARE(f.authority->bundle()->x509Authorities, f.roots);
        for (int minute = 0; minute < 65; ++minute) {
            f.clock.advance(1min);
            VERIFY_OK(f.authority->tick());
        }
        VERIFY_OK(f.authority->health());
        VERIFY_OK(f.signsFor(f.clock.now()));
        for (int day = 0; day < 30; ++day) { // and goes on to, by keys that were published before
            const tls::JwtBundles yesterday{{f.config.domain, f.authority->bundle()->jwtAuthorities}};
            f.clock.advance(24h);
            VERIFY_OK(f.authority->tick());
            VERIFY_OK(f.authority->health());
            VERIFY_OK(f.signsFor(f.clock.now()));
            const auto jwt = f.authority->mintJwt(f.id(u"/w"_s), {u"x"_s}, {}, f.actor);
            VERIFY_OK(jwt);
            VERIFY_OK(tls::validateJwtSvid(jwt->token, u"x"_s, yesterday, f.clock.now()));
        }
    }
    void newStartWithTheTimeOfAFile_signsForDevicesOnceTheNetworkHasSetIt()
    {
        Building f;
        VERIFY_OK(f.begin());
        VERIFY_OK(f.startAnew(1min)); // as the clock says: it was 21 days
        VERIFY_OK(f.authority->health());
        VERIFY_OK(f.authority->signedTime("n"));
        const QByteArray list = *f.authority->denyListJws();
        f.jump(24h * 21);
        VERIFY_OK(f.tickFor(1min));
        VERIFY_OK(f.authority->health());
        VERIFY_OK(f.signsFor(f.clock.now()));
        VERIFY_OK(f.ownSvidIsValid());
        VERIFY_ERROR(f.authority->signedTime("n"), Errc::Unavailable);
        QVERIFY(f.isWhole());
        QVERIFY(f.isDeniedAsBefore());
        VERIFY_OK(f.tickFor(62min));
        QVERIFY(f.authority->status()->clockSentence.isEmpty());
        VERIFY_OK(f.authority->signedTime("n"));
        QVERIFY(*f.authority->denyListJws() != list);
    }
    void firstStart_withAWrongClock_isNoneWhileNobodyGoesByIt_data()
    {
        QTest::addColumn<int>("days");
        QTest::addColumn<bool>("isRestarted");
        QTest::newRow("the date of the image") << -800 << false;
        QTest::newRow("the date of the image, and a restart") << -800 << true;
        QTest::newRow("ahead") << 3'650 << false;
        QTest::newRow("ahead, and a restart") << 3'650 << true;
        QTest::newRow("three weeks late") << -21 << false;
    }
    void firstStart_withAWrongClock_isNoneWhileNobodyGoesByIt()
    {
        QFETCH(const int, days);
        QFETCH(const bool, isRestarted);
        AuthorityFixture f;
        f.clock.setNow(f.clock.now() + 24h * days);
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->signedTime("n"));
        f.clock.setNow(f.clock.now() - 24h * days);
        f.clock.advance(20min);
        if (isRestarted)
            VERIFY_OK(f.open());
        else
            VERIFY_OK(f.authority->tick());
        VERIFY_OK(f.authority->health());
        QVERIFY(f.authority->status()->clockSentence.isEmpty());
        VERIFY_OK(f.authority->signedTime("n"));
        const Attested device(f);
        const auto svid = device.issue(f, device.key.csr);
        VERIFY_OK(svid);
        VERIFY_OK(f.verify(*svid));
    }
    void firstHour_stepOfAnAuthorityThatHasDevices_losesNothing()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested device(f);
        const auto roots = f.authority->bundle()->x509Authorities;
        f.clock.setNow(f.clock.now() + 24h * 800);
        for (int start = 0; start < 3; ++start) {
            for (int minute = 0; minute < 120; ++minute) {
                f.clock.advance(1min);
                VERIFY_OK(f.authority->tick());
            }
            VERIFY_ERROR(f.authority->health(), Errc::Unavailable);
            QCOMPARE(f.authority->bundle()->x509Authorities, roots);
            VERIFY_OK(f.open());
        }
        f.clock.setNow(f.clock.now() - 24h * 800 - 6h);
        VERIFY_OK(f.authority->tick());
        VERIFY_OK(f.authority->health());
        const auto svid = device.issue(f, device.key.csr);
        VERIFY_OK(svid);
        VERIFY_OK(f.verify(*svid));
    }
    void firstStart_withAClockAhead_isMendedByAnOperator_data()
    {
        QTest::addColumn<bool>("isRestarted");
        QTest::newRow("while it runs") << false;
        QTest::newRow("with the machine started anew") << true;
    }
    void firstStart_withAClockAhead_isMendedByAnOperator()
    {
        QFETCH(const bool, isRestarted);
        Building f;
        f.jump(24h * 3'650);
        VERIFY_OK(f.begin()); // for more than an hour, and a device has attested
        f.jump(-24h * 3'650);
        if (isRestarted)
            VERIFY_OK(f.startAnew(1min));
        VERIFY_OK(f.tickFor(180min));
        const auto health = f.authority->health();
        VERIFY_ERROR(health, Errc::Unavailable);
        QVERIFY2(health.error().message.contains("accept-clock"_L1), qPrintable(health.error().message));
        QCOMPARE(f.authority->bundle()->x509Authorities, f.roots);
        VERIFY_OK(f.authority->acceptClock(f.actor));
        VERIFY_OK(f.authority->health());
        const auto svid = f.sign();
        VERIFY_OK(svid);
        VERIFY_OK(f.verify(*svid));
        VERIFY_OK(f.ownSvidIsValid());
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->health());
        VERIFY_OK(f.tickFor(120min));
        VERIFY_OK(f.authority->health());
    }
    void acceptedClock_byWhichNothingCanBeSigned_isAnError()
    {
        // The root of a clock that was ahead is not valid yet, and the one before it has lost its key.
        Building f;
        VERIFY_OK(f.begin());
        f.jump(24h * 300);
        VERIFY_OK(f.authority->tick());
        VERIFY_OK(f.authority->acceptClock(f.actor));
        for (int day = 0; day < 60; ++day) {
            f.clock.advance(24h);
            VERIFY_OK(f.authority->tick());
        }
        f.jump(-24h * 360);
        VERIFY_OK(f.authority->tick());
        const auto accepted = f.authority->acceptClock(f.actor);
        VERIFY_ERROR(accepted, Errc::Unavailable);
        QVERIFY2(accepted.error().message.contains("still nothing can be signed"_L1),
                 qPrintable(accepted.error().message));
    }
    void denyList_isDatedAnewWhenTheClockIsRightAgain()
    {
        Building f;
        VERIFY_OK(f.begin());
        VERIFY_OK(f.startAnew(24h * 3));
        const QByteArray ahead = *f.authority->denyListJws();
        VERIFY_ERROR(f.authority->signedTime("n"), Errc::Unavailable);
        f.jump(-24h * 3);
        VERIFY_OK(f.authority->tick());
        VERIFY_OK(f.authority->signedTime("n"));
        const auto list = tls::verifyDenyList(*f.authority->denyListJws(), f.config.domain,
                                              f.authority->bundle()->jwtAuthorities, f.denyNumber);
        VERIFY_OK(list);
        QVERIFY(*f.authority->denyListJws() != ahead);
        QVERIFY(list->issuedAt <= f.clock.now());
    }
    void stateOfAnOlderVersion_isNotLostByAClockAheadEither()
    {
        Building f;
        VERIFY_OK(f.begin());
        f.authority.reset();
        VERIFY_OK(f.forgetMark());
        f.jump(24h * 300);
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->tick());
        QVERIFY(f.isWhole());
        QCOMPARE(f.authority->bundle()->x509Authorities, f.roots);
        QCOMPARE(*f.authority->denyListSequence(), f.denyNumber);
        f.jump(-24h * 300);
        VERIFY_OK(f.open());
        VERIFY_OK(f.signsFor(f.clock.now()));
        QVERIFY(f.isDeniedAsBefore());
    }
    void stateThatAnOlderVersionLeftAhead_opensAndSigns()
    {
        Building f;
        VERIFY_OK(f.begin());
        f.clock.advance(24h * 12); // it believed this
        VERIFY_OK(f.authority->tick());
        VERIFY_OK(f.authority->tick());
        QVERIFY(!f.isWhole());
        f.authority.reset();
        VERIFY_OK(f.forgetMark());
        f.jump(-24h * 12);
        VERIFY_OK(f.open());
        VERIFY_OK(f.signsFor(f.clock.now()));
        QCOMPARE(f.authority->bundle()->x509Authorities, f.roots);
        QVERIFY(f.isDeniedAsBefore());
    }
};

QTEST_GUILESS_MAIN(TestAuthorityClock)
#include "tst_authority_clock.moc"
