// What one SVID costs the authority without a network: CSR verified, certificate signed.
#include "fakes/authority_fixture.h"
#include "ports/system_clock.h"

#include <QElapsedTimer>
#include <QTextStream>

#include <algorithm>
#include <ctime>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {
void print(const QString &line)
{
    QTextStream(stdout) << line << Qt::endl;
}

/// Processor time counts where other programs run beside this one.
class Stopwatch
{
public:
    void start()
    {
        m_cpu = std::clock();
        m_timer.start();
    }
    void report(const QString &what, qint64 count) const
    {
        const double cpu = double(std::clock() - m_cpu) / CLOCKS_PER_SEC;
        const double wall = double(std::max<qint64>(1, m_timer.nsecsElapsed())) / 1e9;
        print(u"%1: %2/s, %3 us of processor time each"_s.arg(what, -46)
                  .arg(double(count) / wall, 0, 'f', 0)
                  .arg(cpu / double(count) * 1e6, 0, 'f', 0));
    }

private:
    std::clock_t m_cpu = 0;
    QElapsedTimer m_timer;
};
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
            Stopwatch timer;
            timer.start();
            for (int i = 0; i < rounds; ++i)
                (void)authority.issueX509(agent, requests.first(batch));
            timer.report(u"%1 thread(s), SVIDs in batches of %2"_s.arg(threads == 1 ? u"1"_s : u"all"_s).arg(batch),
                         qint64{rounds} * batch);
        }
        Stopwatch timer;
        timer.start();
        for (int i = 0; i < 500; ++i)
            (void)authority.attest(f.node(ekHashOf(1), device));
        timer.report(u"re-attestations by TPM, after verification"_s, 500);
        QList<QString> tokens;
        for (int i = 0; i < 300; ++i)
            tokens.append(authority.createToken(std::chrono::minutes{5}, {}, f.actor)->token);
        timer.start();
        for (const QString &token : std::as_const(tokens))
            (void)authority.attest(f.tokenNode(token, device));
        timer.report(u"attestations by join token"_s, 300);
        timer.start();
        for (int i = 0; i < 5'000; ++i)
            (void)authority.issueJwt(agent, requests.first().entryId, {u"x"_s});
        timer.report(u"JWT-SVIDs"_s, 5'000);
        timer.start();
        const QByteArray leaf = svid->svid.chainDer.first();
        for (int i = 0; i < 5'000; ++i)
            (void)authority.checkAgent(leaf);
        timer.report(u"agent checks"_s, 5'000);
    }
    return 0;
}
