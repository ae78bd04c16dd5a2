// What one SVID costs the authority without a network: CSR verified, certificate signed.
#include "fakes/authority_fixture.h"
#include "ports/system_clock.h"

#include <QElapsedTimer>
#include <QTextStream>

#include <algorithm>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {
void print(const QString &line)
{
    QTextStream(stdout) << line << Qt::endl;
}

double perSecond(qint64 count, const QElapsedTimer &timer)
{
    return double(count) * 1e9 / double(std::max<qint64>(1, timer.nsecsElapsed()));
}
} // namespace

int main()
{
    const SystemClock clock;
    for (const int threads : {1, 0}) {
        AuthorityFixture f;
        f.config.signingThreads = threads;
        auto opened = Authority::open(f.config, std::make_unique<tls::FileKeyStore>(f.config.keysDir()), clock);
        if (!opened)
            return 1;
        Authority &authority = **opened;
        const DeviceKey device;
        (void)authority.enroll(ekHashOf(1), {u"a"_s, {}, {}, {}, {}}, f.actor);
        const auto svid = authority.attest(f.node(ekHashOf(1), device));
        if (!svid)
            return 1;
        const Agent agent = authority.checkAgent(svid->svid.chainDer.first()).agent;
        QList<SvidRequest> requests;
        for (int i = 0; i < 500; ++i) {
            Entry entry;
            entry.spiffeId = f.id(u"/w/%1"_s.arg(i));
            entry.parentId = agent.id;
            entry.selectors = {{u"unix"_s, u"uid:%1"_s.arg(i)}};
            requests.append({authority.createEntry(entry, f.actor)->id, DeviceKey().csr});
        }
        for (const int batch : {1, 50, 500}) {
            const int rounds = std::max(8, 5'000 / batch);
            QElapsedTimer timer;
            timer.start();
            for (int i = 0; i < rounds; ++i)
                (void)authority.issueX509(agent, requests.first(batch));
            print(u"%1 thread(s), batches of %2: %3 SVID/s"_s.arg(threads == 1 ? u"1"_s : u"all"_s)
                      .arg(batch)
                      .arg(perSecond(qint64{rounds} * batch, timer), 0, 'f', 0));
        }
        QElapsedTimer timer;
        timer.start();
        for (int i = 0; i < 500; ++i)
            (void)authority.attest(f.node(ekHashOf(1), device));
        print(u"re-attestations by TPM (after verification): %1/s"_s.arg(perSecond(500, timer), 0, 'f', 0));
        QList<QString> tokens;
        for (int i = 0; i < 300; ++i)
            tokens.append(authority.createToken(std::chrono::minutes{5}, {}, f.actor)->token);
        timer.start();
        for (const QString &token : std::as_const(tokens))
            (void)authority.attest(f.tokenNode(token, device));
        print(u"attestations by join token: %1/s"_s.arg(perSecond(300, timer), 0, 'f', 0));
        timer.start();
        for (int i = 0; i < 5'000; ++i)
            (void)authority.issueJwt(agent, requests.first().entryId, {u"x"_s});
        print(u"JWT-SVIDs: %1/s"_s.arg(perSecond(5'000, timer), 0, 'f', 0));
        timer.start();
        const QByteArray leaf = svid->svid.chainDer.first();
        for (int i = 0; i < 5'000; ++i)
            (void)authority.checkAgent(leaf);
        print(u"agent checks: %1/s"_s.arg(perSecond(5'000, timer), 0, 'f', 0));
    }
    return 0;
}
