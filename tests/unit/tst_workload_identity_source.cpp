// Our own client of a Workload API (provider "spiffe") against our own server of one.
#include "fakes/workload_host.h"
#include "spire/workload_identity_source.h"

#include <QSignalSpy>
#include <QTest>

using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::test;

namespace {

constexpr int kPatience = 30'000;

} // namespace

class TestWorkloadIdentitySource : public QObject
{
    Q_OBJECT

    std::unique_ptr<WorkloadHost> m_host;

    std::unique_ptr<spire::WorkloadIdentitySource> source() const
    {
        return std::make_unique<spire::WorkloadIdentitySource>(m_host->endpoint(), m_host->id(u"/reports"_s));
    }
    static QByteArray leafOf(const IdentitySource &source)
    {
        const auto current = source.current();
        return current ? (*current)->svid.chainDer.first() : QByteArray();
    }

private Q_SLOTS:
    void init()
    {
        m_host = std::make_unique<WorkloadHost>();
        m_host->add(u"other"_s);
        m_host->add(u"reports"_s);
        m_host->issuer->list[1].federatesWith = {m_host->issuer->partner.name};
    }
    void cleanup() { m_host.reset(); }

    void identity_isTheOneThatWasAskedFor()
    {
        QVERIFY(m_host->start());
        const auto source = this->source();
        QVERIFY(!source->current());
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        const auto snapshot = *source->current();
        QCOMPARE(snapshot->svid.id, m_host->id(u"/reports"_s));
        QCOMPARE(snapshot->bundles.value(m_host->issuer->own.name), QList{m_host->issuer->own.rootDer});
        QCOMPARE(snapshot->bundles.value(m_host->issuer->partner.name), QList{m_host->issuer->partner.rootDer});
        QCOMPARE(source->status().state, IdentityStatus::State::Valid);
        QVERIFY(!source->status().isBoundToChip);
    }

    void rotation_arrivesAsAPush()
    {
        QVERIFY(m_host->start());
        const auto source = this->source();
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        QSignalSpy svids(source.get(), &IdentitySource::svidChanged);
        const QByteArray first = leafOf(*source);
        m_host->advance(40min); // of an hour
        QTRY_VERIFY_WITH_TIMEOUT(leafOf(*source) != first, kPatience);
        QVERIFY(!svids.isEmpty());
        QCOMPARE(source->status().rotations, 1U);
    }

    void bundleAlone_isNoNewSvid()
    {
        QVERIFY(m_host->start());
        const auto source = this->source();
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        QSignalSpy svids(source.get(), &IdentitySource::svidChanged);
        QSignalSpy bundles(source.get(), &IdentitySource::bundlesChanged);
        m_host->issuer->partner.newRoot();
        m_host->issuer->tell();
        QTRY_COMPARE_WITH_TIMEOUT(bundles.size(), 1, kPatience);
        QCOMPARE((*source->current())->bundles.value(m_host->issuer->partner.name),
                 QList{m_host->issuer->partner.rootDer});
        // Another identity of this process is renewed: nothing of ours is new.
        m_host->issuer->list[0].hint = u"x"_s;
        m_host->issuer->tell();
        QTest::qWait(100);
        QCOMPARE(bundles.size(), 1);
        QVERIFY(svids.isEmpty());
    }

    void revokedIdentity_isGivenUpWithinTwoSeconds()
    {
        m_host->issuer->list.removeFirst();
        QVERIFY(m_host->start());
        const auto source = this->source();
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        QSignalSpy svids(source.get(), &IdentitySource::svidChanged);
        m_host->server->setDenyList(m_host->denying(m_host->id(u"/reports"_s)));
        QTRY_VERIFY_WITH_TIMEOUT(!source->current(), 2'000);
        QCOMPARE(source->current().error().code, Errc::Denied);
        QCOMPARE(svids.size(), 1);
        QCOMPARE(source->status().state, IdentityStatus::State::Expired);
        // Enrolled anew: it comes back without a restart.
        tls::DenyList empty = m_host->denying(m_host->id(u"/reports"_s));
        empty.entries.clear();
        m_host->server->setDenyList(empty);
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
    }

    void identityThatIsNoLongerOffered_isGivenUp()
    {
        QVERIFY(m_host->start());
        const auto source = this->source();
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        m_host->issuer->list.removeLast(); // the other one stays, so the stream does too
        m_host->issuer->tell();
        QTRY_VERIFY_WITH_TIMEOUT(!source->current(), kPatience);
        QCOMPARE(source->current().error().code, Errc::NotFound);
    }

    void serverThatRestarts_isFoundAgainAndTheIdentityStaysMeanwhile()
    {
        QVERIFY(m_host->start());
        const auto source = this->source();
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        const QByteArray first = leafOf(*source);
        QSignalSpy problems(source.get(), &spire::WorkloadIdentitySource::problemFound);
        QSignalSpy solved(source.get(), &spire::WorkloadIdentitySource::problemSolved);
        m_host->server.reset();
        QTRY_VERIFY_WITH_TIMEOUT(!problems.isEmpty(), kPatience);
        QCOMPARE(leafOf(*source), first);
        QCOMPARE(source->status().state, IdentityStatus::State::Overdue);
        QVERIFY(m_host->start());
        QTRY_COMPARE_WITH_TIMEOUT(solved.size(), 1, kPatience);
        QVERIFY(leafOf(*source) != first); // its keys were in memory only
        QCOMPARE(source->status().state, IdentityStatus::State::Valid);
    }

    void serverThatClosesInOrder_isFoundAgain()
    {
        QVERIFY(m_host->start());
        const auto source = this->source();
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        QSignalSpy closed(m_host->server.get(), &workloads::WorkloadServer::closed);
        m_host->server->close(1s);
        QTRY_COMPARE_WITH_TIMEOUT(closed.size(), 1, kPatience);
        QVERIFY(source->current());
        QVERIFY(m_host->start());
        const QByteArray first = leafOf(*source);
        QTRY_VERIFY_WITH_TIMEOUT(leafOf(*source) != first, kPatience);
    }

    void serverThatComesLater_isWaitedFor()
    {
        const auto source = this->source();
        QSignalSpy problems(source.get(), &spire::WorkloadIdentitySource::problemFound);
        QTRY_VERIFY_WITH_TIMEOUT(!problems.isEmpty(), kPatience);
        QVERIFY(m_host->start());
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
    }

    void programWithoutAnEntry_isToldWhatIsMissing()
    {
        m_host->issuer->list.clear();
        QVERIFY(m_host->start());
        const auto source = this->source();
        QTRY_VERIFY_WITH_TIMEOUT(source->current().error().code == Errc::Denied, kPatience);
        QVERIFY(source->current().error().message.contains("no registration entry"_L1));
        m_host->add(u"reports"_s);
        m_host->issuer->tell();
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
    }
};

QTEST_GUILESS_MAIN(TestWorkloadIdentitySource)
#include "tst_workload_identity_source.moc"
