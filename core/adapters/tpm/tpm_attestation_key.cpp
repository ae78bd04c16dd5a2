// The attestation key of a TpmDevice: made once, kept wrapped in the state directory, made again when
// the TPM was cleared. And what only it can do: opening a credential.
#include "domain/qt_cbor.h"
#include "tls/identity_files.h"
#include "tpm/tpm_device_private.h"
#include "tpm/tpm_templates.h"

#include <QCborMap>
#include <QCborValue>
#include <QDir>

namespace lintel {

using namespace Qt::StringLiterals;
using tpm::check;
using tpm::EsysPtr;
using tpm::Out;
using tpm::TssError;

namespace {
constexpr int kFileVersion = 1;
constexpr auto kVersion = "v"_L1;
constexpr auto kParent = "parent"_L1;
constexpr auto kPublic = "public"_L1;
constexpr auto kPrivate = "private"_L1;
constexpr auto kCreationData = "creation_data"_L1;
constexpr auto kAttest = "attest"_L1;
constexpr auto kSignature = "signature"_L1;

constexpr TPMT_SIG_SCHEME kSchemeOfKey{.scheme = TPM2_ALG_NULL, .details = {}};

QString fileIn(const QString &dir)
{
    return QDir(dir).filePath(u"attestation-key.cbor"_s);
}

/// TPM2B: two bytes of size, then as many bytes.
template <class Sized, auto Unmarshal>
Result<Sized> sizedFrom(const QByteArray &bytes, const QString &what)
{
    const auto value = tpm::unmarshalled<Sized, Unmarshal>(bytes);
    if (!value)
        return Error{Errc::Malformed, u"%1 in a message for the TPM is malformed."_s.arg(what)};
    return *value;
}
} // namespace

std::optional<TpmDevice::Private::AttestationKey> TpmDevice::Private::readAttestationKey() const
{
    const auto bytes = tls::readWholeFile(fileIn(options.stateDir));
    if (!bytes)
        return std::nullopt;
    const QCborMap map = cborMap(*bytes);
    if (wholeNumber(map.value(kVersion)) != kFileVersion)
        return std::nullopt;
    const auto publicArea =
        tpm::unmarshalled<TPM2B_PUBLIC, Tss2_MU_TPM2B_PUBLIC_Unmarshal>(map.value(kPublic).toByteArray());
    const auto privateArea =
        tpm::unmarshalled<TPM2B_PRIVATE, Tss2_MU_TPM2B_PRIVATE_Unmarshal>(map.value(kPrivate).toByteArray());
    if (!publicArea || !privateArea)
        return std::nullopt;
    AttestationKey out;
    auto key = std::make_shared<tpm::WrappedKey>();
    key->publicArea = *publicArea;
    key->privateArea = *privateArea;
    out.key = std::move(key);
    out.parentName = map.value(kParent).toByteArray();
    out.facts = {tpm::bytesOf(publicArea->publicArea), map.value(kCreationData).toByteArray(),
                 map.value(kAttest).toByteArray(), map.value(kSignature).toByteArray()};
    return out;
}

Result<void> TpmDevice::Private::writeAttestationKey(const AttestationKey &key) const
{
    const QCborMap map{
        {kVersion, kFileVersion},
        {kParent, key.parentName},
        {kPublic, tpm::marshalled<Tss2_MU_TPM2B_PUBLIC_Marshal>(key.key->publicArea)},
        {kPrivate, tpm::marshalled<Tss2_MU_TPM2B_PRIVATE_Marshal>(key.key->privateArea)},
        {kCreationData, key.facts.creationData},
        {kAttest, key.facts.creationAttest},
        {kSignature, key.facts.creationSignature},
    };
    return tls::writePrivateFile(fileIn(options.stateDir), map.toCborValue().toCbor());
}

TpmDevice::Private::AttestationKey TpmDevice::Private::makeAttestationKey(ESYS_CONTEXT *esys)
{
    const Created created = create(esys, tpm::attestationKeyTemplate());
    const ESYS_TR handle = load(esys, created.key);
    const TPM2B_DATA noData{};
    EsysPtr<TPM2B_ATTEST> attest;
    EsysPtr<TPMT_SIGNATURE> signature;
    // Only now, with the ticket of its creation, can the TPM say that it made this key.
    check(Esys_CertifyCreation(esys, handle, handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &noData,
                               &created.creationHash, &kSchemeOfKey, &created.ticket, Out(attest), Out(signature)),
          "CertifyCreation");
    return {created.key,
            created.parentName,
            {tpm::bytesOf(created.key->publicArea.publicArea), created.creationData,
             tpm::contentOf(attest->size, attest->attestationData), tpm::bytesOf(*signature)}};
}

/// A key of another TPM, or of this one before it was cleared, does not load; then a new one is made.
const TpmDevice::Private::AttestationKey &TpmDevice::Private::ensureAttestationKey(ESYS_CONTEXT *esys)
{
    if (attestationKey)
        return *attestationKey;
    if (auto stored = readAttestationKey()) {
        const Parent parent = openParent(esys);
        closeParent(parent);
        if (parent.name == stored->parentName) {
            static_cast<void>(load(esys, stored->key));
            return attestationKey.emplace(std::move(*stored));
        }
    }
    AttestationKey made = makeAttestationKey(esys);
    // One that cannot be written serves until the next start; it is not worth an outage.
    static_cast<void>(writeAttestationKey(made));
    return attestationKey.emplace(std::move(made));
}

ESYS_TR TpmDevice::Private::loadAttestationKey(ESYS_CONTEXT *esys)
{
    try {
        return load(esys, ensureAttestationKey(esys).key);
    } catch (const TssError &failure) {
        // Somebody cleared the TPM while this program ran: whatever it wrapped is void.
        if (tpm::plainCode(failure.code) != TPM2_RC_INTEGRITY)
            throw;
        attestationKey.reset();
        return load(esys, ensureAttestationKey(esys).key);
    }
}

Result<QByteArray> TpmDevice::activateCredential(const QByteArray &idObject, const QByteArray &encryptedSecret)
{
    const auto object = sizedFrom<TPM2B_ID_OBJECT, Tss2_MU_TPM2B_ID_OBJECT_Unmarshal>(idObject, u"The credential"_s);
    if (!object)
        return object.error();
    const auto secret = sizedFrom<TPM2B_ENCRYPTED_SECRET, Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal>(
        encryptedSecret, u"The encrypted secret"_s);
    if (!secret)
        return secret.error();
    return d->run([&](ESYS_CONTEXT *esys) -> Result<QByteArray> {
        const auto &ek = d->endorsementKey(esys);
        const ESYS_TR ak = d->loadAttestationKey(esys);
        const ESYS_TR endorsement = d->openEndorsement(esys, ek);
        ESYS_TR session = ESYS_TR_PASSWORD;
        EsysPtr<TPM2B_DIGEST> opened;
        TSS2_RC code = TSS2_RC_SUCCESS;
        if (!(ek.area.objectAttributes & TPMA_OBJECT_USERWITHAUTH)) {
            const TPMT_SYM_DEF noEncryption{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
            code = Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                         nullptr, TPM2_SE_POLICY, &noEncryption, TPM2_ALG_SHA256, &session);
            if (code == TSS2_RC_SUCCESS)
                code = Esys_PolicySecret(esys, ESYS_TR_RH_ENDORSEMENT, session, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                         ESYS_TR_NONE, nullptr, nullptr, nullptr, 0, nullptr, nullptr);
        }
        if (code == TSS2_RC_SUCCESS)
            code = Esys_ActivateCredential(esys, ak, endorsement, ESYS_TR_PASSWORD, session, ESYS_TR_NONE, &*object,
                                           &*secret, Out(opened));
        if (session != ESYS_TR_PASSWORD && !tpm::isConnectionLost(code))
            d->context.flush(session); // ESYS keeps sessions going unless it is told otherwise
        d->closeEndorsement(esys, ek, endorsement);
        const TSS2_RC plain = tpm::plainCode(code);
        // A secret for another RSA key is a wrong value, and to libtpms a failure.
        if (plain == TPM2_RC_INTEGRITY || plain == TPM2_RC_VALUE || plain == TPM2_RC_SIZE || plain == TPM2_RC_FAILURE)
            return Error{Errc::Denied, u"The TPM refuses this credential: it was made for another device."_s};
        check(code, "ActivateCredential");
        return tpm::contentOf(opened->size, opened->buffer);
    });
}

} // namespace lintel
