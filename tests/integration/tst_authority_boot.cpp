// lintel-authority as a process, lintelctl beside it, and a device with a software TPM: what its boot has to do
// with its identity, and what it feels of somebody who floods the authority.
#include "fakes/authority_under_test.h"
#include "fakes/needs.h"
#include "fakes/software_tpm.h"
#include "grpc/grpc_channel.h"
#include "ports/system_clock.h"
#include "spire/embedded_identity_source.h"
#include "spire/server_methods.h"
#include "spire/wire.h"
#include "tls/identity_files.h"
#include "tpm/tpm_attestor.h"

#include "spire_agent.pb.h"

#include <QCryptographicHash>
#include <QElapsedTimer>
#include <QFile>
#include <QJsonArray>
#include <QStandardPaths>
#include <QTest>
#include <QtEndian>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {

constexpr int kSlow = 120'000;
const QString kDomain = u"building-1.smart.local"_s;

QByteArray sha256(const QByteArray &bytes)
{
    return QCryptographicHash::hash(bytes, QCryptographicHash::Sha256);
}

/// What firmware does before any program of ours runs.
bool extend(const QString &tcti, quint32 pcr, const QByteArray &data)
{
    TSS2_TCTI_CONTEXT *transport = nullptr;
    ESYS_CONTEXT *esys = nullptr;
    if (Tss2_TctiLdr_Initialize(tcti.toUtf8().constData(), &transport) != 0
        || Esys_Initialize(&esys, transport, nullptr) != 0)
        return false;
    TPML_DIGEST_VALUES digests{};
    digests.count = 1;
    digests.digests[0].hashAlg = TPM2_ALG_SHA256;
    const QByteArray hash = sha256(data);
    memcpy(digests.digests[0].digest.sha256, hash.constData(), size_t(hash.size()));
    const bool done =
        Esys_PCR_Extend(esys, pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digests) == TSS2_RC_SUCCESS;
    Esys_Finalize(&esys);
    Tss2_TctiLdr_Finalize(&transport);
    return done;
}

/// A TCG event log (crypto-agile, SHA-256 only) of these measurements into one register.
QByteArray eventLogOf(quint32 pcr, const QList<QByteArray> &measured)
{
    const auto le = [](auto value) {
        QByteArray bytes(qsizetype(sizeof value), '\0');
        qToLittleEndian(value, bytes.data());
        return bytes;
    };
    const QByteArray spec = QByteArray("Spec ID Event03\0", 16) + le(quint32(0)) + QByteArray("\x00\x02\x00\x02", 4)
                            + le(quint32(1)) + le(quint16(TPM2_ALG_SHA256)) + le(quint16(32)) + '\0';
    QByteArray log = le(quint32(0)) + le(quint32(3)) + QByteArray(20, '\0') + le(quint32(spec.size())) + spec;
    for (const QByteArray &data : measured)
        log += le(pcr) + le(quint32(0x0d)) + le(quint32(1)) + le(quint16(TPM2_ALG_SHA256)) + sha256(data)
               + le(quint32(data.size())) + data;
    return log;
}

class Device
{
public:
    [[nodiscard]] QString tcti() const { return m_tpm.tcti(); }
    [[nodiscard]] QString ekHash() const
    {
        const auto device = TpmDevice::open({m_tpm.tcti(), m_tpm.stateDir(), EndorsementChoice::Automatic});
        const auto ek = device ? (*device)->endorsement() : Result<TpmEndorsement>(device.error());
        return ek ? ek->hash : QString();
    }
    [[nodiscard]] QStringList enrolment(const QStringList &more = {}) const
    {
        return QStringList{u"enroll"_s, u"--hash"_s, ekHash(), u"--name"_s, u"hvac-001"_s} + more;
    }
    void putEventLog(const QByteArray &log) const
    {
        QFile file(eventLogFile());
        if (file.open(QIODevice::WriteOnly))
            file.write(log);
    }
    lintel::spire::EmbeddedIdentitySource &startOn(const AuthorityUnderTest &authority)
    {
        lintel::spire::EmbeddedIdentityOptions options;
        options.authority = authority.address();
        options.authorityId = *SpiffeId::parse(u"spiffe://%1/spire/server"_s.arg(kDomain));
        options.self = *SpiffeId::parse(u"spiffe://%1/agent/hvac-001"_s.arg(kDomain));
        options.stateDir = m_dir.filePath(u"identity"_s);
        options.bootstrapBundle = m_dir.filePath(u"bundle.json"_s);
        options.renewal.retryMax = Millis{3'000};
        (void)authority.ctl({u"bundle"_s, u"show"_s, u"--out"_s, options.bootstrapBundle});
        options.makeAttestor = [tcti = m_tpm.tcti(), state = m_tpm.stateDir(),
                                log = eventLogFile()]() -> Result<std::unique_ptr<Attestor>> {
            auto device = TpmDevice::open({tcti, state, EndorsementChoice::Automatic});
            if (!device)
                return device.error();
            return std::unique_ptr<Attestor>(
                std::make_unique<TpmAttestor>(*device, TpmAttestor::Options{TpmAttestor::Wire::LintelTpm, log}));
        };
        m_source = std::make_unique<lintel::spire::EmbeddedIdentitySource>(std::move(options), m_clock);
        return *m_source;
    }

private:
    [[nodiscard]] QString eventLogFile() const { return m_dir.filePath(u"binary_bios_measurements"_s); }

    SoftwareTpm m_tpm;
    QTemporaryDir m_dir;
    SystemClock m_clock;
    std::unique_ptr<lintel::spire::EmbeddedIdentitySource> m_source;
};

QString sentenceOf(const lintel::spire::EmbeddedIdentitySource &source)
{
    return source.status().sentence;
}

QJsonArray historyOf(const AuthorityUnderTest &authority)
{
    return authority.ctl({u"device"_s, u"history"_s, u"hvac-001"_s}).json.value("attestations"_L1).toArray();
}

} // namespace

class TestAuthorityBoot : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        if (QStandardPaths::findExecutable(u"swtpm"_s).isEmpty())
            LINTEL_SKIP("swtpm is not installed; run scripts/bootstrap");
    }

    void boot_thatWasAcceptedIsDemandedFromThenOn()
    {
        AuthorityUnderTest authority(kDomain, u"attestation: {require_measured_boot: true, pcrs: [0, 4, 7]}\n"_s);
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        Device device;
        QVERIFY(extend(device.tcti(), 4, "boot loader 1"));
        QCOMPARE(authority.ctl(device.enrolment({u"--hardware"_s, u"swtpm"_s, u"--release"_s, u"1.0"_s})).exitCode, 0);

        // Measured, but nobody has said that this is good.
        auto &source = device.startOn(authority);
        QTRY_VERIFY2_WITH_TIMEOUT(sentenceOf(source).contains(u"no reference values"_s), qPrintable(sentenceOf(source)),
                                  kSlow);
        QVERIFY(!source.current());
        const auto accepted = authority.ctl({u"device"_s, u"accept-boot"_s, u"hvac-001"_s});
        QCOMPARE(accepted.exitCode, 0);
        QCOMPARE(accepted.json.value("hardware"_L1).toString(), u"swtpm"_s);
        const QString good = accepted.json.value("pcrs"_L1).toObject().value("4"_L1).toArray().first().toString();
        QCOMPARE(good, QString::fromLatin1(sha256(QByteArray(32, '\0') + sha256("boot loader 1")).toHex()));
        QTRY_VERIFY2_WITH_TIMEOUT(bool(source.current()), qPrintable(sentenceOf(source)), kSlow);
        QCOMPARE(authority.ctl({u"device"_s, u"show"_s, u"hvac-001"_s}).json.value("verdict"_L1).toString(),
                 u"measured"_s);

        // Something else is loaded.
        QVERIFY(extend(device.tcti(), 4, "implant"));
        source.hurry();
        const auto isRefused = [&source] {
            return sentenceOf(source).contains(u"PCR 4 not as the reference values of swtpm 1.0"_s);
        };
        QTRY_VERIFY_WITH_TIMEOUT(isRefused() || source.status().rotations > 0, kSlow);
        QVERIFY2(isRefused(), qPrintable(sentenceOf(source)));
        QCOMPARE(source.status().rotations, 0ULL);
        QJsonObject changed;
        for (const auto one : historyOf(authority))
            if (one.toObject().value("change"_L1).toString().contains(u"PCR 4 changed"_s))
                changed = one.toObject();
        QCOMPARE(changed.value("verdict"_L1).toString(), u"measurement_differs"_s);
        QVERIFY(changed.value("pcrs"_L1).toObject().value("4"_L1).toString() != good);
        const QString text = authority.ctlText({u"device"_s, u"history"_s, u"hvac-001"_s});
        QVERIFY2(text.contains(u"PCR 4 changed"_s), qPrintable(text));
        const QString refused = authority.ctlText({u"authority"_s, u"refusals"_s});
        QVERIFY2(refused.contains(u"not as the reference values"_s), qPrintable(refused));
        const QString trail = authority.ctlText({u"authority"_s, u"audit"_s});
        QVERIFY2(trail.contains(u"device.acceptBoot"_s) && trail.contains(u"PCR 4 changed"_s), qPrintable(trail));

        // It was an update: another release, whose boot is accepted in its turn.
        QCOMPARE(authority
                     .ctl({u"device"_s, u"accept-boot"_s, u"hvac-001"_s, u"--hardware"_s, u"swtpm"_s, u"--release"_s,
                           u"1.1"_s})
                     .exitCode,
                 0);
        QTRY_VERIFY2_WITH_TIMEOUT(source.status().rotations > 0, qPrintable(sentenceOf(source)), kSlow);
        const auto list = authority.ctl({u"reference"_s, u"list"_s}).json.value("references"_L1).toArray();
        QCOMPARE(list.size(), 2);
    }

    void boot_whoseEventLogTellsAnotherStoryIsRefused()
    {
        AuthorityUnderTest authority(kDomain, u"attestation: {require_measured_boot: true, pcrs: [4]}\n"_s);
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        Device device;
        QVERIFY(extend(device.tcti(), 4, "boot loader 1"));
        device.putEventLog(eventLogOf(4, {"boot loader 1"}));
        QCOMPARE(authority.ctl(device.enrolment()).exitCode, 0);
        // As an operator who knows the values sets them; the hardware comes after the enrolment.
        const QString good = QString::fromLatin1(sha256(QByteArray(32, '\0') + sha256("boot loader 1")).toHex());
        const QString bad(64, u'0');
        QCOMPARE(authority
                     .ctl({u"reference"_s, u"set"_s, u"--hardware"_s, u"swtpm"_s, u"--pcr"_s, u"4="_s + good,
                           u"--pcr"_s, u"4="_s + bad})
                     .exitCode,
                 0);
        QCOMPARE(authority.ctl({u"reference"_s, u"set"_s, u"--hardware"_s, u"swtpm"_s, u"--pcr"_s, u"4=xy"_s}).exitCode,
                 2);
        QCOMPARE(authority.ctl({u"device"_s, u"set"_s, u"hvac-001"_s, u"--hardware"_s, u"swtpm"_s}).exitCode, 0);
        auto &source = device.startOn(authority);
        QTRY_VERIFY2_WITH_TIMEOUT(bool(source.current()), qPrintable(sentenceOf(source)), kSlow);
        QVERIFY(!historyOf(authority).first().toObject().value("event_log_sha256"_L1).toString().isEmpty());

        const QByteArray forged = eventLogOf(4, {"boot loader 1", "something that was never measured"});
        device.putEventLog(forged);
        source.hurry();
        const auto isRefused = [&source] {
            return sentenceOf(source).contains(u"event log does not lead to the quoted value of PCR 4"_s);
        };
        QTRY_VERIFY_WITH_TIMEOUT(isRefused() || source.status().rotations > 0, kSlow);
        QVERIFY2(isRefused(), qPrintable(sentenceOf(source)));
        QCOMPARE(source.status().rotations, 0ULL);
        const auto shown = authority.ctl({u"device"_s, u"show"_s, u"hvac-001"_s}).json;
        QCOMPARE(shown.value("verdict"_L1).toString(), u"event_log_contradicts"_s);
        const auto kept = authority.ctl({u"device"_s, u"history"_s, u"hvac-001"_s, u"--evidence"_s})
                              .json.value("attestations"_L1)
                              .toArray()
                              .first()
                              .toObject();
        QCOMPARE(QByteArray::fromBase64(kept.value("event_log"_L1).toString().toLatin1()), forged);
        QVERIFY(!kept.value("quote"_L1).toString().isEmpty());
        QCOMPARE(authority.ctl({u"device"_s, u"accept-boot"_s, u"hvac-001"_s}).exitCode, 1);

        device.putEventLog(eventLogOf(4, {"boot loader 1"}));
        QTRY_VERIFY2_WITH_TIMEOUT(source.status().rotations > 0, qPrintable(sentenceOf(source)), kSlow);
        QCOMPARE(authority.ctl({u"reference"_s, u"remove"_s, u"--hardware"_s, u"swtpm"_s}).exitCode, 0);
        QVERIFY(authority.ctl({u"reference"_s, u"list"_s}).json.value("references"_L1).toArray().isEmpty());
    }

    void chip_thatAttestsTooOftenIsHeld()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        Device device;
        QCOMPARE(authority.ctl(device.enrolment()).exitCode, 0);
        auto &source = device.startOn(authority);
        QTRY_VERIFY2_WITH_TIMEOUT(bool(source.current()), qPrintable(sentenceOf(source)), kSlow);
        const auto isHeld = [&source] { return sentenceOf(source).contains(u"attests too often"_s); };
        quint64 times = 0;
        for (; times < 30 && !isHeld(); ++times) {
            source.hurry();
            QTRY_VERIFY_WITH_TIMEOUT(isHeld() || source.status().rotations > times, kSlow);
        }
        QVERIFY2(isHeld(), qPrintable(sentenceOf(source)));
        QVERIFY(times >= 4);
        QVERIFY(source.current()); // what it has stays good
    }

    void flood_costsNoRowsAndKeepsNobodyOut()
    {
        AuthorityUnderTest authority;
        QVERIFY2(authority.start(), qPrintable(authority.log()));
        Device device;
        QCOMPARE(authority.ctl(device.enrolment()).exitCode, 0);
        const auto trail = [&authority] {
            return authority.ctl({u"authority"_s, u"audit"_s}).json.value("records"_L1).toArray().size();
        };
        const auto before = trail();
        const QString bundleFile = authority.file(u"bundle.json"_s);
        QCOMPARE(authority.ctl({u"bundle"_s, u"show"_s, u"--out"_s, bundleFile}).exitCode, 0);
        const auto bundle = tls::parseBundle(*tls::readWholeFile(bundleFile));
        QVERIFY(bundle);
        const SpiffeId server = *SpiffeId::parse(u"spiffe://%1/spire/server"_s.arg(kDomain));
        const TrustBundles roots{{server.trustDomain(), bundle->x509Authorities}};

        // Half of the calls on one connection; for the others a new one after every hundred.
        constexpr int kCalls = 10'000;
        constexpr int kAtOnce = 50;
        const auto connect50 = [&] {
            return std::make_unique<grpc::Channel>(
                grpc::ChannelTarget{authority.address(), [=]() -> Result<grpc::ClientTls> {
                                        return grpc::ClientTls{std::nullopt, server, roots, {}};
                                    }});
        };
        auto channel = connect50();
        int finished = 0;
        int refused = 0;
        int tooMany = 0;
        auto &source = device.startOn(authority);
        QElapsedTimer timer;
        timer.start();
        for (int started = 0; started < kCalls; started += kAtOnce) {
            if (started > kCalls / 2 && started % 100 == 0)
                channel = connect50();
            for (int i = 0; i < kAtOnce; ++i) {
                ::spire::api::server::agent::v1::AttestAgentRequest request;
                request.mutable_params()->mutable_data()->set_type(i % 3 == 0 ? "lintel_tpm" : "no such thing");
                request.mutable_params()->mutable_data()->set_payload("{\"v\":1, \"ek_pub\": "
                                                                      + std::to_string(started + i));
                request.mutable_params()->mutable_params()->set_csr(i % 2 == 0 ? "not a request" : "");
                auto *call = channel->start(lintel::spire::method::agent("AttestAgent"));
                connect(call, &grpc::ClientCall::finished, this, [&](const grpc::Status &status) {
                    ++finished;
                    refused += !status.isOk();
                    tooMany += status.code == grpc::StatusCode::ResourceExhausted;
                });
                call->send(lintel::spire::serialize(request));
            }
            QTRY_COMPARE_WITH_TIMEOUT(finished, started + kAtOnce, kSlow);
        }
        qInfo("%d calls in %lld ms, %d of them not looked at", finished, static_cast<long long>(timer.elapsed()),
              tooMany);
        QCOMPARE(refused, kCalls);
        QVERIFY(tooMany > kCalls / 2);
        // From the same address, and all the time of the flood.
        QTRY_VERIFY2_WITH_TIMEOUT(bool(source.current()), qPrintable(sentenceOf(source)), kSlow);
        QCOMPARE(trail(), before + 1); // the device's first attestation
        const auto rows = authority.ctl({u"authority"_s, u"refusals"_s}).json.value("refusals"_L1).toArray();
        QVERIFY2(rows.size() < 100, qPrintable(QString::number(rows.size())));
        qint64 counted = 0;
        for (const auto row : rows)
            counted += row.toObject().value("count"_L1).toInteger();
        QCOMPARE(counted, kCalls);
    }
};

QTEST_GUILESS_MAIN(TestAuthorityBoot)
#include "tst_authority_boot.moc"
