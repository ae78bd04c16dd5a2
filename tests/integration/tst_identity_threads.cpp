// The threads of identities, for ThreadSanitizer: the one that fetches an identity while handshakes on other
// threads read it, and the signers of an authority that issues batches meanwhile.
#include "fakes/live_authority.h"
#include "tls/certificate_writer.h"
#include "tls/file_key_store.h"
#include "tls/x509.h"

#include <QSignalSpy>
#include <QTest>

#include <atomic>
#include <thread>
#include <vector>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr int kPatience = 60'000;

/// What handshakes do, on as many threads as there may be of them.
class Readers
{
public:
    explicit Readers(const spire::EmbeddedIdentitySource &source)
    {
        for (int i = 0; i < 2; ++i)
            m_threads.emplace_back([this, &source] {
                while (!m_isOver) {
                    read(source);
                    std::this_thread::yield();
                }
            });
    }
    ~Readers()
    {
        m_isOver = true;
        for (std::thread &one : m_threads)
            one.join();
    }
    Readers(const Readers &) = delete;
    Readers &operator=(const Readers &) = delete;
    [[nodiscard]] int seen() const { return m_seen; }

private:
    void read(const spire::EmbeddedIdentitySource &source)
    {
        const auto snapshot = source.current();
        const IdentityStatus status = source.status();
        if (!snapshot)
            return;
        const X509Svid &svid = (*snapshot)->svid;
        const auto roots = (*snapshot)->bundles;
        const auto agent = source.agentSvid();
        const auto documents = source.documents();
        const bool isWhole = tls::verifyPeer(svid.chainDer, svid.id, roots, tls::PeerRole::Client,
                                             std::max(source.trustedNow(), svid.notBefore))
                             && agent && documents.size() == roots.size() && !status.sentence.isEmpty();
        if (isWhole)
            ++m_seen;
    }

    std::atomic<bool> m_isOver{false};
    std::atomic<int> m_seen{0};
    std::vector<std::thread> m_threads;
};

} // namespace

class TestIdentityThreads : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void identity_isReadWhileItIsRenewed()
    {
        LiveAuthority authority(1h);
        QVERIFY(authority.open());
        const auto source = authority.joiner(u"gateway"_s, u"gateway"_s);
        QVERIFY(source);
        const Readers readers(*source);
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        for (quint64 i = 0; i < 8; ++i) {
            source->hurry();
            QTRY_VERIFY_WITH_TIMEOUT(source->status().rotations > i, kPatience);
        }
        QTRY_VERIFY_WITH_TIMEOUT(readers.seen() > 0, kPatience);
    }

    void identity_endsInTheMiddleOfAnErrand()
    {
        LiveAuthority authority(1h);
        QVERIFY(authority.open());
        for (int i = 0; i < 5; ++i) {
            const auto source = authority.joiner(u"panel-%1"_s.arg(i), u"panel"_s);
            QVERIFY(source);
            QTest::qWait(i * 3); // another moment each time
        }
    }

    void signers_issueWhileIdentitiesAreFetched()
    {
        LiveAuthority authority(1h);
        authority.config.signingThreads = 3;
        QVERIFY(authority.open());
        const auto source = authority.joiner(u"gateway"_s, u"gateway"_s);
        QVERIFY(source);
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        const Readers readers(*source);
        authority::Agent agent;
        agent.id = source->agentSvid()->id;
        authority::Entry entry;
        entry.spiffeId = authority.id(u"/reports"_s);
        entry.parentId = agent.id;
        entry.selectors = {{u"unix"_s, u"uid:1000"_s}};
        const auto made = authority.authority->createEntry(entry, authority.actor);
        QVERIFY2(made, made ? "" : qPrintable(made.error().message));

        const auto signer = *tls::signingKeyFrom(*tls::newSoftwareKey());
        const QByteArray good = *tls::makeCsr(*signer);
        QList<authority::SvidRequest> requests;
        for (int i = 0; i < 60; ++i)
            requests.append({made->id, i % 10 == 9 ? QByteArray("no request") : good});
        for (int round = 0; round < 5; ++round) {
            source->hurry();
            const auto issued = authority.authority->issueX509(agent, requests);
            QVERIFY2(issued, issued ? "" : qPrintable(issued.error().message));
            QCOMPARE(issued->size(), requests.size());
            QSet<QString> serials;
            for (qsizetype i = 0; i < issued->size(); ++i) {
                const auto &one = issued->at(i);
                QCOMPARE(bool(one), i % 10 != 9); // each answer at its own place
                if (one)
                    serials.insert(one->serial);
            }
            QCOMPARE(serials.size(), 54);
            QTest::qWait(1);
        }
        QTRY_VERIFY_WITH_TIMEOUT(source->status().rotations > 0, kPatience);
    }
};

QTEST_GUILESS_MAIN(TestIdentityThreads)
#include "tst_identity_threads.moc"
