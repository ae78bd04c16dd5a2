// The authority's own keys, partners, state, audit and backup.
#include "adapters/sqlite/database.h"
#include "fakes/attested_agent.h"
#include "fakes/odd_certificate.h"

#include <QTest>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

class TestAuthorityState : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    // --- CA ---
    void ca_rotationNeverBreaksWhatIsInUse()
    {
        AuthorityFixture f;
        f.config.rootLifetime = 24h * 40;
        f.config.rootOverlap = 24h * 10;
        f.config.issuingLifetime = 24h * 4;
        f.config.jwtKeyLifetime = 24h * 4;
        VERIFY_OK(f.open());
        const Attested a(f);
        TrustBundles seen{{f.config.domain, f.authority->bundle()->x509Authorities}};
        tls::JwtBundles jwtSeen{{f.config.domain, f.authority->bundle()->jwtAuthorities}};
        QSet<QByteArray> roots;
        QSet<QByteArray> issuers;
        quint64 sequence = 0;
        for (int hours = 0; hours < 24 * 100; hours += 4) {
            VERIFY_OK(f.authority->tick());
            const auto svid = f.authority->mintX509(*tls::makeCsr(*a.key.signer, f.id(u"/w"_s)), {}, f.actor);
            VERIFY_OK(svid);
            const auto jwt = f.authority->mintJwt(f.id(u"/w"_s), {u"x"_s}, {}, f.actor);
            VERIFY_OK(jwt);
            // Somebody with the bundle of four hours ago accepts what is signed now.
            const auto verified = tls::verifyPeer(svid->chainDer, svid->id, seen, tls::PeerRole::Client, f.clock.now());
            VERIFY_OK(verified);
            VERIFY_OK(tls::validateJwtSvid(jwt->token, u"x"_s, jwtSeen, f.clock.now()));
            const auto facts = tls::describeCertificate(svid->chainDer.last());
            QVERIFY(svid->notAfter <= facts->notAfter);
            const auto bundle = *f.authority->bundle();
            QVERIFY(*bundle.sequence >= sequence);
            if (bundle.x509Authorities != seen.value(f.config.domain)
                || bundle.jwtAuthorities != jwtSeen.value(f.config.domain))
                QVERIFY(hours == 0 || *bundle.sequence > sequence);
            sequence = *bundle.sequence;
            seen[f.config.domain] = bundle.x509Authorities;
            jwtSeen[f.config.domain] = bundle.jwtAuthorities;
            roots += QSet<QByteArray>(bundle.x509Authorities.cbegin(), bundle.x509Authorities.cend());
            issuers += svid->chainDer.last();
            QVERIFY(f.authority->identity().current());
            if (hours % 480 == 240)
                VERIFY_OK(f.open());
            f.clock.advance(4h);
        }
        QVERIFY(roots.size() >= 3);
        QVERIFY(issuers.size() >= 25);
        // Private keys that never sign again are gone.
        const auto status = f.authority->status();
        int signing = 0;
        for (const CaStatus &key : status->authorities)
            signing += key.phase != CaPhase::Old;
        QCOMPARE(QDir(f.config.keysDir()).entryList({u"*.key"_s}).size(), signing);
    }
    void ca_signsNothingPastItsOwnEnd()
    {
        AuthorityFixture f;
        f.config.issuingLifetime = 4h;
        VERIFY_OK(f.open());
        const QByteArray csr = *tls::makeCsr(*DeviceKey().signer, f.id(u"/w"_s));
        f.clock.advance(3h + 30min); // nobody ticked
        const auto svid = f.authority->mintX509(csr, 24h, f.actor);
        VERIFY_OK(svid);
        QCOMPARE(svid->notAfter, tls::describeCertificate(svid->chainDer.last())->notAfter);
        f.clock.advance(1h);
        VERIFY_ERROR(f.authority->mintX509(csr, {}, f.actor), Errc::Unavailable);
        VERIFY_OK(f.authority->tick());
        VERIFY_OK(f.authority->mintX509(csr, {}, f.actor));
    }
    void ca_nameConstraintMayBeSwitchedOff()
    {
        // 2.5.29.30, as it stands in a certificate.
        const auto isLimited = [](const QByteArray &der) { return der.contains(QByteArray::fromHex("0603551d1e")); };
        for (const bool constraint : {true, false}) {
            AuthorityFixture f;
            f.config.nameConstraint = constraint;
            VERIFY_OK(f.open());
            const QByteArray csr = *tls::makeCsr(*DeviceKey().signer, f.id(u"/w"_s));
            const auto svid = f.authority->mintX509(csr, {}, f.actor);
            VERIFY_OK(svid);
            QCOMPARE(isLimited(f.authority->bundle()->x509Authorities.first()), constraint);
            QCOMPARE(isLimited(svid->chainDer.last()), constraint);
            VERIFY_OK(f.verify(*svid)); // either is good for whoever follows SPIFFE
            // What else a root is by X509-SVID.md: CA:TRUE, a URI name without a path.
            const QByteArray root = f.authority->bundle()->x509Authorities.first();
            QVERIFY(tls::describeCertificate(root)->isAuthority);
            QCOMPARE(*tls::spiffeIdOf(root), *SpiffeId::parse(u"spiffe://building-1.smart.local"_s));
        }
    }
    void ca_foreignIdIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const QByteArray csr = *tls::makeCsr(*DeviceKey().signer, *SpiffeId::parse(u"spiffe://smart-building.cloud/w"));
        VERIFY_ERROR(f.authority->mintX509(csr, {}, f.actor), Errc::Denied);
        VERIFY_ERROR(f.authority->mintJwt(*SpiffeId::parse(u"spiffe://smart-building.cloud/w"), {u"x"_s}, {}, f.actor),
                     Errc::Denied);
    }

    // --- Federation ---
    void federation_bundlesAreNeverMerged_andOwnOneIsOurs()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const TrustDomain other = *TrustDomain::parse(u"smart-building.cloud");
        tls::BundleDocument bundle{{makeCertificate(rootOf("smart-building.cloud")).der}, {}, 5, 60s};
        VERIFY_OK(f.authority->setFederatedBundle(other, bundle, f.actor));
        VERIFY_ERROR(f.authority->setFederatedBundle(f.config.domain, bundle, f.actor), Errc::Denied);
        bundle.sequence = 4;
        VERIFY_ERROR(f.authority->setFederatedBundle(other, bundle, f.actor), Errc::Conflict);
        QVERIFY(!f.authority->bundle()->x509Authorities.contains(bundle.x509Authorities.first()));
        const auto identity = *f.authority->identity().current();
        QCOMPARE(identity->bundles.value(other), bundle.x509Authorities);
        QCOMPARE(identity->bundles.value(f.config.domain).size(), 1);
        VERIFY_OK(f.open());
        QCOMPARE(f.authority->federatedBundle(other)->value().sequence.value(), 5ULL);

        Entry entry;
        entry.spiffeId = f.id(u"/w/a"_s);
        entry.parentId = f.id(u"/spire/agent/x"_s);
        entry.selectors = {{u"unix"_s, u"uid:0"_s}};
        entry.federatesWith = {other};
        const auto created = f.authority->createEntry(entry, f.actor);
        VERIFY_OK(created);
        VERIFY_ERROR(f.authority->deleteFederatedBundle(other, f.actor), Errc::Conflict);
        VERIFY_OK(f.authority->deleteFederatedBundle(other, f.actor, true));
        QVERIFY(f.authority->entry(created->id)->federatesWith.isEmpty());
    }
    void federation_relationshipsAreChecked()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        FederationRelationship r{*TrustDomain::parse(u"smart-building.cloud"),
                                 u"https://cloud.example:8443/bundle"_s,
                                 EndpointProfile::HttpsSpiffe,
                                 *SpiffeId::parse(u"spiffe://smart-building.cloud/spire/server"),
                                 {},
                                 {}};
        VERIFY_OK(f.authority->setRelationship(r, f.actor));
        VERIFY_OK(f.authority->noteRefresh(r.domain, u"no route"_s));
        QCOMPARE(f.authority->relationships()->first().problem, u"no route"_s);
        r.url = u"http://cloud.example"_s;
        VERIFY_ERROR(f.authority->setRelationship(r, f.actor), Errc::Malformed);
        r.url = u"https://cloud.example"_s;
        r.endpointId = {};
        VERIFY_ERROR(f.authority->setRelationship(r, f.actor), Errc::Malformed);
    }

    // --- State ---
    void state_ofAnotherDomainIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        f.authority.reset();
        f.config.domain = *TrustDomain::parse(u"building-2.smart.local");
        VERIFY_ERROR(f.open(), Errc::Conflict);
    }
    void state_ofANewerVersionIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        f.authority.reset();
        {
            auto database = sqlite::Database::open(f.config.stateDir + u"/authority.db"_s);
            VERIFY_OK((*database)->execute("PRAGMA user_version=99"));
        }
        const auto opened = f.open();
        VERIFY_ERROR(opened, Errc::Unsupported);
        QVERIFY(opened.error().message.contains("newer version"_L1));
    }
    void clock_thatWasNeverSetSignsNothing()
    {
        AuthorityFixture f;
        f.clock.setNow(fromEpochMillis(0));
        VERIFY_ERROR(f.open(), Errc::Unavailable);
    }
    void audit_changeOrRemovalIsNoticed()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        VERIFY_OK(f.authority->revoke(u"hvac-001"_s, u"stolen"_s, f.actor));
        VERIFY_OK(f.authority->checkAudit());
        f.authority.reset();
        {
            auto database = sqlite::Database::open(f.config.stateDir + u"/authority.db"_s);
            QVERIFY(!(*database)->execute("UPDATE audit SET actor = 'nobody' WHERE number = 2"));
            QVERIFY(!(*database)->execute("DELETE FROM audit WHERE number = 2"));
            VERIFY_OK((*database)->execute(
                "DROP TRIGGER audit_is_fixed; UPDATE audit SET actor = 'nobody' WHERE number = 2"));
        }
        VERIFY_OK(f.open());
        const auto checked = f.authority->checkAudit();
        VERIFY_ERROR(checked, Errc::Io);
        QVERIFY(checked.error().message.contains(" 2"_L1));
    }
    void backup_goesOnWhereItWas_withLaterRevocations()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const Attested b(f, 2, u"hvac-002"_s);
        const QString dir = f.dir.filePath(u"backup"_s);
        VERIFY_OK(f.authority->backup(dir, f.actor));
        VERIFY_ERROR(f.authority->backup(dir, f.actor), Errc::Conflict);
        const auto bundle = *f.authority->bundle();
        VERIFY_OK(f.authority->revoke(u"hvac-002"_s, u"stolen after the backup"_s, f.actor));
        const QByteArray denyList = *f.authority->denyListJws();
        const quint64 number = *f.authority->denyListSequence();
        f.authority.reset();
        VERIFY_ERROR(restoreBackup(dir, f.config, denyList, f.clock.now()), Errc::Conflict);
        f.config.stateDir = f.dir.filePath(u"restored"_s);
        f.clock.advance(1h);
        VERIFY_OK(restoreBackup(dir, f.config, denyList, f.clock.now()));
        VERIFY_OK(f.open());
        VERIFY_OK(f.authority->checkAudit());
        QCOMPARE(f.authority->bundle()->x509Authorities, bundle.x509Authorities);
        QVERIFY(*f.authority->denyListSequence() > number);
        VERIFY_OK(f.authority->attest(f.node(ekHashOf(1), a.key)));
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(2), b.key)), Errc::Denied);
        const auto restored =
            *tls::verifyDenyList(*f.authority->denyListJws(), f.config.domain, bundle.jwtAuthorities, number);
        QVERIFY(restored.find(f.id(u"/agent/hvac-002"_s), {}, f.clock.now()));
        QCOMPARE(QFileInfo(f.config.stateDir + u"/authority.db"_s).permissions()
                     & (QFile::ReadGroup | QFile::ReadOther),
                 QFile::Permissions());
    }
    void backup_damagedOneIsRefused()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const QString dir = f.dir.filePath(u"backup"_s);
        VERIFY_OK(f.authority->backup(dir, f.actor));
        QFile file(dir + u"/authority.db"_s);
        QVERIFY(file.open(QIODevice::ReadWrite));
        file.seek(5'000);
        file.write("x");
        file.close();
        f.config.stateDir = f.dir.filePath(u"restored"_s);
        VERIFY_ERROR(restoreBackup(dir, f.config, {}, f.clock.now()), Errc::Io);
        QVERIFY(!QFileInfo::exists(f.config.stateDir + u"/authority.db"_s));
    }
    void status_countsAndRunway()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const Attested a(f);
        const auto status = f.authority->status();
        VERIFY_OK(status);
        QCOMPARE(status->approvedDevices, 1);
        QCOMPARE(status->agents, 1);
        QVERIFY(status->runway.first);
        QVERIFY(status->runway.left > 24h * 13);
        QVERIFY(status->runway.sentence.contains("14 days"_L1));
        const auto time = f.authority->signedTime("n");
        VERIFY_OK(time);
    }
};

QTEST_GUILESS_MAIN(TestAuthorityState)
#include "tst_authority_state.moc"
