// Our own client of a Workload API (provider "spiffe") against our own server of one.
#include "fakes/workload_host.h"
#include "grpc/grpc_server.h"
#include "spire/server_methods.h"
#include "spire/wire.h"
#include "spire/workload_identity_source.h"

#include "workload.pb.h"

#include <QSignalSpy>
#include <QTest>

using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::test;

namespace {

constexpr int kPatience = 30'000;

/// A Workload API that says whatever the test says.
struct ScriptedApi {
    grpc::Server server;
    std::shared_ptr<grpc::ServerCall> call;
    std::optional<grpc::Status> refusal;
    int asked = 0;

    explicit ScriptedApi(const QString &path)
    {
        server.handleStream(lintel::spire::method::workload("FetchX509SVID"),
                            [this](const std::shared_ptr<grpc::ServerCall> &incoming) {
                                ++asked;
                                if (refusal)
                                    return incoming->finish(*refusal);
                                call = incoming;
                            });
        if (const auto listening = server.listenUnix(path, 0600); !listening)
            qFatal("%s", qPrintable(listening.error().message));
    }
    void send(const workload::X509SVIDResponse &response) const { call->send(lintel::spire::serialize(response)); }
};

workload::X509SVIDResponse responseWith(const QList<X509Svid> &svids, const WorkloadDomain &domain)
{
    workload::X509SVIDResponse response;
    for (const X509Svid &svid : svids) {
        auto *one = response.add_svids();
        one->set_spiffe_id(svid.id.toString().toStdString());
        one->set_x509_svid(lintel::spire::stringOf(svid.chainDer.join()));
        one->set_x509_svid_key(lintel::spire::stringOf(*tls::privateKeyToDer(*svid.key)));
        one->set_bundle(lintel::spire::stringOf(domain.rootDer));
    }
    return response;
}

} // namespace

class TestWorkloadIdentitySource : public QObject
{
    Q_OBJECT

    std::unique_ptr<WorkloadHost> m_host;

    std::unique_ptr<lintel::spire::WorkloadIdentitySource> source() const
    {
        return std::make_unique<lintel::spire::WorkloadIdentitySource>(m_host->endpoint(), m_host->id(u"/reports"_s));
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
        QSignalSpy problems(source.get(), &lintel::spire::WorkloadIdentitySource::problemFound);
        QSignalSpy solved(source.get(), &lintel::spire::WorkloadIdentitySource::problemSolved);
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
        QSignalSpy problems(source.get(), &lintel::spire::WorkloadIdentitySource::problemFound);
        QTRY_VERIFY_WITH_TIMEOUT(!problems.isEmpty(), kPatience);
        QVERIFY(m_host->start());
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
    }

    /// SPIFFE_Workload_API.md section 4.4: absence means that it was taken away.
    void federatedBundle_thatAMessageNoLongerHas_isDropped()
    {
        QVERIFY(m_host->start());
        const auto source = this->source();
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        QVERIFY((*source->current())->bundles.contains(m_host->issuer->partner.name));
        QSignalSpy bundles(source.get(), &IdentitySource::bundlesChanged);
        m_host->issuer->knowsPartner = false;
        m_host->issuer->tell();
        QTRY_COMPARE_WITH_TIMEOUT(bundles.size(), 1, kPatience);
        QCOMPARE((*source->current())->bundles.keys(), QList{m_host->issuer->own.name});
    }

    void answer_withoutWhatItMustHave_isReportedAndDropped_data()
    {
        QTest::addColumn<int>("missing");
        QTest::addColumn<QString>("sentence");
        QTest::newRow("SVIDs") << 0 << u"has no SVID"_s;
        QTest::newRow("SPIFFE ID") << 1 << u"without a SPIFFE ID"_s;
        QTest::newRow("certificate") << 2 << u"no certificate of spiffe://building-1.smart.local/reports"_s;
        QTest::newRow("key") << 3 << u"no private key of spiffe://building-1.smart.local/reports"_s;
        QTest::newRow("bundle") << 4 << u"no bundle for spiffe://building-1.smart.local/reports"_s;
        QTest::newRow("another identity's key") << 5 << u"no private key of spiffe://building-1.smart.local/other"_s;
    }
    /// SPIFFE_Workload_API.md section 4.5.
    void answer_withoutWhatItMustHave_isReportedAndDropped()
    {
        QFETCH(int, missing);
        QFETCH(QString, sentence);
        ScriptedApi api(m_host->socketPath());
        const auto source = this->source();
        QSignalSpy problems(source.get(), &lintel::spire::WorkloadIdentitySource::problemFound);
        QSignalSpy solved(source.get(), &lintel::spire::WorkloadIdentitySource::problemSolved);
        QTRY_VERIFY_WITH_TIMEOUT(api.call, kPatience);
        const WorkloadDomain &own = m_host->issuer->own;
        const auto svid = [&](const QString &path) { return own.svid(m_host->id(path), m_host->clock.now()); };
        api.send(responseWith({svid(u"/reports"_s), svid(u"/other"_s)}, own));
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        const QByteArray first = leafOf(*source);

        auto broken = responseWith({svid(u"/reports"_s), svid(u"/other"_s)}, own);
        switch (missing) {
        case 0: broken.clear_svids(); break;
        case 1: broken.mutable_svids(0)->clear_spiffe_id(); break;
        case 2: broken.mutable_svids(0)->clear_x509_svid(); break;
        case 3: broken.mutable_svids(0)->clear_x509_svid_key(); break;
        case 4: broken.mutable_svids(0)->clear_bundle(); break;
        default: broken.mutable_svids(1)->clear_x509_svid_key(); break;
        }
        api.send(broken);
        QTRY_COMPARE_WITH_TIMEOUT(problems.size(), 1, kPatience);
        const auto problem = problems[0][0].value<Error>();
        QCOMPARE(problem.code, Errc::Malformed);
        QVERIFY2(problem.message.contains(sentence), qPrintable(problem.message));
        QCOMPARE(leafOf(*source), first);

        api.send(responseWith({svid(u"/reports"_s)}, own));
        QTRY_VERIFY_WITH_TIMEOUT(leafOf(*source) != first && source->current(), kPatience);
        QCOMPARE(solved.size(), 1);
        QCOMPARE(api.asked, 1); // the stream went on
    }

    /// SPIFFE_Workload_API.md section 5.2.1; ours chooses by SPIFFE ID, which may stand there twice like a hint.
    void equalSvids_theFirstIsTaken()
    {
        ScriptedApi api(m_host->socketPath());
        const auto source = this->source();
        QTRY_VERIFY_WITH_TIMEOUT(api.call, kPatience);
        const WorkloadDomain &own = m_host->issuer->own;
        const auto svid = [&] { return own.svid(m_host->id(u"/reports"_s), m_host->clock.now()); };
        const QList<X509Svid> both{svid(), svid()};
        auto response = responseWith(both, own);
        for (auto &one : *response.mutable_svids())
            one.set_hint("internal");
        api.send(response);
        QTRY_VERIFY_WITH_TIMEOUT(source->current(), kPatience);
        QCOMPARE(leafOf(*source), both[0].chainDer.first());
    }

    void refusal_isRepeatedUnlessItIsInvalidArgument_data()
    {
        QTest::addColumn<grpc::StatusCode>("code");
        QTest::addColumn<bool>("isRepeated");
        QTest::newRow("InvalidArgument") << grpc::StatusCode::InvalidArgument << false;
        QTest::newRow("Unavailable") << grpc::StatusCode::Unavailable << true;
        QTest::newRow("PermissionDenied") << grpc::StatusCode::PermissionDenied << true;
    }
    /// SPIFFE_Workload_Endpoint.md section 6.
    void refusal_isRepeatedUnlessItIsInvalidArgument()
    {
        QFETCH(grpc::StatusCode, code);
        QFETCH(bool, isRepeated);
        ScriptedApi api(m_host->socketPath());
        api.refusal = grpc::Status{code, u"as the test says"_s, {}};
        const auto source = this->source();
        QSignalSpy problems(source.get(), &lintel::spire::WorkloadIdentitySource::problemFound);
        QTRY_COMPARE_WITH_TIMEOUT(problems.size(), 1, kPatience);
        if (isRepeated) {
            QTRY_VERIFY_WITH_TIMEOUT(api.asked >= 2, kPatience);
            return;
        }
        QTest::qWait(2'500); // the first repetition would come within a second
        QCOMPARE(api.asked, 1);
        QVERIFY(problems[0][0].value<Error>().message.contains(u"as the test says"_s));
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
