// lintel-authority and Lintel's agents with SPIRE's own programs: a real spire-agent takes its
// identities from our authority and serves them to our Workload API client, spire-server's command
// line manages our authority, and our agent attests to a real spire-server.
#include "fakes/authority_under_test.h"
#include "fakes/software_tpm.h"
#include "fakes/spire_programs.h"
#include "ports/system_clock.h"
#include "spire/embedded_identity_source.h"
#include "spire/join_token_attestor.h"
#include "spire/workload_identity_source.h"
#include "tls/identity_files.h"
#include "tls/x509.h"
#include "tpm/tpm_attestor.h"

#include <QFile>
#include <QJsonArray>
#include <QStandardPaths>
#include <QTest>

#include <unistd.h>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {

constexpr int kSlow = 90'000;
constexpr auto kDomain = "building-1.smart.local";
// SPIRE's agent looks every five seconds whether half of a life is over.
constexpr auto kShortLives = "lifetimes: {x509_svid: 30s}\n";
constexpr int kLifeSeconds = 30;

SpiffeId id(const QString &path)
{
    return *SpiffeId::parse(u"spiffe://"_s + QLatin1StringView(kDomain) + path);
}

/// "Token: 6f2a…"
QString tokenIn(const QString &text)
{
    return text.section(u"Token: "_s, 1).section(u'\n', 0, 0).trimmed();
}

QString agentWithToken(const QString &token)
{
    return id(u"/spire/agent/join_token/"_s + token).toString();
}

QStringList thisUser()
{
    return {u"-selector"_s, u"unix:uid:%1"_s.arg(::getuid())};
}

/// Its only one, or null.
QJsonObject firstOf(const QJsonObject &answer, QLatin1StringView list)
{
    const QJsonArray all = answer.value(list).toArray();
    return all.size() == 1 ? all.first().toObject() : QJsonObject();
}

QString sentenceOf(const IdentitySource &source)
{
    return source.status().sentence;
}

QString ekHashOf(const SoftwareTpm &chip)
{
    const auto device = TpmDevice::open({chip.tcti(), chip.stateDir(), EndorsementChoice::Automatic});
    const auto ek = device ? (*device)->endorsement() : Result<TpmEndorsement>(device.error());
    return ek ? ek->hash : QString();
}

void verifySvid(const IdentitySource &source, const SpiffeId &wanted)
{
    const auto snapshot = source.current();
    QVERIFY2(snapshot, qPrintable(sentenceOf(source)));
    QCOMPARE((*snapshot)->svid.id, wanted);
    const auto verified = tls::verifyPeer((*snapshot)->svid.chainDer, wanted, (*snapshot)->bundles,
                                          tls::PeerRole::Client, SystemClock().now());
    QVERIFY2(verified, qPrintable(verified ? QString() : verified.error().message));
}

/// A spire-agent of our authority, whose Workload API serves `workload` to the user of this test.
class AgentOfOurs
{
public:
    AgentOfOurs(const AuthorityUnderTest &authority, const QString &tpmSocket = {})
        : m_bundle(authority.file(u"for-spire.json"_s))
    {
        (void)authority.ctl({u"bundle"_s, u"show"_s, u"--out"_s, m_bundle});
        agent = std::make_unique<SpireAgent>(
            SpireAgent::Options{authority.address(), authority.domain(), m_bundle, tpmSocket});
    }
    [[nodiscard]] QString endpoint() const { return u"unix://"_s + agent->socket(); }

    std::unique_ptr<SpireAgent> agent;

private:
    QString m_bundle;
};

} // namespace

class TestSpireInterop : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        const SpirePrograms spire = SpirePrograms::fromEnvironment();
        for (const QString &program : {spire.agent, spire.server})
            if (program.isEmpty() || !QFile::exists(program))
                QSKIP("LINTEL_SPIRE_AGENT and LINTEL_SPIRE_SERVER do not name SPIRE's programs; this project does not "
                      "bring them");
    }

    void spireAgent_servesIdentitiesOfOurAuthorityUntilItIsBanned()
    {
        AuthorityUnderTest authority(QString::fromLatin1(kDomain), QString::fromLatin1(kShortLives));
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        // A second domain, whose bundle comes along.
        AuthorityUnderTest cloud(u"smart-building.cloud"_s);
        QVERIFY2(cloud.start(), qPrintable(cloud.log()));
        const QString cloudBundle = authority.file(u"cloud.json"_s);
        QCOMPARE(cloud.ctl({u"bundle"_s, u"show"_s, u"--out"_s, cloudBundle}).exitCode, 0);
        const auto run = [&authority](const QStringList &arguments) {
            return spireServer(arguments, authority.socket());
        };
        auto said = run({u"bundle"_s, u"set"_s, u"-id"_s, u"spiffe://smart-building.cloud"_s, u"-format"_s, u"spiffe"_s,
                         u"-path"_s, cloudBundle});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));

        // A name for the host; what runs on it belongs to that name.
        const QString host = id(u"/host/rack-1"_s).toString();
        said = run({u"token"_s, u"generate"_s, u"-spiffeID"_s, host});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        const QString token = tokenIn(said.text);
        const SpiffeId workload = id(u"/agent/hvac-101"_s);
        said = run(QStringList{u"entry"_s, u"create"_s, u"-parentID"_s, host, u"-spiffeID"_s, workload.toString(),
                               u"-federatesWith"_s, u"spiffe://smart-building.cloud"_s}
                   + thisUser());
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));

        AgentOfOurs spire(authority);
        spire.agent->start(token);
        lintel::spire::WorkloadIdentitySource source(spire.endpoint(), workload);
        QTRY_VERIFY2_WITH_TIMEOUT(source.current(), qPrintable(sentenceOf(source) + spire.agent->log()), kSlow);
        verifySvid(source, workload);
        QCOMPARE((*source.current())->bundles.size(), 2);
        QTRY_VERIFY2_WITH_TIMEOUT(source.status().rotations >= 2, qPrintable(spire.agent->log()), kSlow);
        verifySvid(source, workload);

        // JWT-SVIDs, by SPIRE's own client.
        const SpireOutcome jwt = spire.agent->command({u"api"_s, u"fetch"_s, u"jwt"_s, u"-audience"_s, u"lintel"_s});
        QVERIFY2(jwt.exitCode == 0 && jwt.text.contains(workload.toString()), qPrintable(jwt.text));
        const QString svid = jwt.text.section(u"):"_s, 1).trimmed().section(u'\n', 0, 0).trimmed();
        const SpireOutcome valid =
            spire.agent->command({u"api"_s, u"validate"_s, u"jwt"_s, u"-audience"_s, u"lintel"_s, u"-svid"_s, svid});
        QVERIFY2(valid.exitCode == 0, qPrintable(valid.text));

        authority.kill();
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        const quint64 rotations = source.status().rotations;
        QTRY_VERIFY2_WITH_TIMEOUT(source.status().rotations > rotations, qPrintable(spire.agent->log()), kSlow);
        verifySvid(source, workload);
        // The agent itself renews as well, and starts again without the token.
        QTRY_VERIFY2_WITH_TIMEOUT(spire.agent->log().contains(u"Renewing X509-SVID"_s)
                                      || spire.agent->log().contains(u"Successfully rotated agent SVID"_s),
                                  qPrintable(spire.agent->log()), kSlow);
        spire.agent->kill();
        spire.agent->start();
        const quint64 before = source.status().rotations;
        QTRY_VERIFY2_WITH_TIMEOUT(source.status().rotations > before, qPrintable(spire.agent->log()), kSlow);

        said = run({u"agent"_s, u"ban"_s, u"-spiffeID"_s, agentWithToken(token)});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        QTRY_VERIFY2_WITH_TIMEOUT(!spire.agent->isRunning(), qPrintable(spire.agent->log()), kSlow);
        QVERIFY2(spire.agent->log().contains(u"banned"_s), qPrintable(spire.agent->log()));
        QTRY_VERIFY_WITH_TIMEOUT(!source.current(), kSlow);
        QVERIFY2(sentenceOf(source).contains(u"expired"_s), qPrintable(sentenceOf(source)));
        const auto banned = spireServerJson({u"agent"_s, u"list"_s, u"-banned"_s, u"true"_s}, authority.socket());
        QCOMPARE(firstOf(banned.json, "agents"_L1).value("banned"_L1).toBool(), true);
    }

    void spireAgent_attestsToOurAuthorityWithItsTpm()
    {
        needTpmPlugins();
        if (QTest::currentTestFailed() || m_lacksTpm)
            QSKIP("LINTEL_SPIRE_TPM_PLUGIN names no plugins, or swtpm is not installed");
        TpmVendor vendor;
        SoftwareTpm chip(&vendor);
        AuthorityUnderTest authority(
            QString::fromLatin1(kDomain),
            QString::fromLatin1(kShortLives)
                + u"attestation: {first_seen: refuse, vendor_ca_dir: \"%1\"}\n"_s.arg(vendor.certificatesDir()));
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        const QString hash = ekHashOf(chip);
        const SpiffeId workload = id(u"/agent/hvac-102"_s);
        const QString parent = id(u"/spire/agent/tpm/"_s + hash).toString();
        const auto said = spireServer(
            QStringList{u"entry"_s, u"create"_s, u"-parentID"_s, parent, u"-spiffeID"_s, workload.toString()}
                + thisUser(),
            authority.socket());
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));

        // Not before its chip is enrolled.
        AgentOfOurs stranger(authority, chip.tcti().section(u'=', 1));
        stranger.agent->start();
        QTRY_VERIFY2_WITH_TIMEOUT(authority.ctlText({u"authority"_s, u"refusals"_s}).contains(u"not enrolled"_s)
                                      || stranger.agent->log().contains(u"not enrolled"_s),
                                  qPrintable(stranger.agent->log()), kSlow);
        QVERIFY(!stranger.agent->log().contains(u"Node attestation was successful"_s));
        stranger.agent->kill();
        QCOMPARE(authority
                     .ctl({u"enroll"_s, u"--hash"_s, hash, u"--name"_s, u"rack-2"_s, u"--kind"_s, u"host"_s,
                           u"--site"_s, u"b-1"_s})
                     .exitCode,
                 0);
        AgentOfOurs spire(authority, chip.tcti().section(u'=', 1));
        spire.agent->start();
        lintel::spire::WorkloadIdentitySource source(spire.endpoint(), workload);
        QTRY_VERIFY2_WITH_TIMEOUT(source.current(), qPrintable(sentenceOf(source) + spire.agent->log()), kSlow);
        QTRY_VERIFY2_WITH_TIMEOUT(source.status().rotations >= 2, qPrintable(spire.agent->log()), kSlow);
        verifySvid(source, workload);
        // What is the device's own goes with its agent's key, which SPIRE's agent uses for nothing else.
        QVERIFY2(!spire.agent->log().contains(id(u"/agent/rack-2"_s).toString()), qPrintable(spire.agent->log()));
        const auto shown = authority.ctl({u"device"_s, u"show"_s, u"rack-2"_s});
        QCOMPARE(shown.json.value("attestation"_L1).toString(), u"tpm"_s);

        // Evicted, it attests again by itself; revoked, it does not.
        QCOMPARE(spireServer({u"agent"_s, u"evict"_s, u"-spiffeID"_s, parent}, authority.socket()).exitCode, 0);
        QTRY_COMPARE_WITH_TIMEOUT(
            spireServerJson({u"agent"_s, u"count"_s}, authority.socket()).json.value("count"_L1).toInt(), 1, kSlow);
        QCOMPARE(authority.ctl({u"device"_s, u"revoke"_s, u"rack-2"_s, u"--reason"_s, u"stolen"_s}).exitCode, 0);
        QTRY_VERIFY2_WITH_TIMEOUT(!spire.agent->isRunning() || !source.current(), qPrintable(spire.agent->log()),
                                  kSlow);
    }

    void commandLine_managesAgentsAndEntriesOfOurAuthority()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        const auto run = [&authority](const QStringList &arguments) {
            return spireServer(arguments, authority.socket());
        };
        const auto ask = [&authority](const QStringList &arguments) {
            return spireServerJson(arguments, authority.socket());
        };
        auto said = run({u"healthcheck"_s});
        QVERIFY2(said.exitCode == 0 && said.text.contains(u"healthy"_s), qPrintable(said.text));
        said = run({u"healthcheck"_s, u"-verbose"_s});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));

        // Agents
        QCOMPARE(ask({u"agent"_s, u"count"_s}).json.value("count"_L1).toInt(-1), 0);
        said = run({u"token"_s, u"generate"_s, u"-ttl"_s, u"120"_s});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        const QString token = tokenIn(said.text);
        AgentOfOurs spire(authority);
        spire.agent->start(token);
        QTRY_COMPARE_WITH_TIMEOUT(ask({u"agent"_s, u"count"_s}).json.value("count"_L1).toInt(), 1, kSlow);
        QTRY_VERIFY_WITH_TIMEOUT(
            !firstOf(ask({u"agent"_s, u"list"_s}).json, "agents"_L1).value("agent_version"_L1).toString().isEmpty(),
            kSlow);
        const QString agent = agentWithToken(token);
        said = run({u"agent"_s, u"list"_s});
        QVERIFY2(said.exitCode == 0 && said.text.contains(agent) && said.text.contains(u"join_token"_s),
                 qPrintable(said.text));
        for (const QStringList &filter :
             {QStringList{u"-attestationType"_s, u"join_token"_s}, QStringList{u"-banned"_s, u"false"_s},
              QStringList{u"-canReattest"_s, u"false"_s},
              QStringList{u"-expiresBefore"_s, u"2099-01-01 00:00:00 +0000 -00"_s}}) {
            const auto found = ask(QStringList{u"agent"_s, u"count"_s} + filter);
            QVERIFY2(found.json.value("count"_L1).toInt() == 1, qPrintable(filter.join(u' ') + found.text));
        }
        for (const QStringList &filter :
             {QStringList{u"-attestationType"_s, u"tpm"_s}, QStringList{u"-banned"_s, u"true"_s},
              QStringList{u"-expiresBefore"_s, u"2020-01-01 00:00:00 +0000 -00"_s},
              QStringList{u"-selector"_s, u"tpm:pub_hash:00"_s}}) {
            const auto found = ask(QStringList{u"agent"_s, u"count"_s} + filter);
            QVERIFY2(found.json.value("count"_L1).toInt(-1) == 0, qPrintable(filter.join(u' ') + found.text));
        }
        said = run({u"agent"_s, u"show"_s, u"-spiffeID"_s, agent});
        QVERIFY2(said.exitCode == 0 && said.text.contains(agent), qPrintable(said.text));
        QVERIFY(run({u"agent"_s, u"show"_s, u"-spiffeID"_s, agentWithToken(u"nobody"_s)}).exitCode != 0);
        said = run({u"agent"_s, u"evict"_s, u"-spiffeID"_s, agent});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        QCOMPARE(ask({u"agent"_s, u"count"_s}).json.value("count"_L1).toInt(-1), 0);
        // Whoever has nothing but a spent token ends there.
        QTRY_VERIFY2_WITH_TIMEOUT(!spire.agent->isRunning(), qPrintable(spire.agent->log()), kSlow);
        QVERIFY(run({u"agent"_s, u"ban"_s, u"-spiffeID"_s, agent}).exitCode != 0);
        said = run({u"agent"_s, u"purge"_s, u"-expiredFor"_s, u"1h"_s});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));

        // Entries
        const QString parent = id(u"/host/rack-1"_s).toString();
        const QString workload = id(u"/agent/hvac-103"_s).toString();
        const QStringList wanted{u"-parentID"_s, parent, u"-spiffeID"_s, workload, u"-selector"_s, u"unix:uid:1000"_s};
        said =
            ask(QStringList{u"entry"_s, u"create"_s, u"-x509SVIDTTL"_s, u"600"_s, u"-jwtSVIDTTL"_s, u"60"_s, u"-dns"_s,
                            u"hvac-103.local"_s, u"-hint"_s, u"indoor"_s, u"-entryExpiry"_s, u"4000000000"_s}
                + wanted);
        const QJsonObject created = firstOf(said.json, "results"_L1).value("entry"_L1).toObject();
        const QString entry = created.value("id"_L1).toString();
        QVERIFY2(said.exitCode == 0 && !entry.isEmpty(), qPrintable(said.text));
        QCOMPARE(created.value("x509_svid_ttl"_L1).toInt(), 600);
        QCOMPARE(created.value("hint"_L1).toString(), u"indoor"_s);
        said = run(QStringList{u"entry"_s, u"create"_s} + wanted);
        QVERIFY2(said.exitCode != 0 && said.text.contains(u"already"_s), qPrintable(said.text));
        said =
            run(QStringList{u"entry"_s, u"create"_s, u"-entryID"_s, u"chosen-by-hand"_s, u"-parentID"_s, parent,
                            u"-spiffeID"_s, id(u"/agent/hvac-104"_s).toString(), u"-selector"_s, u"unix:uid:1001"_s});
        QVERIFY2(said.exitCode == 0 && said.text.contains(u"chosen-by-hand"_s), qPrintable(said.text));
        QCOMPARE(ask({u"entry"_s, u"count"_s}).json.value("count"_L1).toInt(), 2);
        for (const QStringList &filter :
             {QStringList{u"-spiffeID"_s, workload}, QStringList{u"-selector"_s, u"unix:uid:1000"_s},
              QStringList{u"-hint"_s, u"indoor"_s}, QStringList{u"-entryID"_s, entry}}) {
            const auto found = ask(QStringList{u"entry"_s, u"show"_s} + filter);
            QVERIFY2(firstOf(found.json, "entries"_L1).value("id"_L1).toString() == entry,
                     qPrintable(filter.join(u' ') + found.text));
        }
        QCOMPARE(ask({u"entry"_s, u"count"_s, u"-parentID"_s, parent}).json.value("count"_L1).toInt(), 2);
        QCOMPARE(ask({u"entry"_s, u"count"_s, u"-downstream"_s}).json.value("count"_L1).toInt(-1), 0);
        said = ask(QStringList{u"entry"_s, u"update"_s, u"-entryID"_s, entry, u"-x509SVIDTTL"_s, u"900"_s} + wanted);
        const QJsonObject updated = firstOf(said.json, "results"_L1).value("entry"_L1).toObject();
        QVERIFY2(said.exitCode == 0 && updated.value("x509_svid_ttl"_L1).toInt() == 900, qPrintable(said.text));
        QVERIFY(updated.value("revision_number"_L1).toString() != created.value("revision_number"_L1).toString());
        said = run({u"entry"_s, u"delete"_s, u"-entryID"_s, entry});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        QVERIFY(run({u"entry"_s, u"delete"_s, u"-entryID"_s, entry}).exitCode != 0);
        QCOMPARE(ask({u"entry"_s, u"count"_s}).json.value("count"_L1).toInt(), 1);
        said = run({u"entry"_s, u"create"_s, u"-parentID"_s, parent, u"-spiffeID"_s, u"spiffe://elsewhere.org/x"_s,
                    u"-selector"_s, u"unix:uid:1"_s});
        QVERIFY2(said.exitCode != 0, qPrintable(said.text));
    }

    void commandLine_managesBundlesFederationAndSvidsOfOurAuthority()
    {
        AuthorityUnderTest authority;
        AuthorityUnderTest cloud(u"smart-building.cloud"_s);
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        QVERIFY2(cloud.start(), qPrintable(cloud.log()));
        const auto run = [&authority](const QStringList &arguments) {
            return spireServer(arguments, authority.socket());
        };
        const auto ask = [&authority](const QStringList &arguments) {
            return spireServerJson(arguments, authority.socket());
        };
        const QString domain = u"spiffe://smart-building.cloud"_s;

        // Bundles
        auto said = run({u"bundle"_s, u"show"_s});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        const auto roots = tls::certificatesFromPem(said.text.toUtf8());
        QVERIFY2(roots && roots->size() == 1, qPrintable(said.text));
        said = run({u"bundle"_s, u"show"_s, u"-format"_s, u"spiffe"_s});
        const auto document = tls::parseBundle(said.text.toUtf8());
        QVERIFY2(document, qPrintable(said.text));
        QCOMPARE(document->x509Authorities, *roots);
        QVERIFY(!document->jwtAuthorities.isEmpty());
        const QString file = authority.file(u"cloud.pem"_s);
        const QString text = spireServer({u"bundle"_s, u"show"_s}, cloud.socket()).text;
        QVERIFY(tls::writePublicFile(file, text.toUtf8()));
        QCOMPARE(ask({u"bundle"_s, u"count"_s}).json.value("count"_L1).toInt(), 1);
        said = run({u"bundle"_s, u"set"_s, u"-id"_s, domain, u"-path"_s, file});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        QCOMPARE(ask({u"bundle"_s, u"count"_s}).json.value("count"_L1).toInt(), 2);
        said = run({u"bundle"_s, u"list"_s});
        QVERIFY2(said.exitCode == 0 && said.text.contains(u"smart-building.cloud"_s), qPrintable(said.text));
        said = run({u"bundle"_s, u"list"_s, u"-id"_s, domain});
        QVERIFY2(said.exitCode == 0 && said.text.contains(u"BEGIN CERTIFICATE"_s), qPrintable(said.text));

        // A bundle that an entry federates with is not deleted by accident.
        said = run({u"entry"_s, u"create"_s, u"-parentID"_s, id(u"/host/rack-1"_s).toString(), u"-spiffeID"_s,
                    id(u"/agent/gateway"_s).toString(), u"-selector"_s, u"unix:uid:1"_s, u"-federatesWith"_s, domain});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        QVERIFY(run({u"bundle"_s, u"delete"_s, u"-id"_s, domain}).exitCode != 0);
        said = run({u"bundle"_s, u"delete"_s, u"-id"_s, domain, u"-mode"_s, u"dissociate"_s});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        QCOMPARE(firstOf(ask({u"entry"_s, u"show"_s}).json, "entries"_L1).value("federates_with"_L1).toArray().size(),
                 0);
        QVERIFY(run({u"bundle"_s, u"delete"_s, u"-id"_s, domain}).exitCode != 0);
        QVERIFY(run({u"bundle"_s, u"list"_s, u"-id"_s, domain}).exitCode != 0);

        // Federation
        const QStringList relation{u"-trustDomain"_s,           u"smart-building.cloud"_s,
                                   u"-bundleEndpointURL"_s,     u"https://127.0.0.1:%1/"_s.arg(cloud.bundlePort()),
                                   u"-bundleEndpointProfile"_s, u"https_spiffe"_s,
                                   u"-endpointSpiffeID"_s,      u"spiffe://smart-building.cloud/spire/server"_s,
                                   u"-trustDomainBundlePath"_s, file};
        said = run(QStringList{u"federation"_s, u"create"_s} + relation);
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        said = run(QStringList{u"federation"_s, u"create"_s} + relation);
        QVERIFY2(said.exitCode != 0, qPrintable(said.text));
        said = run({u"federation"_s, u"list"_s});
        QVERIFY2(said.exitCode == 0 && said.text.contains(u"smart-building.cloud"_s), qPrintable(said.text));
        said = run({u"federation"_s, u"show"_s, u"-trustDomain"_s, u"smart-building.cloud"_s});
        QVERIFY2(said.exitCode == 0 && said.text.contains(u"https_spiffe"_s), qPrintable(said.text));
        said = run({u"federation"_s, u"refresh"_s, u"-id"_s, domain});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        // The PEM brought roots alone; the endpoint brings the keys for JWTs.
        QTRY_VERIFY_WITH_TIMEOUT(
            run({u"bundle"_s, u"list"_s, u"-id"_s, domain, u"-format"_s, u"spiffe"_s}).text.contains(u"jwt-svid"_s),
            kSlow);
        said = run(QStringList{u"federation"_s, u"update"_s} + relation);
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        said = run({u"federation"_s, u"delete"_s, u"-id"_s, domain});
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        QVERIFY(run({u"federation"_s, u"show"_s, u"-trustDomain"_s, u"smart-building.cloud"_s}).exitCode != 0);
        QVERIFY(run({u"federation"_s, u"refresh"_s, u"-id"_s, domain}).exitCode != 0);

        // SVIDs by an operator's hand
        said = run({u"x509"_s, u"mint"_s, u"-spiffeID"_s, id(u"/operator/demo"_s).toString(), u"-ttl"_s, u"10m"_s});
        QVERIFY2(said.exitCode == 0 && said.text.contains(u"BEGIN CERTIFICATE"_s), qPrintable(said.text));
        said =
            run({u"jwt"_s, u"mint"_s, u"-spiffeID"_s, id(u"/operator/demo"_s).toString(), u"-audience"_s, u"lintel"_s});
        QVERIFY2(said.exitCode == 0 && said.text.count(u'.') == 2, qPrintable(said.text));
    }

    void ourAgent_withATokenLivesOnARealSpireServer()
    {
        SpireServer server(QString::fromLatin1(kDomain), kLifeSeconds, {});
        QVERIFY2(server.start(), qPrintable(server.log()));
        const SpiffeId device = id(u"/agent/hvac-105"_s);
        const auto said = spireServer({u"token"_s, u"generate"_s, u"-spiffeID"_s, device.toString()}, server.socket());
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        QTemporaryDir dir;
        const QString tokenFile = dir.filePath(u"token"_s);
        QVERIFY(tls::writePrivateFile(tokenFile, tokenIn(said.text).toUtf8()));
        auto options = optionsFor(server, dir, device);
        options.makeAttestor = [tokenFile]() -> Result<std::unique_ptr<Attestor>> {
            return std::unique_ptr<Attestor>(std::make_unique<lintel::spire::JoinTokenAttestor>(tokenFile));
        };
        const SystemClock clock;
        auto source = std::make_unique<lintel::spire::EmbeddedIdentitySource>(options, clock);
        QTRY_VERIFY2_WITH_TIMEOUT(source->current(), qPrintable(sentenceOf(*source)), kSlow);
        verifySvid(*source, device);
        QTRY_VERIFY2_WITH_TIMEOUT(source->status().rotations >= 2, qPrintable(sentenceOf(*source)), kSlow);
        verifySvid(*source, device);
        // And as the same agent after a restart, without the token.
        source.reset();
        QVERIFY(QFile::remove(tokenFile));
        source = std::make_unique<lintel::spire::EmbeddedIdentitySource>(options, clock);
        QTRY_VERIFY2_WITH_TIMEOUT(source->current(), qPrintable(sentenceOf(*source)), kSlow);
        const auto agents = spireServerJson({u"agent"_s, u"list"_s}, server.socket());
        QVERIFY(!firstOf(agents.json, "agents"_L1).isEmpty());
    }

    void ourAgent_thatIsRegisteredLateNeedsNoSecondToken()
    {
        SpireServer server(QString::fromLatin1(kDomain), kLifeSeconds, {});
        QVERIFY2(server.start(), qPrintable(server.log()));
        auto said = spireServer({u"token"_s, u"generate"_s}, server.socket());
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        const QString token = tokenIn(said.text);
        const SpiffeId device = id(u"/agent/hvac-107"_s);
        QTemporaryDir dir;
        const QString tokenFile = dir.filePath(u"token"_s);
        QVERIFY(tls::writePrivateFile(tokenFile, token.toUtf8()));
        auto options = optionsFor(server, dir, device);
        options.makeAttestor = [tokenFile]() -> Result<std::unique_ptr<Attestor>> {
            return std::unique_ptr<Attestor>(std::make_unique<lintel::spire::JoinTokenAttestor>(tokenFile));
        };
        const SystemClock clock;
        lintel::spire::EmbeddedIdentitySource source(options, clock);
        QTRY_VERIFY2_WITH_TIMEOUT(sentenceOf(source).contains(u"but not as"_s), qPrintable(sentenceOf(source)), kSlow);
        said = spireServer({u"entry"_s, u"create"_s, u"-parentID"_s, agentWithToken(token), u"-spiffeID"_s,
                            device.toString(), u"-selector"_s, u"lintel:device"_s},
                           server.socket());
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        QTRY_VERIFY2_WITH_TIMEOUT(source.current(), qPrintable(sentenceOf(source)), kSlow);
        verifySvid(source, device);
    }

    void ourAgent_attestsToARealSpireServerWithItsTpm()
    {
        needTpmPlugins();
        if (QTest::currentTestFailed() || m_lacksTpm)
            QSKIP("LINTEL_SPIRE_TPM_PLUGIN names no plugins, or swtpm is not installed");
        TpmVendor vendor;
        SoftwareTpm chip(&vendor);
        const QString hash = ekHashOf(chip);
        SpireServer server(QString::fromLatin1(kDomain), kLifeSeconds, {hash});
        QVERIFY2(server.start(), qPrintable(server.log()));
        const SpiffeId device = id(u"/agent/hvac-106"_s);
        const auto said =
            spireServer({u"entry"_s, u"create"_s, u"-parentID"_s, id(u"/spire/agent/tpm/"_s + hash).toString(),
                         u"-spiffeID"_s, device.toString(), u"-selector"_s, u"tpm:pub_hash:"_s + hash},
                        server.socket());
        QVERIFY2(said.exitCode == 0, qPrintable(said.text));
        QTemporaryDir dir;
        auto options = optionsFor(server, dir, device);
        options.makeAttestor = [tcti = chip.tcti(), state = chip.stateDir()]() -> Result<std::unique_ptr<Attestor>> {
            auto chipDevice = TpmDevice::open({tcti, state, EndorsementChoice::Automatic});
            if (!chipDevice)
                return chipDevice.error();
            TpmAttestor::Options wire;
            wire.wire = TpmAttestor::Wire::SpireTpm;
            return std::unique_ptr<Attestor>(std::make_unique<TpmAttestor>(*chipDevice, wire));
        };
        const SystemClock clock;
        lintel::spire::EmbeddedIdentitySource source(options, clock);
        QTRY_VERIFY2_WITH_TIMEOUT(source.current(), qPrintable(sentenceOf(source) + server.log()), kSlow);
        verifySvid(source, device);
        QVERIFY(source.status().isBoundToChip);
        QTRY_VERIFY2_WITH_TIMEOUT(source.status().rotations >= 2, qPrintable(sentenceOf(source)), kSlow);
        verifySvid(source, device);

        // A chip that the server does not know stays outside.
        SoftwareTpm other(&vendor);
        QTemporaryDir otherDir;
        auto strange = optionsFor(server, otherDir, device);
        strange.makeAttestor = [tcti = other.tcti(), state = other.stateDir()]() -> Result<std::unique_ptr<Attestor>> {
            auto chipDevice = TpmDevice::open({tcti, state, EndorsementChoice::Automatic});
            if (!chipDevice)
                return chipDevice.error();
            TpmAttestor::Options wire;
            wire.wire = TpmAttestor::Wire::SpireTpm;
            return std::unique_ptr<Attestor>(std::make_unique<TpmAttestor>(*chipDevice, wire));
        };
        lintel::spire::EmbeddedIdentitySource outside(strange, clock);
        QTRY_VERIFY2_WITH_TIMEOUT(sentenceOf(outside).contains(u"could not validate EK"_s),
                                  qPrintable(sentenceOf(outside)), kSlow);
        QVERIFY(!outside.current());
    }

private:
    void needTpmPlugins()
    {
        const QString plugins = SpirePrograms::fromEnvironment().tpmPlugins;
        m_lacksTpm = plugins.isEmpty() || !QFile::exists(plugins + u"/tpm_attestor_server"_s)
                     || QStandardPaths::findExecutable(u"swtpm"_s).isEmpty();
    }

    lintel::spire::EmbeddedIdentityOptions optionsFor(const SpireServer &server, const QTemporaryDir &dir,
                                                      const SpiffeId &device)
    {
        lintel::spire::EmbeddedIdentityOptions options;
        options.authority = server.address();
        options.authorityId = id(u"/spire/server"_s);
        options.self = device;
        options.stateDir = dir.filePath(u"identity"_s);
        options.bootstrapBundle = dir.filePath(u"bundle.json"_s);
        options.renewal.retryMax = Millis{2'000};
        const auto bundle = spireServer({u"bundle"_s, u"show"_s, u"-format"_s, u"spiffe"_s}, server.socket());
        (void)bool(tls::writePublicFile(options.bootstrapBundle, bundle.text.toUtf8()));
        return options;
    }

    bool m_lacksTpm = false;
};

QTEST_GUILESS_MAIN(TestSpireInterop)
#include "tst_spire_interop.moc"
