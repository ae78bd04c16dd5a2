// lintel-authority as a process, and chips that speak AttestAgent by hand: whose maker counts, which attestations there
// are, and what somebody is told who only knows a chip's public key.
#include "fakes/authority_under_test.h"
#include "fakes/needs.h"
#include "fakes/odd_certificate.h"
#include "fakes/software_tpm.h"
#include "grpc/grpc_channel.h"
#include "spire/server_methods.h"
#include "spire/wire.h"
#include "tls/certificate_writer.h"
#include "tls/identity_files.h"
#include "tpm/tpm_attestor.h"

#include "spire_agent.pb.h"

#include <QCryptographicHash>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QStandardPaths>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
namespace wire = ::spire::api::server::agent::v1;

namespace {

constexpr int kSlow = 60'000;
const QString kDomain = u"building-1.smart.local"_s;

bool write(const QString &path, const QByteArray &bytes)
{
    QFile file(path);
    return file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size();
}

class Chip
{
public:
    explicit Chip(const TpmVendor *vendor = nullptr) : m_tpm(vendor) {}

    [[nodiscard]] TpmEndorsement endorsement() const { return *(*open())->endorsement(); }
    [[nodiscard]] QString hash() const { return endorsement().hash; }
    [[nodiscard]] std::unique_ptr<Attestor> attestor(TpmAttestor::Wire how) const
    {
        return std::make_unique<TpmAttestor>(*open(), TpmAttestor::Options{how, {}});
    }

private:
    [[nodiscard]] Result<std::shared_ptr<TpmDevice>> open() const
    {
        return TpmDevice::open({m_tpm.tcti(), m_tpm.stateDir(), EndorsementChoice::Automatic});
    }
    SoftwareTpm m_tpm;
};

struct Manner {
    TpmAttestor::Wire wire = TpmAttestor::Wire::LintelTpm;
    bool hasTheChip = true;      // false: knows what the chip shows, and cannot open a challenge
    QByteArray certificateDer{}; // shown instead of the chip's own
    ChannelBinding binding = ChannelBinding::Exporter;
    bool isRelayed = false; // bound to another connection and another server
};

/// What the authority said.
struct Said {
    bool challenged = false;
    bool svid = false;
    grpc::Status end{grpc::StatusCode::Unknown, u"no end"_s, {}};
};

Said attest(const AuthorityUnderTest &authority, const Chip &chip, const Manner &manner = {})
{
    Said said;
    const QString bundleFile = authority.file(u"bundle.json"_s);
    (void)authority.ctl({u"bundle"_s, u"show"_s, u"--out"_s, bundleFile});
    const auto bundle = tls::parseBundle(*tls::readWholeFile(bundleFile));
    const SpiffeId server = *SpiffeId::parse(u"spiffe://%1/spire/server"_s.arg(kDomain));
    const TrustBundles roots{{server.trustDomain(), bundle->x509Authorities}};
    grpc::Channel channel({authority.address(), [&]() -> Result<grpc::ClientTls> {
                               return grpc::ClientTls{std::nullopt, server, roots, {}};
                           }});
    const auto attestor = chip.attestor(manner.wire);
    const auto key = attestor->newKey();
    const QByteArray csr = *tls::makeCsr(**tls::signingKeyFrom(*key));
    QByteArray payload = *attestor->begin();
    if (!manner.certificateDer.isEmpty()) {
        QJsonObject shown = QJsonDocument::fromJson(payload).object();
        shown.insert("ek_cert"_L1, QString::fromLatin1(manner.certificateDer.toBase64()));
        payload = QJsonDocument(shown).toJson(QJsonDocument::Compact);
    }

    bool isOver = false;
    auto *call = channel.start(lintel::spire::method::agent("AttestAgent"));
    QObject::connect(call, &grpc::ClientCall::finished, call, [&](const grpc::Status &status) {
        said.end = status;
        isOver = true;
    });
    QObject::connect(call, &grpc::ClientCall::messageReceived, call, [&](const QByteArray &message) {
        const auto response = lintel::spire::parse<wire::AttestAgentResponse>(message);
        if (!response || response->has_result()) {
            said.svid = bool(response);
            return call->closeSending();
        }
        said.challenged = true;
        const QByteArray label = manner.isRelayed ? "EXPORTER-Another" : kChannelBindingLabel;
        const QByteArray certificate = manner.isRelayed ? bundle->x509Authorities.first() : channel.serverCertificate();
        const QByteArray bound = manner.binding == ChannelBinding::Exporter
                                     ? *channel.exportKeyingMaterial(label, kChannelBindingBytes)
                                     : QCryptographicHash::hash(certificate, QCryptographicHash::Sha256);
        const QByteArray challenge = lintel::spire::bytesOf(response->challenge());
        const auto answer = manner.hasTheChip ? attestor->answer(challenge, {bound, csr, manner.binding})
                                              : Result<QByteArray>(QByteArray("{\"v\":1}"));
        wire::AttestAgentRequest request;
        request.set_challenge_response(answer ? answer->toStdString() : std::string("chip"));
        call->send(lintel::spire::serialize(request));
    });
    wire::AttestAgentRequest request;
    request.mutable_params()->mutable_data()->set_type(attestor->type().toStdString());
    request.mutable_params()->mutable_data()->set_payload(payload.toStdString());
    request.mutable_params()->mutable_params()->set_csr(csr.toStdString());
    call->send(lintel::spire::serialize(request));
    if (!QTest::qWaitFor([&] { return isOver; }, kSlow))
        said.end.message = u"the authority did not answer"_s;
    return said;
}

QStringList enrolment(const Chip &chip, const QString &name)
{
    return {u"enroll"_s, u"--hash"_s, chip.hash(), u"--name"_s, name};
}

QJsonArray devicesOf(const AuthorityUnderTest &authority)
{
    return authority.ctl({u"device"_s, u"list"_s}).json.value("devices"_L1).toArray();
}

QString withMakers(const TpmVendor &vendor, const QString &more = {})
{
    return u"attestation: {vendor_ca_dir: %1%2}\n"_s.arg(vendor.certificatesDir(), more);
}

} // namespace

#define COMPARE_END(said, expected)                                                                                    \
    QVERIFY2((said).end.code == (expected), qPrintable(u"%1: %2"_s.arg(int((said).end.code)).arg((said).end.message)))

class TestChipAdmission : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        if (QStandardPaths::findExecutable(u"swtpm"_s).isEmpty())
            LINTEL_SKIP("swtpm is not installed; run scripts/bootstrap");
    }

    void channel_isTheConnectionOrWhereAllowedTheServer()
    {
        const Chip chip;
        const QString only = u"attestation: {first_seen: refuse}\n"_s;
        const QString both = u"attestation: {first_seen: refuse, channel_bindings: [exporter, server_certificate]}\n"_s;
        const QString other = u"attestation: {first_seen: refuse, channel_bindings: [server_certificate]}\n"_s;
        using enum ChannelBinding;
        struct Case {
            QString config;
            QList<ChannelBinding> accepted;
        };
        for (const Case &one :
             {Case{only, {Exporter}}, Case{both, {Exporter, ServerCertificate}}, Case{other, {ServerCertificate}}}) {
            AuthorityUnderTest authority(kDomain, one.config);
            QVERIFY2(authority.start(), qPrintable(authority.log()));
            QCOMPARE(authority.ctl(enrolment(chip, u"hvac-001"_s)).exitCode, 0);
            for (const auto binding : {Exporter, ServerCertificate}) {
                Manner manner;
                manner.binding = binding;
                const bool isAccepted = one.accepted.contains(binding);
                const Said said = attest(authority, chip, manner);
                QVERIFY2(said.svid == isAccepted, qPrintable(said.end.message));
                manner.isRelayed = true;
                const Said relayed = attest(authority, chip, manner);
                QVERIFY(!relayed.svid);
                const QString why = isAccepted ? u"another challenge, connection"_s : u"is not accepted here"_s;
                QVERIFY2(relayed.end.message.contains(why), qPrintable(relayed.end.message));
            }
        }
    }

    void maker_knownOnesMayQueueAndOthersMayNot()
    {
        const TpmVendor known;
        const TpmVendor unknown;
        const Chip genuine(&known);
        const Chip foreign(&unknown);
        const Chip bare;
        AuthorityUnderTest authority(kDomain, withMakers(known));
        QVERIFY2(authority.start(), qPrintable(authority.log()));

        for (const Chip *chip : {&foreign, &bare}) {
            const Said said = attest(authority, *chip);
            COMPARE_END(said, grpc::StatusCode::PermissionDenied);
            QVERIFY2(said.end.message.contains("not enrolled"_L1), qPrintable(said.end.message));
        }
        QVERIFY(devicesOf(authority).isEmpty());
        const Said said = attest(authority, genuine);
        COMPARE_END(said, grpc::StatusCode::Unavailable);
        QVERIFY2(said.end.message.contains("waits for approval"_L1), qPrintable(said.end.message));
        const auto waiting = devicesOf(authority);
        QCOMPARE(waiting.size(), 1);
        QCOMPARE(waiting.first().toObject().value("ek_hash"_L1).toString(), genuine.hash());
        QVERIFY(!waiting.first().toObject().value("ek_issuer"_L1).toString().isEmpty());

        // Not required: an operator's word is enough.
        QCOMPARE(authority.ctl(enrolment(foreign, u"hvac-001"_s)).exitCode, 0);
        QVERIFY(attest(authority, foreign).svid);
        QCOMPARE(authority.ctl({u"device"_s, u"approve"_s, genuine.hash(), u"--name"_s, u"hvac-002"_s}).exitCode, 0);
        QVERIFY(attest(authority, genuine).svid);
    }

    void maker_thatIsRequiredIsDemandedOfEnrolledChipsToo()
    {
        const TpmVendor known;
        const TpmVendor unknown;
        const Chip genuine(&known);
        const Chip foreign(&unknown);
        const Chip bare;
        AuthorityUnderTest authority(kDomain, withMakers(known, u", require_vendor_certificate: true"_s));
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        QCOMPARE(authority.ctl(enrolment(genuine, u"hvac-001"_s)).exitCode, 0);
        QCOMPARE(authority.ctl(enrolment(foreign, u"hvac-002"_s)).exitCode, 0);
        QCOMPARE(authority.ctl(enrolment(bare, u"hvac-003"_s)).exitCode, 0);

        QVERIFY(attest(authority, genuine).svid);
        const Said ofForeign = attest(authority, foreign);
        COMPARE_END(ofForeign, grpc::StatusCode::PermissionDenied);
        QVERIFY2(ofForeign.end.message.contains("No TPM vendor"_L1), qPrintable(ofForeign.end.message));
        const Said ofBare = attest(authority, bare);
        COMPARE_END(ofBare, grpc::StatusCode::PermissionDenied);
        QVERIFY2(ofBare.end.message.contains("no endorsement certificate"_L1), qPrintable(ofBare.end.message));
        QVERIFY(!ofForeign.challenged && !ofBare.challenged);

        const QString file = authority.file(u"foreign.der"_s);
        QVERIFY(write(file, foreign.endorsement().certificateDer));
        const auto refused = authority.ctl({u"enroll"_s, u"--certificate"_s, file, u"--name"_s, u"hvac-004"_s});
        QCOMPARE(refused.exitCode, 1);
    }

    void maker_whoseCertificatesNameNoManufacturerCountsByItsIssuer()
    {
        const Chip chip;
        const MadeCertificate maker = makeCertificate({{}, "critical,CA:TRUE", "critical,keyCertSign", {}, {}});
        OddCertificate wanted{{}, "critical,CA:FALSE", "critical,keyEncipherment", "2.23.133.8.1", {}};
        wanted.publicKeyDer = chip.endorsement().publicKeyDer;
        const QByteArray certificate = makeCertificate(wanted, &maker).der;
        const QTemporaryDir makers;
        QVERIFY(write(makers.filePath(u"maker.der"_s), maker.der));
        AuthorityUnderTest authority(kDomain, u"attestation: {vendor_ca_dir: %1}\n"_s.arg(makers.path()));
        QVERIFY2(authority.start(), qPrintable(authority.log()));

        const Said said = attest(authority, chip, {TpmAttestor::Wire::LintelTpm, true, certificate});
        COMPARE_END(said, grpc::StatusCode::Unavailable);
        const auto devices = devicesOf(authority);
        QCOMPARE(devices.size(), 1);
        const QString shown = devices.first().toObject().value("ek_issuer"_L1).toString();
        QVERIFY2(shown.startsWith("CN=test "_L1), qPrintable(shown));
    }

    void enroll_certificateIsJudgedByTheAuthority()
    {
        const TpmVendor known;
        const TpmVendor unknown;
        const Chip genuine(&known);
        const Chip foreign(&unknown);
        AuthorityUnderTest authority(kDomain, withMakers(known));
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        const auto enroll = [&](const QByteArray &certificate, const QString &name) {
            const QString file = authority.file(name);
            return write(file, certificate) ? authority.ctl({u"enroll"_s, u"--certificate"_s, file, u"--name"_s, name})
                                            : AuthorityUnderTest::Outcome{};
        };

        const auto good = enroll(tls::certificatesToPem({genuine.endorsement().certificateDer}), u"hvac-001"_s);
        QCOMPARE(good.exitCode, 0);
        QCOMPARE(good.json.value("ek_hash"_L1).toString(), genuine.hash());
        QVERIFY(!good.json.value("ek_issuer"_L1).toString().isEmpty());
        QVERIFY(good.json.value("ek_finding"_L1).toString().contains("The maker of this TPM is known"_L1));
        const auto other = enroll(foreign.endorsement().certificateDer, u"hvac-002"_s);
        QCOMPARE(other.exitCode, 0);
        QCOMPARE(other.json.value("ek_hash"_L1).toString(), foreign.hash());
        QVERIFY(other.json.value("ek_issuer"_L1).toString().isEmpty());
        QVERIFY(other.json.value("ek_finding"_L1).toString().contains("No TPM vendor"_L1));

        QFile maker(QDir(known.certificatesDir()).entryInfoList(QDir::Files).first().filePath());
        QVERIFY(maker.open(QIODevice::ReadOnly));
        QCOMPARE(enroll(maker.readAll(), u"hvac-003"_s).exitCode, 1); // of an authority, not of a chip
        QVERIFY(enroll("no certificate", u"hvac-004"_s).exitCode != 0);
        QCOMPARE(devicesOf(authority).size(), 2);
    }

    void strangers_areToldNothingAboutADevice()
    {
        AuthorityUnderTest authority(kDomain, u"attestation: {first_seen: refuse}\n"_s);
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        const Chip revoked;
        const Chip enrolled;
        const Chip unknown;
        QCOMPARE(authority.ctl(enrolment(revoked, u"hvac-001"_s)).exitCode, 0);
        QCOMPARE(authority.ctl(enrolment(enrolled, u"hvac-002"_s)).exitCode, 0);
        QVERIFY(attest(authority, revoked).svid);
        QCOMPARE(
            authority.ctl({u"device"_s, u"revoke"_s, u"hvac-001"_s, u"--reason"_s, u"stolen from the roof"_s}).exitCode,
            0);

        QStringList answers;
        for (const Chip *chip : {&revoked, &enrolled, &unknown}) {
            const Said said = attest(authority, *chip, {TpmAttestor::Wire::LintelTpm, false, {}});
            QVERIFY(said.challenged);
            QVERIFY(!said.svid);
            answers.append(u"%1 %2"_s.arg(int(said.end.code)).arg(said.end.message));
        }
        QCOMPARE(answers.at(0), answers.at(1));
        QCOMPARE(answers.at(1), answers.at(2));
        QVERIFY2(!answers.first().contains("revoked"_L1), qPrintable(answers.first()));

        // The chip itself hears it.
        const Said ofRevoked = attest(authority, revoked);
        COMPARE_END(ofRevoked, grpc::StatusCode::PermissionDenied);
        QVERIFY2(ofRevoked.end.message.contains("stolen from the roof"_L1), qPrintable(ofRevoked.end.message));
        const Said ofUnknown = attest(authority, unknown);
        COMPARE_END(ofUnknown, grpc::StatusCode::PermissionDenied);
        QVERIFY2(ofUnknown.end.message.contains("not enrolled"_L1), qPrintable(ofUnknown.end.message));
    }

    void types_thatAreSwitchedOffAreNoWayAroundTheOthers()
    {
        const Chip chip;
        const Manner weaker{TpmAttestor::Wire::SpireTpm, true, {}};
        AuthorityUnderTest lenient;
        QVERIFY2(lenient.start(), qPrintable(lenient.log()));
        QCOMPARE(lenient.ctl(enrolment(chip, u"hvac-001"_s)).exitCode, 0);
        QVERIFY(attest(lenient, chip).svid);
        const auto key = [](const AuthorityUnderTest &authority) {
            return authority.ctl({u"device"_s, u"show"_s, u"hvac-001"_s}).json.value("key_in_tpm"_L1);
        };
        QCOMPARE(key(lenient), QJsonValue(true));
        // Once a chip has proved where its key is, it may not come with less, unless somebody says so.
        const Said less = attest(lenient, chip, weaker);
        COMPARE_END(less, grpc::StatusCode::PermissionDenied);
        QVERIFY2(less.end.message.contains("device reattest hvac-001 --allow-weaker"_L1), qPrintable(less.end.message));
        QCOMPARE(key(lenient), QJsonValue(true));
        QCOMPARE(lenient.ctl({u"device"_s, u"reattest"_s, u"hvac-001"_s, u"--allow-weaker"_s}).exitCode, 0);
        QVERIFY(attest(lenient, chip, weaker).svid);
        QCOMPARE(key(lenient), QJsonValue(false));
        const QString shown = lenient.ctlText({u"device"_s, u"show"_s, u"hvac-001"_s});
        QVERIFY2(shown.contains("not certified to be in a TPM"_L1), qPrintable(shown));

        AuthorityUnderTest strict(kDomain, u"attestation: {types: [lintel_tpm]}\n"_s);
        QVERIFY2(strict.start(), qPrintable(strict.log()));
        QCOMPARE(strict.ctl(enrolment(chip, u"hvac-001"_s)).exitCode, 0);
        const Said said = attest(strict, chip, weaker);
        COMPARE_END(said, grpc::StatusCode::FailedPrecondition);
        QVERIFY2(said.end.message.contains("switched off"_L1), qPrintable(said.end.message));
        QVERIFY(!said.challenged);
        QVERIFY(strict.ctl({u"token"_s, u"create"_s, u"--name"_s, u"hvac-002"_s}).exitCode != 0);
        QVERIFY(attest(strict, chip).svid);
        QCOMPARE(key(strict), QJsonValue(true));
    }
};

QTEST_GUILESS_MAIN(TestChipAdmission)
#include "tst_chip_admission.moc"
