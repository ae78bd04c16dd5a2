// kill -9 while the authority enrols, attests and revokes: what it had answered is still true, and
// the audit trail is whole.
#include "fakes/authority_fixture.h"
#include "ports/system_clock.h"

#include <QTest>

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {
/// Works until it is killed; writes one byte for each device that it has revoked.
[[noreturn]] void work(const AuthorityConfig &config, const Clock &clock, int first, int pipe)
{
    auto authority = Authority::open(config, std::make_unique<tls::FileKeyStore>(config.keysDir()), clock);
    if (!authority)
        _exit(2);
    const DeviceKey key;
    for (int i = first;; ++i) {
        const QString name = u"d-%1"_s.arg(i);
        AttestedNode node;
        node.type = u"lintel_tpm"_s;
        node.ekHash = ekHashOf(i + 1);
        node.csrDer = key.csr;
        if (!(*authority)->enroll(node.ekHash, {name, {}, {}, {}, {}}, u"t"_s) || !(*authority)->attest(node)
            || !(*authority)->revoke(name, u"x"_s, u"t"_s))
            _exit(3);
        const char done = 1;
        if (::write(pipe, &done, 1) != 1)
            _exit(4);
    }
}
} // namespace

class TestAuthorityKill : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void killed_whatWasAnsweredIsStillTrue()
    {
        AuthorityFixture f;
        const SystemClock clock;
        int revoked = 0;
        for (int round = 0; round < 8; ++round) {
            int ends[2];
            QCOMPARE(::pipe(ends), 0);
            const int first = round * 100'000;
            const pid_t child = ::fork();
            QVERIFY(child >= 0);
            if (child == 0) {
                ::close(ends[0]);
                work(f.config, clock, first, ends[1]);
            }
            ::close(ends[1]);
            char byte = 0;
            int answered = 0;
            while (answered < 3 + round * 2 && ::read(ends[0], &byte, 1) == 1)
                ++answered;
            ::usleep(useconds_t(round) * 1'700);
            ::kill(child, SIGKILL);
            int status = 0;
            ::waitpid(child, &status, 0);
            QVERIFY2(WIFSIGNALED(status), "the child must not have ended by itself");
            while (::read(ends[0], &byte, 1) == 1)
                ++answered;
            ::close(ends[0]);
            QVERIFY(answered >= 3);
            revoked += answered;

            auto opened = Authority::open(f.config, std::make_unique<tls::FileKeyStore>(f.config.keysDir()), clock);
            QVERIFY2(bool(opened), opened ? "" : qPrintable(opened.error().message));
            QVERIFY((*opened)->checkAudit());
            const auto list =
                tls::verifyDenyList(*(*opened)->denyListJws(), f.config.domain, (*opened)->bundle()->jwtAuthorities, 0);
            QVERIFY(list);
            for (int i = first; i < first + answered; ++i) {
                const QString name = u"d-%1"_s.arg(i);
                QCOMPARE((*opened)->device(name)->state, DeviceState::Revoked);
                QVERIFY(list->find(f.id(u"/agent/"_s + name), {}, clock.now()));
            }
            QVERIFY((*opened)->devices(DeviceState::Revoked)->size() >= revoked);
        }
    }
};

QTEST_APPLESS_MAIN(TestAuthorityKill)
#include "tst_authority_kill.moc"
