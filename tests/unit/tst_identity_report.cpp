#include "process/identity_report.h"

#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr Timestamp kNow{1'790'000'000'000ms};

/// An identity that is as the test says.
class ScriptedIdentity final : public IdentitySource
{
public:
    Result<std::shared_ptr<const IdentitySnapshot>> current() const override
    {
        if (isThere)
            return std::make_shared<const IdentitySnapshot>(IdentitySnapshot{svid, {}});
        return Error{Errc::Unavailable, answer.sentence};
    }
    IdentityStatus status() const override { return answer; }
    Timestamp trustedNow() const override { return kNow; }

    bool isThere = true;
    IdentityStatus answer;
    X509Svid svid{*SpiffeId::parse(u"spiffe://b.example/agent/s1"), {}, {}, {}, kNow + 1h};
};

} // namespace

class TestIdentityReport : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void report_tellsEverythingOfAGoodIdentity();
    void report_runwayEndsWithTheSvidWhenItIsNotRenewed();
    void report_countsWhatIsKeptBesideIt();
    void report_ofNoIdentityHasNoTimes();
};

void TestIdentityReport::report_tellsEverythingOfAGoodIdentity()
{
    ScriptedIdentity identity;
    identity.answer = {IdentityStatus::State::Valid,
                       u"identity valid until then"_s,
                       u"lintel_tpm"_s,
                       u"TPM 2.0 (INTC)"_s,
                       true,
                       kNow + 1h,
                       7,
                       kNow + 300h};
    const QCborMap report = service::identityReport(identity);
    QCOMPARE(report.value("state"_L1).toString(), u"valid"_s);
    QCOMPARE(report.value("sentence"_L1).toString(), u"identity valid until then"_s);
    QCOMPARE(report.value("attestation"_L1).toString(), u"lintel_tpm"_s);
    QCOMPARE(report.value("proof"_L1).toString(), u"TPM 2.0 (INTC)"_s);
    QVERIFY(report.value("bound_to_chip"_L1).toBool());
    QCOMPARE(report.value("expires"_L1).toString(), toIso8601(kNow + 1h));
    QCOMPARE(report.value("issuer_expires"_L1).toString(), toIso8601(kNow + 300h));
    QCOMPARE(report.value("rotations"_L1).toInteger(), qint64(7));
    // The SVID renews itself; what ends first is the issuer.
    QCOMPARE(report.value("runway_ms"_L1).toInteger(), qint64(Millis{300h}.count()));
    QCOMPARE(report.value("runway_limited_by"_L1).toString(), u"issuer of b.example"_s);
}

void TestIdentityReport::report_runwayEndsWithTheSvidWhenItIsNotRenewed()
{
    ScriptedIdentity identity;
    identity.answer = {IdentityStatus::State::Overdue, {}, u"lintel_tpm"_s, {}, true, kNow + 1h, 7, kNow + 300h};
    QCborMap report = service::identityReport(identity);
    QCOMPARE(report.value("state"_L1).toString(), u"overdue"_s);
    QCOMPARE(report.value("runway_ms"_L1).toInteger(), qint64(Millis{1h}.count()));
    QCOMPARE(report.value("runway_limited_by"_L1).toString(), u"SVID of spiffe://b.example/agent/s1"_s);
    identity.answer.state = IdentityStatus::State::Valid;
    identity.answer.attestation = u"files"_s; // nobody renews these
    report = service::identityReport(identity);
    QCOMPARE(report.value("runway_ms"_L1).toInteger(), qint64(Millis{1h}.count()));
}

void TestIdentityReport::report_countsWhatIsKeptBesideIt()
{
    ScriptedIdentity identity;
    identity.answer = {IdentityStatus::State::Valid, {}, u"lintel_tpm"_s, {}, true, kNow + 1h, 0, kNow + 300h};
    const QCborMap report = service::identityReport(identity, {{u"certificate of the broker"_s, kNow + 20min, false}});
    QCOMPARE(report.value("runway_ms"_L1).toInteger(), qint64(Millis{20min}.count()));
    QCOMPARE(report.value("runway_limited_by"_L1).toString(), u"certificate of the broker"_s);
}

void TestIdentityReport::report_ofNoIdentityHasNoTimes()
{
    ScriptedIdentity identity;
    identity.isThere = false;
    identity.answer.sentence = u"no identity yet, buffering"_s;
    const QCborMap report = service::identityReport(identity);
    QCOMPARE(report.value("state"_L1).toString(), u"waiting"_s);
    QVERIFY(!report.contains("expires"_L1));
    QVERIFY(!report.contains("runway_ms"_L1));
}

QTEST_GUILESS_MAIN(TestIdentityReport)
#include "tst_identity_report.moc"
