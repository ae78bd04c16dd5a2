// The endorsement key of a TpmDevice: its certificate in NV, and the key itself, persistent or made
// from the profile's template.
#include "tpm/tpm_device_private.h"
#include "tpm/tpm_templates.h"

#include <openssl/asn1.h>

#include <QCryptographicHash>

#include <array>

namespace lintel {

using namespace Qt::StringLiterals;
using tpm::check;
using tpm::EsysPtr;
using tpm::Out;

namespace {
constexpr TPM2_HANDLE kPersistentEndorsementFirst = 0x81010000;
constexpr TPM2_HANDLE kPersistentEndorsementLast = 0x810100ff;

/// TCG EK Credential Profile 2.5, section 2.2.1.4 and 2.2.1.5
struct Kind {
    EndorsementChoice choice;
    TPM2_HANDLE certificateIndex;
    TPM2_HANDLE templateIndex; // 0: the high range has none of its own
    TPMT_PUBLIC (*usualTemplate)();
};
constexpr std::array kKinds = {
    Kind{EndorsementChoice::Rsa, 0x01c00002, 0x01c00004, tpm::endorsementRsaTemplate},
    Kind{EndorsementChoice::EccP256, 0x01c0000a, 0x01c0000c, tpm::endorsementEccP256Template},
    Kind{EndorsementChoice::EccP384, 0x01c00016, 0, tpm::endorsementEccP384Template},
};

/// Some makers fill the index up behind the certificate.
QByteArray withoutPadding(const QByteArray &der)
{
    const auto *at = reinterpret_cast<const uint8_t *>(der.constData());
    const auto *const begin = at;
    long length = 0;
    int tag = 0;
    int tagClass = 0;
    const int result = ASN1_get_object(&at, &length, &tag, &tagClass, static_cast<long>(der.size()));
    ERR_clear_error();
    if ((result & 0x80) || tag != V_ASN1_SEQUENCE)
        return {};
    return der.first(qsizetype{at - begin} + length);
}

QByteArray keyInfoOf(const TPMT_PUBLIC &area)
{
    const auto key = tpm::evpKeyOf(area);
    return key ? tpm::subjectPublicKeyInfo(key->get()) : QByteArray{};
}

QByteArray keyInfoOfCertificate(const QByteArray &der)
{
    const tls::X509Ptr certificate = tpm::certificateFromWholeDer(der);
    const EVP_PKEY *key = certificate ? X509_get0_pubkey(certificate.get()) : nullptr;
    return key ? tpm::subjectPublicKeyInfo(key) : QByteArray{};
}

EsysPtr<TPM2B_PUBLIC> publicOf(ESYS_CONTEXT *esys, ESYS_TR handle)
{
    EsysPtr<TPM2B_PUBLIC> area;
    check(Esys_ReadPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, Out(area), nullptr, nullptr),
          "ReadPublic");
    return area;
}
} // namespace

TPMT_PUBLIC TpmDevice::Private::templateOf(TPM2_HANDLE index, const TPMT_PUBLIC &usual)
{
    if (index == 0 || !context.exists(index))
        return usual;
    return tpm::publicFromBytes(context.readNv(index)).value_or(usual);
}

/// Nothing when this TPM has no certificate for such a key.
std::optional<TpmDevice::Private::Endorsement> TpmDevice::Private::findEndorsement(ESYS_CONTEXT *esys,
                                                                                   EndorsementChoice choice)
{
    const auto *kind =
        std::find_if(kKinds.begin(), kKinds.end(), [choice](const Kind &k) { return k.choice == choice; });
    const bool hasCertificate = context.exists(kind->certificateIndex);
    Endorsement ek;
    if (hasCertificate)
        ek.facts.certificateDer = withoutPadding(context.readNv(kind->certificateIndex));
    const QByteArray wanted = keyInfoOfCertificate(ek.facts.certificateDer);
    if (wanted.isEmpty())
        ek.facts.certificateDer.clear();

    for (const TPM2_HANDLE handle : context.handles(kPersistentEndorsementFirst)) {
        if (wanted.isEmpty() || handle > kPersistentEndorsementLast)
            break;
        ESYS_TR object = ESYS_TR_NONE;
        check(Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object), "ReadPublic");
        const auto area = publicOf(esys, object);
        Esys_TR_Close(esys, &object);
        if (keyInfoOf(area->publicArea) == wanted) {
            ek.persistent = handle;
            ek.area = area->publicArea;
            break;
        }
    }
    if (ek.persistent == 0) {
        if (wanted.isEmpty() && options.endorsement != choice && choice != EndorsementChoice::Rsa)
            return std::nullopt;
        keptEndorsement.reset();
        const ESYS_TR object = openPrimary(esys, ESYS_TR_RH_ENDORSEMENT,
                                           templateOf(kind->templateIndex, kind->usualTemplate()), keptEndorsement);
        const auto area = publicOf(esys, object);
        context.flush(object);
        ek.area = area->publicArea;
        // A certificate for a key that the template does not give is of no use: nobody could open
        // a credential that is made for it.
        if (!wanted.isEmpty() && keyInfoOf(ek.area) != wanted)
            ek.facts.certificateDer.clear();
    }
    ek.facts.publicKeyDer = keyInfoOf(ek.area);
    ek.facts.publicArea = tpm::bytesOf(ek.area);
    ek.facts.hash =
        QString::fromLatin1(QCryptographicHash::hash(ek.facts.publicKeyDer, QCryptographicHash::Sha256).toHex());
    return ek;
}

const TpmDevice::Private::Endorsement &TpmDevice::Private::endorsementKey(ESYS_CONTEXT *esys)
{
    if (endorsement)
        return *endorsement;
    if (options.endorsement != EndorsementChoice::Automatic)
        return endorsement.emplace(findEndorsement(esys, options.endorsement).value());
    for (const Kind &kind : kKinds)
        if (context.exists(kind.certificateIndex))
            if (auto found = findEndorsement(esys, kind.choice); found && !found->facts.certificateDer.isEmpty())
                return endorsement.emplace(std::move(*found));
    return endorsement.emplace(findEndorsement(esys, EndorsementChoice::Rsa).value());
}

ESYS_TR TpmDevice::Private::openEndorsement(ESYS_CONTEXT *esys, const Endorsement &ek)
{
    if (ek.persistent == 0) {
        const auto *kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind &k) {
            const TPMT_PUBLIC usual = k.usualTemplate();
            return usual.type == ek.area.type
                   && (usual.type == TPM2_ALG_RSA
                       || usual.parameters.eccDetail.curveID == ek.area.parameters.eccDetail.curveID);
        });
        return openPrimary(esys, ESYS_TR_RH_ENDORSEMENT, templateOf(kind->templateIndex, kind->usualTemplate()),
                           keptEndorsement);
    }
    ESYS_TR handle = ESYS_TR_NONE;
    check(Esys_TR_FromTPMPublic(esys, ek.persistent, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &handle), "ReadPublic");
    return handle;
}

void TpmDevice::Private::closeEndorsement(ESYS_CONTEXT *esys, const Endorsement &ek, ESYS_TR handle)
{
    if (ek.persistent == 0)
        context.flush(handle);
    else
        Esys_TR_Close(esys, &handle);
}

} // namespace lintel
