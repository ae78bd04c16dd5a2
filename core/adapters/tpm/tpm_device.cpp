#include "tpm/tpm_device.h"

#include "tpm/tpm_device_private.h"
#include "tpm/tpm_key_provider.h"
#include "tpm/tpm_templates.h"

#include "tls/identity_files.h"

#include <algorithm>

namespace lintel {

using namespace Qt::StringLiterals;
using tpm::check;
using tpm::EsysPtr;
using tpm::Out;
using tpm::TssError;

namespace {
constexpr quint32 kFamilyTwo = 0x322e3000; // "2.0"

QString lettersOf(quint32 value)
{
    QString text;
    for (int shift = 24; shift >= 0; shift -= 8)
        if (const auto letter = static_cast<char>((value >> shift) & 0xff); letter > ' ' && letter < 127)
            text += QLatin1Char(letter);
    return text;
}

TPML_PCR_SELECTION selectionOf(TPMI_ALG_HASH bank, const QList<int> &pcrs)
{
    TPML_PCR_SELECTION selection{};
    selection.count = 1;
    selection.pcrSelections[0].hash = bank;
    selection.pcrSelections[0].sizeofSelect = 3;
    for (const int pcr : pcrs)
        selection.pcrSelections[0].pcrSelect[pcr / 8] |= static_cast<BYTE>(1 << (pcr % 8));
    return selection;
}

/// A read returns eight values at most, so it is asked again for the rest.
QMap<int, QByteArray> readPcrs(ESYS_CONTEXT *esys, TPMI_ALG_HASH bank, QList<int> left)
{
    QMap<int, QByteArray> values;
    while (!left.isEmpty()) {
        const TPML_PCR_SELECTION wanted = selectionOf(bank, left);
        EsysPtr<TPML_PCR_SELECTION> got;
        EsysPtr<TPML_DIGEST> digests;
        check(Esys_PCR_Read(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &wanted, nullptr, Out(got), Out(digests)),
              "PCR_Read");
        quint32 at = 0;
        for (const int pcr : QList<int>(left)) {
            const bool isThere = got->count == 1 && (got->pcrSelections[0].pcrSelect[pcr / 8] & (1 << (pcr % 8)));
            if (!isThere || at >= digests->count)
                continue;
            const TPM2B_DIGEST &digest = digests->digests[at++];
            values.insert(pcr, tpm::contentOf(digest.size, digest.buffer));
            left.removeOne(pcr);
        }
        if (at == 0)
            throw TssError{TPM2_RC_PCR, "PCR_Read"};
    }
    return values;
}

Result<TPM2B_DATA> qualifying(const QByteArray &bytes)
{
    TPM2B_DATA data{};
    if (bytes.size() > static_cast<qsizetype>(sizeof data.buffer))
        return Error{Errc::OutOfRange, u"Qualifying data for a TPM have 64 bytes at most."_s};
    data.size = static_cast<UINT16>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), data.buffer);
    return data;
}

TpmSigned signedOf(const TPM2B_ATTEST &attest, const TPMT_SIGNATURE &signature)
{
    return {tpm::contentOf(attest.size, attest.attestationData), tpm::bytesOf(signature)};
}

constexpr TPMT_SIG_SCHEME kSchemeOfKey{.scheme = TPM2_ALG_NULL, .details = {}};
} // namespace

TpmDevice::TpmDevice(std::shared_ptr<Private> priv) : d(std::move(priv)) {}
TpmDevice::~TpmDevice() = default;

Result<std::shared_ptr<TpmDevice>> TpmDevice::open(const TpmOptions &options)
{
    if (options.tcti.isEmpty() || options.stateDir.isEmpty())
        return Error{Errc::OutOfRange, u"A TPM needs a connection (for example device:/dev/tpmrm0) and a directory "
                                       "for its state."_s};
    if (auto made = tls::makePrivateDirectory(options.stateDir); !made)
        return made.error();
    auto priv = std::make_shared<Private>(options);
    auto family = priv->run([&](ESYS_CONTEXT *) -> Result<quint32> {
        priv->manufacturer = lettersOf(priv->context.property(TPM2_PT_MANUFACTURER));
        return priv->context.property(TPM2_PT_FAMILY_INDICATOR);
    });
    if (!family)
        return family.error();
    if (*family != kFamilyTwo)
        return Error{Errc::Unsupported, u"What answers at %1 is not a TPM 2.0."_s.arg(options.tcti)};
    return std::shared_ptr<TpmDevice>(new TpmDevice(std::move(priv)));
}

QString TpmDevice::manufacturer() const
{
    return d->manufacturer;
}

Result<TpmEndorsement> TpmDevice::endorsement()
{
    return d->run([this](ESYS_CONTEXT *esys) -> Result<TpmEndorsement> { return d->endorsementKey(esys).facts; });
}

Result<TpmAttestationKey> TpmDevice::attestationKey()
{
    return d->run(
        [this](ESYS_CONTEXT *esys) -> Result<TpmAttestationKey> { return d->ensureAttestationKey(esys).facts; });
}

Result<std::shared_ptr<TpmKey>> TpmDevice::createKey()
{
    return d->run([this](ESYS_CONTEXT *esys) -> Result<std::shared_ptr<TpmKey>> {
        return std::make_shared<TpmKey>(d, d->create(esys, tpm::signingKeyTemplate()).key);
    });
}

Result<std::shared_ptr<EVP_PKEY>> TpmDevice::evpKey(const std::shared_ptr<TpmKey> &key)
{
    return tpm::evpKeyFor(key, key->wrapped().publicArea.publicArea);
}

QByteArray TpmDevice::publicAreaOf(const TpmKey &key)
{
    return tpm::bytesOf(key.wrapped().publicArea.publicArea);
}

Result<TpmQuote> TpmDevice::quote(const QString &bank, const QList<int> &pcrs, const QByteArray &qualifyingData)
{
    const TPMI_ALG_HASH hash = tpm::hashByName(bank);
    const auto outside = [](int pcr) { return pcr < 0 || pcr > 23; };
    if (hash == TPM2_ALG_NULL || pcrs.isEmpty() || std::any_of(pcrs.begin(), pcrs.end(), outside))
        return Error{Errc::OutOfRange, u"A quote is about PCRs 0 to 23 of a bank that exists."_s};
    const auto data = qualifying(qualifyingData);
    if (!data)
        return data.error();
    return d->run([&](ESYS_CONTEXT *esys) -> Result<TpmQuote> {
        const ESYS_TR ak = d->loadAttestationKey(esys);
        const TPML_PCR_SELECTION selection = selectionOf(hash, pcrs);
        // A measurement between reading and quoting would make the two differ: read around it.
        for (int attempt = 0;; ++attempt) {
            QMap<int, QByteArray> before = readPcrs(esys, hash, pcrs);
            EsysPtr<TPM2B_ATTEST> attest;
            EsysPtr<TPMT_SIGNATURE> signature;
            check(Esys_Quote(esys, ak, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &*data, &kSchemeOfKey, &selection,
                             Out(attest), Out(signature)),
                  "Quote");
            TpmSigned evidence = signedOf(*attest, *signature);
            const auto statement = tpm::attestFromBytes(evidence.attest);
            QByteArray all;
            for (const QByteArray &value : std::as_const(before))
                all += value;
            const bool same =
                statement
                && tpm::contentOf(statement->attested.quote.pcrDigest.size, statement->attested.quote.pcrDigest.buffer)
                       == tpm::digest(TPM2_ALG_SHA256, all);
            if (same)
                return TpmQuote{std::move(evidence), std::move(before)};
            if (attempt == 3)
                return Error{Errc::Unavailable, u"The PCRs change faster than they can be quoted; try again."_s};
        }
    });
}

Result<TpmSigned> TpmDevice::certify(const std::shared_ptr<TpmKey> &key, const QByteArray &qualifyingData)
{
    const auto data = qualifying(qualifyingData);
    if (!data)
        return data.error();
    return d->run([&](ESYS_CONTEXT *esys) -> Result<TpmSigned> {
        static_cast<void>(d->loadAttestationKey(esys)); // two keys stay loaded, so both handles are good
        const ESYS_TR object = d->load(esys, key->shared());
        const ESYS_TR ak = d->loadAttestationKey(esys);
        EsysPtr<TPM2B_ATTEST> attest;
        EsysPtr<TPMT_SIGNATURE> signature;
        check(Esys_Certify(esys, object, ak, ESYS_TR_PASSWORD, ESYS_TR_PASSWORD, ESYS_TR_NONE, &*data, &kSchemeOfKey,
                           Out(attest), Out(signature)),
              "Certify");
        return signedOf(*attest, *signature);
    });
}

Result<QList<QString>> TpmDevice::pcrBanks()
{
    return d->run([](ESYS_CONTEXT *esys) -> Result<QList<QString>> {
        EsysPtr<TPMS_CAPABILITY_DATA> data;
        check(Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_PCRS, 0, TPM2_NUM_PCR_BANKS,
                                 nullptr, Out(data)),
              "GetCapability");
        const TPML_PCR_SELECTION &banks = data->data.assignedPCR;
        QList<QString> names;
        for (quint32 i = 0; i < banks.count; ++i) {
            const TPMS_PCR_SELECTION &bank = banks.pcrSelections[i];
            const bool hasPcrs =
                std::any_of(bank.pcrSelect, bank.pcrSelect + bank.sizeofSelect, [](BYTE byte) { return byte != 0; });
            const QString name = tpm::nameOfHash(bank.hash);
            if (hasPcrs && !name.isEmpty())
                names.append(name);
        }
        return names;
    });
}

} // namespace lintel
