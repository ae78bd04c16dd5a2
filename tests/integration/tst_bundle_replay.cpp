// A trust bundle with a lower number than the one before: nobody who holds one takes it, of the own trust
// domain or of a federated one, also after a restart. The holders are an agent, the files of a broker,
// and the Workload API; tst_broker_guard and tst_authority_state have the broker's plugin and the
// authority. What is right goes on: a higher number, an authority that was put back from its backup, and a
// federation that begins anew.
#include "authority/store.h"
#include "fakes/live_authority.h"
#include "spire/broker_trust_keeper.h"
#include "tls/certificate_writer.h"
#include "workload-api/spire_workload_issuer.h"

#include <QScopeGuard>
#include <QSignalSpy>
#include <QTest>

#include <unistd.h>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr int kPatience = 40'000;
constexpr auto kStays = "stays as it was"_L1;

tls::BundleDocument partnersBundle(const TrustDomain &partner, quint64 number)
{
    const auto key = *tls::signingKeyFrom(*tls::newSoftwareKey());
    tls::AuthorityCertificate root;
    root.domain = partner;
    root.publicKeyDer = key->publicKeyDer();
    root.notBefore = SystemClock().now() - 1h;
    root.notAfter = SystemClock().now() + 24h;
    tls::BundleDocument document;
    document.x509Authorities = {tls::writeAuthority(root, nullptr, *key)->der};
    document.sequence = number;
    return document;
}

} // namespace

class TestBundleReplay : public QObject
{
    Q_OBJECT

    const TrustDomain m_own = *TrustDomain::parse(u"building-1.smart.local");
    const TrustDomain m_partner = *TrustDomain::parse(u"partner.example");
    std::unique_ptr<LiveAuthority> m_authority;
    std::unique_ptr<spire::EmbeddedIdentitySource> m_agent;
    QStringList m_problems;
    int m_solved = 0;

    [[nodiscard]] quint64 number() const { return m_authority->authority->bundle()->sequence.value_or(0); }
    /// As when somebody copies an old database back, or forges one.
    void setNumber(quint64 number)
    {
        m_authority->close();
        {
            const auto store = authority::Store::open(m_authority->config.stateDir);
            QVERIFY(store);
            QVERIFY((*store)->setMeta(u"bundle.sequence"_s, QString::number(number)));
        }
        QVERIFY(m_authority->open());
        QCOMPARE(this->number(), number);
    }
    void setPartner(const tls::BundleDocument &bundle)
    {
        const auto set = m_authority->authority->setFederatedBundle(m_partner, bundle, m_authority->actor, true);
        QVERIFY2(set, set ? "" : qPrintable(set.error().message));
    }
    void listen()
    {
        m_problems.clear();
        connect(m_agent.get(), &spire::EmbeddedIdentitySource::problemFound, this,
                [this](const Error &what) { m_problems << what.message; });
        connect(m_agent.get(), &spire::EmbeddedIdentitySource::problemSolved, this, [this] { ++m_solved; });
    }
    /// One errand more has come to its end.
    void fetchAgain()
    {
        const quint64 before = m_agent->status().rotations;
        m_agent->hurry();
        QTRY_VERIFY_WITH_TIMEOUT(m_agent->status().rotations > before, kPatience);
    }
    [[nodiscard]] tls::BundleDocument held(const TrustDomain &domain) const
    {
        return m_agent->documents().value(domain);
    }
    [[nodiscard]] bool hasSaid(const TrustDomain &domain) const
    {
        return m_problems.join(u'\n').contains(domain.name() + u' ' + kStays);
    }

private Q_SLOTS:
    void init()
    {
        m_authority = std::make_unique<LiveAuthority>(1h);
        QVERIFY(m_authority->open());
        m_agent = m_authority->joiner(u"gateway"_s, u"gateway"_s);
        QVERIFY(m_agent);
        m_solved = 0;
        listen();
        QTRY_VERIFY_WITH_TIMEOUT(m_agent->current(), kPatience);
    }
    void cleanup()
    {
        m_agent.reset();
        m_authority.reset();
    }

    void agent_keepsItsBundle()
    {
        const quint64 first = number();
        QVERIFY(first > 1);
        QCOMPARE(held(m_own).sequence, std::optional(first));
        setNumber(first - 1);
        fetchAgain();
        QCOMPARE(held(m_own).sequence, std::optional(first));
        QTRY_VERIFY_WITH_TIMEOUT(hasSaid(m_own), kPatience);

        // It has forgotten nothing when it starts again.
        m_agent.reset();
        m_agent = m_authority->restarted(u"gateway"_s);
        listen();
        QTRY_VERIFY_WITH_TIMEOUT(m_agent->current(), kPatience);
        QCOMPARE(held(m_own).sequence, std::optional(first));
        QTRY_VERIFY_WITH_TIMEOUT(hasSaid(m_own), kPatience);
        QCOMPARE(m_solved, 0);

        setNumber(first + 1);
        fetchAgain();
        QCOMPARE(held(m_own).sequence, std::optional(first + 1));
        QTRY_COMPARE_WITH_TIMEOUT(m_solved, 1, kPatience);
    }

    /// Its state is lost, and an installer has put the bundle of the new one on the device.
    void agent_followsAnAuthorityThatWasMadeAnew()
    {
        const SoftwareTpm tpm;
        m_agent = m_authority->agent(u"hvac-001"_s, u"sensor"_s, tpm);
        QVERIFY(m_agent);
        QTRY_VERIFY_WITH_TIMEOUT(m_agent->current(), kPatience);
        const QByteArray oldRoot = held(m_own).x509Authorities.value(0);
        m_agent.reset();
        m_authority->close();
        QVERIFY(QDir(m_authority->config.stateDir).removeRecursively());
        QVERIFY(m_authority->open()); // which writes the file
        m_agent = m_authority->agent(u"hvac-001"_s, u"sensor"_s, tpm);
        QVERIFY(m_agent);
        QTRY_VERIFY2_WITH_TIMEOUT(m_agent->current(), qPrintable(m_agent->status().sentence), kPatience);
        QVERIFY(!held(m_own).x509Authorities.contains(oldRoot));
    }

    /// As when an old file is put on all devices again.
    void agent_isNotLockedOutByAFileOfNobody()
    {
        const auto text = tls::printBundle(partnersBundle(m_own, 1));
        QVERIFY(text);
        QVERIFY(tls::writePublicFile(m_authority->bundleFile(), *text));
        m_agent.reset();
        m_agent = m_authority->restarted(u"gateway"_s);
        QTRY_VERIFY2_WITH_TIMEOUT(m_agent->current(), qPrintable(m_agent->status().sentence), kPatience);
    }

    void agent_keepsAFederatedBundle()
    {
        const auto newer = partnersBundle(m_partner, 9);
        const auto older = partnersBundle(m_partner, 3);
        setPartner(newer);
        fetchAgain();
        QCOMPARE(held(m_partner), newer);
        setPartner(older);
        fetchAgain();
        QCOMPARE(held(m_partner), newer);
        QCOMPARE((*m_agent->current())->bundles.value(m_partner), newer.x509Authorities);
        QTRY_VERIFY_WITH_TIMEOUT(hasSaid(m_partner), kPatience);

        m_agent.reset();
        m_agent = m_authority->restarted(u"gateway"_s);
        listen();
        QTRY_VERIFY_WITH_TIMEOUT(m_agent->current(), kPatience);
        QCOMPARE(held(m_partner), newer);
        QTRY_VERIFY_WITH_TIMEOUT(hasSaid(m_partner), kPatience);

        // The federation ends and begins anew, at any number; that is what an operator does who means it.
        QVERIFY(m_authority->authority->deleteFederatedBundle(m_partner, m_authority->actor, true));
        fetchAgain();
        QVERIFY(!m_agent->documents().contains(m_partner));
        setPartner(older);
        fetchAgain();
        QCOMPARE(held(m_partner), older);
    }

    void agent_believesAnAuthorityThatWasPutBack()
    {
        // One that came by a token and has renewed since the backup needs another token, so: by a chip.
        SoftwareTpm chip;
        const auto endsFirst = qScopeGuard([this] { m_agent.reset(); });
        m_agent = m_authority->agent(u"hvac-001"_s, u"sensor"_s, chip);
        QVERIFY(m_agent);
        listen();
        QTRY_VERIFY_WITH_TIMEOUT(m_agent->current(), kPatience);
        const QString copy = m_authority->dir.filePath(u"backup"_s);
        QVERIFY(m_authority->authority->backup(copy, m_authority->actor));
        setNumber(number() + 1);
        fetchAgain();
        const quint64 last = number();
        QCOMPARE(held(m_own).sequence, std::optional(last));

        m_authority->close();
        QVERIFY(QDir(m_authority->config.stateDir).removeRecursively());
        const auto restored = authority::restoreBackup(copy, m_authority->config, {}, m_authority->clock.now() + 10s);
        QVERIFY2(restored, restored ? "" : qPrintable(restored.error().message));
        QVERIFY(m_authority->open());
        QVERIFY(number() > last);
        fetchAgain();
        QCOMPARE(held(m_own).sequence, std::optional(number()));
        QCOMPARE(m_problems, QStringList());
    }

    /// The folder of the broker's files outlives the agent's own.
    void brokersFiles_stay()
    {
        setPartner(partnersBundle(m_partner, 3));
        fetchAgain();
        const auto there = partnersBundle(m_partner, 9);
        auto own = *m_authority->authority->bundle();
        own.sequence = number() + 5;
        spire::BrokerTrustOptions options;
        options.authority = m_authority->address();
        options.authorityId = m_authority->serverId();
        options.broker = m_authority->id(u"/broker"_s);
        options.bundlesDir = m_authority->dir.filePath(u"bundles"_s);
        options.denyListsDir = m_authority->dir.filePath(u"deny"_s);
        options.identityFile = m_authority->dir.filePath(u"broker.pem"_s);
        const auto fileOf = [&](const TrustDomain &domain) {
            return u"%1/%2.json"_s.arg(options.bundlesDir, domain.name());
        };
        QVERIFY(QDir().mkpath(options.bundlesDir));
        QVERIFY(tls::writePublicFile(fileOf(m_own), *tls::printBundle(own)));
        QVERIFY(tls::writePublicFile(fileOf(m_partner), *tls::printBundle(there)));

        spire::BrokerTrustKeeper keeper(options, *m_agent, {}, m_authority->clock);
        QStringList troubles;
        connect(&keeper, &spire::BrokerTrustKeeper::trouble, this,
                [&troubles](const Error &what) { troubles << what.message; });
        keeper.start();
        QTRY_COMPARE_WITH_TIMEOUT(keeper.status().certificate, SvidKeeper::State::Valid, kPatience);
        QVERIFY2(troubles.join(u'\n').contains(kStays), qPrintable(troubles.join(u'\n')));
        QVERIFY(keeper.status().problem.contains(kStays));
        QCOMPARE(*tls::readWholeFile(fileOf(m_own)), *tls::printBundle(own));
        QCOMPARE(*tls::readWholeFile(fileOf(m_partner)), *tls::printBundle(there));

        setNumber(*own.sequence + 1);
        const auto newer = partnersBundle(m_partner, 10);
        setPartner(newer);
        m_agent->hurry();
        QTRY_COMPARE_WITH_TIMEOUT(*tls::readWholeFile(fileOf(m_partner)), *tls::printBundle(newer), kPatience);
        QCOMPARE(tls::parseBundle(*tls::readWholeFile(fileOf(m_own)))->sequence, std::optional(number()));
        QVERIFY(!keeper.status().problem.contains(kStays));
    }

    void workloadApi_keepsWhatItServes()
    {
        const auto newer = partnersBundle(m_partner, 9);
        setPartner(newer);
        authority::Entry entry;
        entry.spiffeId = m_authority->id(u"/reports"_s);
        entry.parentId = m_agent->agentSvid()->id;
        entry.selectors = {{u"unix"_s, u"uid:%1"_s.arg(::getuid())}};
        entry.federatesWith = {m_partner};
        QVERIFY(m_authority->authority->createEntry(entry, m_authority->actor));
        workloads::SpireIssuerOptions options;
        options.authority = m_authority->address();
        options.domain = m_own;
        options.period = 100ms;
        options.tls = [this] { return spire::tlsAsAgent(*m_agent, m_authority->serverId()); };
        workloads::SpireWorkloadIssuer issuer(options);
        QSignalSpy problems(&issuer, &workloads::SpireWorkloadIssuer::problemFound);
        QSignalSpy solved(&issuer, &workloads::SpireWorkloadIssuer::problemSolved);
        const auto said = [&problems](const TrustDomain &domain) {
            return std::any_of(problems.cbegin(), problems.cend(), [&domain](const QList<QVariant> &one) {
                return one.value(0).value<Error>().message.contains(domain.name() + u' ' + kStays);
            });
        };
        QTRY_COMPARE_WITH_TIMEOUT(issuer.bundles().value(m_partner), newer, kPatience);

        setPartner(partnersBundle(m_partner, 3));
        QTRY_VERIFY_WITH_TIMEOUT(said(m_partner), kPatience);
        QCOMPARE(issuer.bundles().value(m_partner), newer);
        QVERIFY(issuer.ready());
        const auto newest = partnersBundle(m_partner, 10);
        setPartner(newest);
        QTRY_COMPARE_WITH_TIMEOUT(issuer.bundles().value(m_partner), newest, kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(!solved.isEmpty(), kPatience);

        const quint64 first = number();
        setNumber(first - 1);
        QTRY_VERIFY_WITH_TIMEOUT(said(m_own), kPatience);
        QCOMPARE(issuer.bundles().value(m_own).sequence, std::optional(first));
    }
};

QTEST_GUILESS_MAIN(TestBundleReplay)
#include "tst_bundle_replay.moc"
