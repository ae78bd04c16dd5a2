// What one agent that is approved, and hostile, can do to the others: nothing but wait for its turn.
#include "authority/signing_pool.h"
#include "fakes/faulty_vfs.h"
#include "fakes/served_authority.h"
#include "tls/deny_list.h"

#include "lintel_authority.pb.h"
#include "spire_agent.pb.h"
#include "spire_svid.pb.h"

#include <QThread>

#include <condition_variable>
#include <limits>
#include <mutex>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace method = lintel::spire::method;
namespace own = ::lintel::authority::v1;
namespace agents = ::spire::api::server::agent::v1;
namespace svids = ::spire::api::server::svid::v1;

namespace {

constexpr int kPatience = 60'000;

/// Where threads wait until the test lets so many of them pass. Its own thread does not wait.
class Gate
{
public:
    void close() { set(0); }
    void open() { set(std::numeric_limits<int>::max() / 2); }
    void letPass(int more)
    {
        const std::lock_guard lock(m_mutex);
        m_free += more;
        m_changed.notify_all();
    }
    void pass()
    {
        if (QThread::currentThread() == m_home)
            return;
        std::unique_lock lock(m_mutex);
        ++m_waiting;
        m_changed.wait(lock, [this] { return m_free > 0; });
        --m_waiting;
        --m_free;
    }
    [[nodiscard]] int waiting() const
    {
        const std::lock_guard lock(m_mutex);
        return m_waiting;
    }

private:
    void set(int free)
    {
        const std::lock_guard lock(m_mutex);
        m_free = free;
        m_changed.notify_all();
    }

    QThread *m_home = QThread::currentThread();
    mutable std::mutex m_mutex;
    std::condition_variable m_changed;
    int m_free = std::numeric_limits<int>::max() / 2;
    int m_waiting = 0;
};

struct Slowness {
    std::atomic<int> delayMs{0};
    Gate gate;
    std::atomic<int> begun{0}; // signatures
};

/// Signs as slowly as a small chip.
class SlowKeys final : public KeyStore
{
public:
    SlowKeys(std::unique_ptr<KeyStore> keys, std::shared_ptr<Slowness> slowness)
        : m_keys(std::move(keys)), m_slowness(std::move(slowness))
    {}
    Result<std::shared_ptr<SigningKey>> create(const QString &label) override { return slow(m_keys->create(label)); }
    Result<std::shared_ptr<SigningKey>> open(const QString &label) override { return slow(m_keys->open(label)); }
    Result<void> remove(const QString &label) override { return m_keys->remove(label); }
    [[nodiscard]] QString description() const override { return m_keys->description(); }

private:
    class Key final : public SigningKey
    {
    public:
        Key(std::shared_ptr<SigningKey> key, std::shared_ptr<Slowness> slowness)
            : m_key(std::move(key)), m_slowness(std::move(slowness))
        {}
        [[nodiscard]] QByteArray publicKeyDer() const override { return m_key->publicKeyDer(); }
        [[nodiscard]] Result<QByteArray> sign(const QByteArray &message) const override
        {
            ++m_slowness->begun;
            m_slowness->gate.pass();
            QThread::msleep(static_cast<unsigned long>(m_slowness->delayMs.load()));
            return m_key->sign(message);
        }

    private:
        std::shared_ptr<SigningKey> m_key;
        std::shared_ptr<Slowness> m_slowness;
    };
    [[nodiscard]] Result<std::shared_ptr<SigningKey>> slow(const Result<std::shared_ptr<SigningKey>> &key) const
    {
        if (!key)
            return key;
        return std::shared_ptr<SigningKey>(std::make_shared<Key>(*key, m_slowness));
    }

    std::unique_ptr<KeyStore> m_keys;
    std::shared_ptr<Slowness> m_slowness;
};

/// Two agents, whose authority has a key store that is as slow as `slowness` says from then on.
struct SlowAuthority : TwoAgents {
    std::shared_ptr<Slowness> slowness = std::make_shared<Slowness>();

    SlowAuthority()
    {
        otherKeys = [this] {
            return std::make_unique<SlowKeys>(std::make_unique<tls::FileKeyStore>(config.keysDir()), slowness);
        };
    }
    SlowAuthority(const SlowAuthority &) = delete;
    SlowAuthority &operator=(const SlowAuthority &) = delete;
    ~SlowAuthority() { slowness->gate.open(); } // also when a test has failed
};

/// Opens the gate before the pool, which was made before it, waits for who stands there.
struct Opener {
    Gate &gate;
    explicit Opener(Gate &theGate) : gate(theGate) {}
    Opener(const Opener &) = delete;
    Opener &operator=(const Opener &) = delete;
    ~Opener() { gate.open(); }
};

/// Counts those that were destroyed on another thread.
struct Homesick {
    std::shared_ptr<std::atomic<int>> strayed;
    QThread *home = QThread::currentThread();
    explicit Homesick(std::shared_ptr<std::atomic<int>> counter) : strayed(std::move(counter)) {}
    Homesick(const Homesick &) = delete;
    Homesick &operator=(const Homesick &) = delete;
    ~Homesick()
    {
        if (QThread::currentThread() != home)
            ++*strayed;
    }
};

using Issued = Result<QList<Result<IssuedSvid>>>;

svids::NewJWTSVIDRequest tokenRequest(const Entry &entry)
{
    svids::NewJWTSVIDRequest request;
    request.set_entry_id(entry.id.toStdString());
    request.add_audience("broker");
    return request;
}

svids::BatchNewX509SVIDRequest batchRequest(const Entry &entry, const DeviceKey &key, int count)
{
    svids::BatchNewX509SVIDRequest request;
    for (int i = 0; i < count; ++i) {
        auto *params = request.add_params();
        params->set_entry_id(entry.id.toStdString());
        params->set_csr(key.csr.toStdString());
    }
    return request;
}

own::TimeRequest timeRequest()
{
    own::TimeRequest request;
    request.set_nonce(std::string(16, 'n'));
    return request;
}

} // namespace

class TestAuthorityFloods : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void signatures_ofOneAgentAreBounded()
    {
        TwoAgents f;
        f.config.signaturesPerAgent = 5;
        VERIFY_OK(f.serveBoth());
        const Entry entry = f.entry(u"/app/meter"_s, f.joined.id, 1'000);
        const auto agent = f.as(f.joined);
        const auto ask = [&](const auto &name, const auto &request) {
            return lintel::test::ask(*agent, name, request);
        };
        for (int i = 0; i < 9; ++i)
            COMPARE_STATUS(ask(method::svid("NewJWTSVID"), tokenRequest(entry)), Ok);
        // With one left, a batch is not too large, …
        const DeviceKey key;
        const Answer batch = ask(method::svid("BatchNewX509SVID"), batchRequest(entry, key, 10));
        COMPARE_STATUS(batch, Ok);
        QCOMPARE(batch.as<svids::BatchNewX509SVIDResponse>().results_size(), 10);
        // … but what it took has to come back first.
        const Answer refused = ask(method::svid("NewJWTSVID"), tokenRequest(entry));
        COMPARE_STATUS(refused, ResourceExhausted);
        QVERIFY2(refused.status.message.contains("try again in 2 s"_L1), qPrintable(refused.status.message));
        COMPARE_STATUS(ask(method::trust("GetTime"), timeRequest()), ResourceExhausted);
        COMPARE_STATUS(ask(method::svid("BatchNewX509SVID"), batchRequest(entry, key, 1)), ResourceExhausted);
        const auto other = f.as(f.chip);
        COMPARE_STATUS(lintel::test::ask(*other, method::trust("GetTime"), timeRequest()), Ok);
        f.clock.advance(2s);
        COMPARE_STATUS(ask(method::trust("GetTime"), timeRequest()), Ok);
        COMPARE_STATUS(ask(method::trust("GetTime"), timeRequest()), ResourceExhausted);
    }

    void writes_ofOneAgentAreBounded()
    {
        TwoAgents f;
        f.config.writesPerAgent = 3;
        VERIFY_OK(f.serveBoth());
        const auto agent = f.as(f.joined);
        agents::PostStatusRequest status;
        for (int i = 0; i < 3; ++i)
            COMPARE_STATUS(ask(*agent, method::agent("PostStatus"), status), Ok);
        const Answer refused = ask(*agent, method::agent("PostStatus"), status);
        COMPARE_STATUS(refused, ResourceExhausted);
        QVERIFY2(refused.status.message.contains("try again in 20 s"_L1), qPrintable(refused.status.message));
        agents::RenewAgentRequest renewal;
        renewal.mutable_params()->set_csr(f.tokenKey.csr.toStdString());
        COMPARE_STATUS(ask(*agent, method::agent("RenewAgent"), renewal), ResourceExhausted);
        COMPARE_STATUS(ask(*agent, method::trust("ReportLastAccepted"), QByteArray()), ResourceExhausted);
        const auto other = f.as(f.chip);
        COMPARE_STATUS(ask(*other, method::agent("PostStatus"), status), Ok);
        f.clock.advance(20s);
        COMPARE_STATUS(ask(*agent, method::agent("RenewAgent"), renewal), Ok);
    }

    /// A revocation reaches the brokers while a slow chip signs what somebody has asked for.
    void largeBatch_leavesTheEventLoopFree()
    {
        SlowAuthority f;
        VERIFY_OK(f.serveBoth());
        const Entry entry = f.entry(u"/app/meter"_s, f.joined.id, 1'000);
        VERIFY_OK(f.authority->enroll(ekHashOf(3), factsOf(u"hvac-003"_s), f.actor));
        const auto watching = f.as(f.chip);
        const auto watch = open(*watching, method::trust("WatchDenyList"));
        watch->call->send({});
        QTRY_COMPARE_WITH_TIMEOUT(watch->messages.size(), 1, kPatience);

        const auto agent = f.as(f.joined);
        const DeviceKey key;
        std::optional<grpc::Status> batch;
        std::optional<grpc::Status> token;
        const int before = f.slowness->begun;
        f.slowness->gate.close();
        agent->unary(method::svid("BatchNewX509SVID"), lintel::spire::serialize(batchRequest(entry, key, 200)), 60s,
                     agent.get(), [&](const grpc::Status &status, const QByteArray &) { batch = status; });
        QTRY_VERIFY_WITH_TIMEOUT(f.slowness->begun > before, kPatience);
        agent->unary(method::svid("NewJWTSVID"), lintel::spire::serialize(tokenRequest(entry)), 60s, agent.get(),
                     [&](const grpc::Status &status, const QByteArray &) { token = status; });
        // They take turns: the token does not wait for all of the batch. One that passes has been longer than a turn.
        for (int passed = 0; passed < 150 && !token; ++passed) {
            QTest::qWait(25);
            f.slowness->gate.letPass(1);
        }
        QVERIFY(token.has_value());
        QVERIFY2(token->isOk(), qPrintable(token->message));
        QVERIFY(!batch);
        VERIFY_OK(f.authority->revoke(u"hvac-003"_s, u"stolen"_s, f.actor));
        QTRY_COMPARE_WITH_TIMEOUT(watch->messages.size(), 2, kPatience);
        QVERIFY(!batch);
        f.slowness->gate.open();
        QTRY_VERIFY_WITH_TIMEOUT(batch.has_value(), kPatience);
        QVERIFY2(batch->isOk(), qPrintable(batch->message));
    }

    /// What is refused takes no time, and makes no key store quick.
    void refusedRequest_saysNothingOfTheKeys_data()
    {
        QTest::addColumn<bool>("isUnknown");
        QTest::newRow("unknown entry") << true;
        QTest::newRow("broken CSR") << false;
    }
    void refusedRequest_saysNothingOfTheKeys()
    {
        QFETCH(bool, isUnknown);
        SlowAuthority f;
        VERIFY_OK(f.serveBoth());
        const Entry entry = f.entry(u"/app/meter"_s, f.joined.id, 1'000);
        const Agent agent = *f.authority->agent(f.joined.id);
        const DeviceKey key;
        f.slowness->gate.close();
        for (int i = 0; i < 3; ++i) {
            std::optional<Issued> refused;
            f.authority->issueX509Later(agent,
                                        {isUnknown ? SvidRequest{u"none"_s, key.csr} : SvidRequest{entry.id, "x"_ba}},
                                        [&](const Issued &issued) { refused = issued; });
            QTRY_VERIFY_WITH_TIMEOUT(refused.has_value(), kPatience);
            VERIFY_OK(*refused);
            QVERIFY(!(**refused).at(0));
        }
        std::optional<Issued> svid;
        std::optional<Result<JwtIssued>> token;
        std::optional<Result<QByteArray>> time;
        f.authority->issueX509Later(agent, {{entry.id, key.csr}}, [&](const Issued &issued) { svid = issued; });
        f.authority->issueJwtLater(agent, entry.id, {u"broker"_s}, [&](const auto &issued) { token = issued; });
        f.authority->signedTimeLater(agent, QByteArray(16, 'n'), [&](const auto &issued) { time = issued; });
        QVERIFY(!svid && !token && !time);
        f.slowness->gate.open();
        QTRY_VERIFY_WITH_TIMEOUT(svid && token && time, kPatience);
        VERIFY_OK(*svid);
        VERIFY_OK((**svid).at(0));
        VERIFY_OK(*token);
        VERIFY_OK(*time);
    }

    /// A chip that was quick is noticed when it is so no more, whatever is signed.
    void keysThatBecomeSlow_areNoticed_data()
    {
        QTest::addColumn<bool>("isToken");
        QTest::newRow("token") << true;
        QTest::newRow("SVID") << false;
    }
    void keysThatBecomeSlow_areNoticed()
    {
        QFETCH(bool, isToken);
        SlowAuthority f;
        VERIFY_OK(f.serveBoth());
        const Entry entry = f.entry(u"/app/meter"_s, f.joined.id, 1'000);
        const Agent agent = *f.authority->agent(f.joined.id);
        const DeviceKey key;
        const auto isDone = std::make_shared<bool>();
        const auto sign = [&] {
            *isDone = false;
            if (isToken)
                f.authority->issueJwtLater(agent, entry.id, {u"broker"_s}, [isDone](const auto &) { *isDone = true; });
            else
                f.authority->issueX509Later(agent, {{entry.id, key.csr}}, [isDone](const auto &) { *isDone = true; });
        };
        for (int i = 0; i < 5; ++i) { // until they are known to be quick
            sign();
            QTRY_VERIFY_WITH_TIMEOUT(*isDone, kPatience);
        }
        f.slowness->delayMs.store(30);
        sign(); // still in place
        QTRY_VERIFY_WITH_TIMEOUT(*isDone, kPatience);
        sign();
        QVERIFY(!*isDone);
        QTRY_VERIFY_WITH_TIMEOUT(*isDone, kPatience);
    }

    void manyRequestsOfOneAgent_areNotServedBeforeThoseOfAnother()
    {
        SlowAuthority f;
        f.config.signingThreads = 1;
        VERIFY_OK(f.serveBoth());
        const Entry entry = f.entry(u"/app/meter"_s, f.joined.id, 1'000);
        const Agent greedy = *f.authority->agent(f.joined.id);
        const Agent other = *f.authority->agent(f.chip.id);
        int tokens = 0;
        std::optional<Error> refused;
        std::optional<Result<QByteArray>> time;
        f.slowness->gate.close();
        const auto askForToken = [&] {
            f.authority->issueJwtLater(greedy, entry.id, {u"broker"_s}, [&](const auto &issued) {
                if (issued)
                    ++tokens;
                else
                    refused = issued.error();
            });
        };
        for (int i = 0; i < SigningPool::kJobsOfOne; ++i)
            askForToken();
        QVERIFY(!refused);
        askForToken();
        QVERIFY(refused.has_value());
        QCOMPARE(refused->code, Errc::Full);
        QVERIFY2(refused->message.contains("32 requests"_L1), qPrintable(refused->message));
        refused.reset();
        const DeviceKey key;
        f.authority->issueX509Later(greedy, {{entry.id, key.csr}}, [&](const Issued &issued) {
            if (!issued)
                refused = issued.error();
        });
        QVERIFY(refused.has_value());
        refused.reset();

        f.authority->signedTimeLater(other, QByteArray(16, 'n'), [&](const auto &issued) { time = issued; });
        f.slowness->gate.letPass(2); // the token that is being signed, and what comes next
        QTRY_COMPARE_WITH_TIMEOUT(tokens, 1, kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(time.has_value(), kPatience);
        VERIFY_OK(*time);
        QCOMPARE(tokens, 1);
        askForToken(); // one was answered: there is room again
        QVERIFY(!refused);
        f.slowness->gate.open();
        QTRY_COMPARE_WITH_TIMEOUT(tokens, SigningPool::kJobsOfOne + 1, kPatience);
    }

    void jobs_areDoneInTurnsOfTheirAgents()
    {
        std::mutex mutex;
        QStringList order;
        QStringList done;
        Gate gate;
        QObject home;
        SigningPool pool(1);
        const Opener opener(gate);
        const auto start = [&](const QString &agent, const QString &job, int count = 1) {
            return pool.start(
                &home, agent, count,
                [&, job](qsizetype) {
                    gate.pass();
                    const std::lock_guard lock(mutex);
                    order.append(job);
                    return true;
                },
                [&, job] { done.append(job); });
        };
        gate.close();
        for (const auto *job : {"a1", "a2", "a3"})
            QVERIFY(start(u"a"_s, QLatin1StringView(job)));
        QVERIFY(start(u"b"_s, u"b1"_s));
        QVERIFY(start(u"b"_s, u"b2"_s));
        QVERIFY(start(u"c"_s, u"c1"_s));
        gate.open();
        QTRY_COMPARE_WITH_TIMEOUT(done.size(), 6, kPatience);
        QCOMPARE(done, (QStringList{u"a1"_s, u"b1"_s, u"c1"_s, u"a2"_s, u"b2"_s, u"a3"_s}));
        const std::lock_guard lock(mutex);
        QCOMPARE(order, done);
    }

    /// A call must not end on a thread of the pool, which may be the last to let go of its job.
    void whatFollowsAJob_endsOnItsThread()
    {
        const auto strayed = std::make_shared<std::atomic<int>>();
        QObject home;
        SigningPool pool(8);
        for (int round = 0; round < 1'500; ++round) {
            int done = 0;
            for (int i = 0; i < SigningPool::kJobsOfOne; ++i)
                QVERIFY(pool.start(
                    &home, u"a"_s, 1, [](qsizetype) { return true; },
                    [&done, call = std::make_shared<Homesick>(strayed)] { ++done; }));
            while (done < SigningPool::kJobsOfOne)
                QCoreApplication::processEvents(QEventLoop::AllEvents | QEventLoop::WaitForMoreEvents);
        }
        QCOMPARE(strayed->load(), 0);
    }

    void whoIsRevokedMeanwhile_getsNothing()
    {
        SlowAuthority f;
        VERIFY_OK(f.serveBoth());
        const Entry kept = f.entry(u"/app/meter"_s, f.joined.id, 1'000);
        const Entry lost = f.entry(u"/app/other"_s, f.joined.id, 1'001);
        const Agent agent = *f.authority->agent(f.joined.id);
        const DeviceKey key;
        QList<SvidRequest> requests;
        for (int i = 0; i < 5; ++i)
            requests += {{kept.id, key.csr}, {lost.id, key.csr}};
        std::optional<Issued> outcome;
        std::optional<Result<JwtIssued>> lostToken;
        f.slowness->delayMs.store(20);
        f.authority->issueX509Later(agent, requests, [&](const Issued &issued) { outcome = issued; });
        f.authority->issueJwtLater(agent, lost.id, {u"broker"_s}, [&](const auto &issued) { lostToken = issued; });
        VERIFY_OK(f.authority->deleteEntry(lost.id, f.actor));
        QVERIFY(!outcome && !lostToken);
        QTRY_VERIFY_WITH_TIMEOUT(outcome && lostToken, kPatience);
        VERIFY_OK(*outcome);
        VERIFY_ERROR(*lostToken, Errc::NotFound);
        for (int i = 0; i < 10; i += 2) {
            VERIFY_OK((*outcome)->at(i));
            VERIFY_ERROR((*outcome)->at(i + 1), Errc::NotFound);
        }
        outcome.reset();
        std::optional<Result<JwtIssued>> token;
        f.authority->issueX509Later(agent, requests, [&](const Issued &issued) { outcome = issued; });
        f.authority->issueJwtLater(agent, kept.id, {u"broker"_s}, [&](const auto &issued) { token = issued; });
        VERIFY_OK(f.authority->banAgent(agent.id, f.actor));
        QVERIFY(!outcome && !token);
        QTRY_VERIFY_WITH_TIMEOUT(outcome && token, kPatience);
        VERIFY_ERROR(*outcome, Errc::Denied);
        VERIFY_ERROR(*token, Errc::Denied);
    }

    void batch_isOfNoConcernToAnAuthorityThatEnds()
    {
        SlowAuthority f;
        VERIFY_OK(f.serveBoth());
        const Entry entry = f.entry(u"/app/meter"_s, f.joined.id, 1'000);
        const Agent agent = *f.authority->agent(f.joined.id);
        const DeviceKey key;
        bool isDone = false;
        f.slowness->delayMs.store(5);
        f.authority->issueX509Later(agent, QList<SvidRequest>(20, {entry.id, key.csr}),
                                    [&](const auto &) { isDone = true; });
        f.service.reset();
        f.authority.reset();
        QCoreApplication::processEvents();
        QVERIFY(!isDone);
    }

    void denyList_isWatchedOnceByAnAgent()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const auto first = f.as(f.chip);
        const auto second = f.as(f.chip);
        const auto other = f.as(f.joined);
        const auto begin = [](grpc::Channel &channel) {
            auto stream = open(channel, method::trust("WatchDenyList"));
            stream->call->send({});
            (void)QTest::qWaitFor([&] { return stream->messages.size() == 1; }, kPatience);
            return stream;
        };
        const auto old = begin(*first);
        const auto others = begin(*other);
        const auto fresh = begin(*second);
        QTRY_VERIFY_WITH_TIMEOUT(old->end.has_value(), kPatience);
        QCOMPARE(old->end->code, grpc::StatusCode::Aborted);
        VERIFY_OK(f.authority->enroll(ekHashOf(3), factsOf(u"hvac-003"_s), f.actor));
        VERIFY_OK(f.authority->revoke(u"hvac-003"_s, u"stolen"_s, f.actor));
        QTRY_VERIFY_WITH_TIMEOUT(fresh->messages.size() >= 2 && others->messages.size() >= 2, kPatience);
        QVERIFY(!fresh->end && !others->end);
        QCOMPARE(old->messages.size(), 1);
    }

    /// Whoever does not read is sent the newest list when it reads again, and not every one between.
    void denyList_waitsForWhoeverDoesNotRead()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const DeviceKey partnerKey;
        const TrustDomain partner = *TrustDomain::parse(u"cloud.example"_s);
        tls::BundleDocument bundle = *f.authority->bundle();
        bundle.jwtAuthorities = {{u"k"_s, partnerKey.signer->publicKeyDer()}};
        VERIFY_OK(f.authority->setFederatedBundle(partner, bundle, f.actor));
        FederationRelationship relationship;
        relationship.domain = partner;
        relationship.url = u"https://cloud.example/"_s;
        relationship.profile = EndpointProfile::HttpsWeb;
        VERIFY_OK(f.authority->setRelationship(relationship, f.actor));
        const auto publish = [&](quint64 sequence) {
            tls::DenyList list{partner, sequence, f.clock.now(), {}};
            for (int i = 0; i < 1'500; ++i)
                list.entries.append({*SpiffeId::parse(u"spiffe://cloud.example/agent/%1"_s.arg(i)),
                                     {},
                                     ekHashOf(i),
                                     f.clock.now(),
                                     u"stolen"_s,
                                     {}});
            return f.authority->setFederatedDenyList(partner, *tls::signDenyList(list, u"k"_s, *partnerKey.signer),
                                                     f.actor);
        };
        VERIFY_OK(publish(1));
        const auto channel = f.as(f.chip);
        const auto watch = open(*channel, method::trust("WatchDenyList"));
        watch->call->send({});
        QTRY_COMPARE_WITH_TIMEOUT(watch->messages.size(), 2, kPatience); // ours and theirs
        watch->call->pauseReceiving(true);
        for (quint64 sequence = 2; sequence <= 20; ++sequence) {
            VERIFY_OK(publish(sequence));
            for (int i = 0; i < 20; ++i)
                QCoreApplication::processEvents();
        }
        watch->call->pauseReceiving(false);
        const auto newest = [&] {
            const auto document = lintel::spire::parse<own::DenyListDocument>(watch->messages.last());
            return document && document->trust_domain() == "cloud.example"
                   && QByteArray::fromStdString(document->jws()) == f.authority->federatedDenyLists().value(partner);
        };
        QTRY_VERIFY_WITH_TIMEOUT(newest(), kPatience);
        QVERIFY2(watch->messages.size() < 15, qPrintable(QString::number(watch->messages.size())));
        QVERIFY(!watch->end);
    }

    void reportOfABroker_isOneTransaction()
    {
        constexpr int kDevices = 20;
        FaultyVfs disk;
        AuthorityFixture f;
        f.config.vfs = disk.name();
        VERIFY_OK(f.open());
        QHash<SpiffeId, Timestamp> accepted;
        for (int i = 1; i <= kDevices; ++i) {
            const QString name = u"hvac-%1"_s.arg(i);
            VERIFY_OK(f.authority->enroll(ekHashOf(i), factsOf(name), f.actor));
            VERIFY_OK(f.authority->revoke(name, u"stolen"_s, f.actor));
            accepted.insert(f.id(u"/agent/"_s + name), f.clock.now());
        }
        accepted.insert(f.id(u"/agent/of-an-older-list"_s), f.clock.now());
        const int before = disk.operations();
        VERIFY_OK(f.authority->noteLastAccepted({{f.id(u"/agent/hvac-1"_s), f.clock.now() - 1s}}, f.actor));
        const int ofOne = disk.operations() - before;
        VERIFY_OK(f.authority->noteLastAccepted(accepted, f.actor));
        const int ofAll = disk.operations() - before - ofOne;
        QVERIFY2(ofAll < kDevices / 2 * ofOne, qPrintable(u"%1 of one, %2 of all"_s.arg(ofOne).arg(ofAll)));
        for (int i = 1; i <= kDevices; ++i)
            QCOMPARE(f.authority->device(u"hvac-%1"_s.arg(i))->lastAcceptedAt, f.clock.now());
    }

    void reason_thatIsTooLongIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const QString tooLong(501, u'x');
        const auto revoked = f.authority->revoke(u"hvac-001"_s, tooLong, f.actor);
        VERIFY_ERROR(revoked, Errc::OutOfRange);
        QVERIFY2(revoked.error().message.contains("500"_L1), qPrintable(revoked.error().message));
        QCOMPARE(f.authority->device(u"hvac-001"_s)->state, DeviceState::Approved);
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(7), a.key)), Errc::Unavailable);
        VERIFY_ERROR(f.authority->reject(ekHashOf(7), tooLong, f.actor), Errc::OutOfRange);
        QCOMPARE(f.authority->device(ekHashOf(7))->state, DeviceState::Pending);
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, tooLong.left(500), f.actor));
    }

    /// The whole trail is looked at once; after that, what is new and what is shown.
    void auditTrail_isCheckedWhereItIsLookedAt()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        for (int i = 1; i <= 5; ++i)
            VERIFY_OK(f.authority->enroll(ekHashOf(i), factsOf(u"hvac-%1"_s.arg(i)), f.actor));
        const auto all = f.authority->audit();
        VERIFY_OK(all);
        VERIFY_OK(f.authority->checkAudit(*all));
        const auto with = [&all](qsizetype index, auto change) {
            QList<AuditRecord> listed = *all;
            change(listed[index]);
            return listed;
        };
        VERIFY_ERROR(f.authority->checkAudit(with(2, [](AuditRecord &r) { r.details = u"else"_s; })), Errc::Io);
        VERIFY_ERROR(f.authority->checkAudit(with(2, [](AuditRecord &r) { r.hash[0] = char(r.hash[0] ^ 1); })),
                     Errc::Io);
        // Some of them, as a filter finds them.
        VERIFY_OK(f.authority->checkAudit({all->at(1), all->at(3)}));
        VERIFY_OK(f.authority->enroll(ekHashOf(9), factsOf(u"hvac-9"_s), f.actor));
        VERIFY_OK(f.authority->checkAudit(*f.authority->audit(all->last().number)));
        VERIFY_OK(f.authority->checkAudit());
    }
};

QTEST_GUILESS_MAIN(TestAuthorityFloods)
#include "tst_authority_floods.moc"
