// Keys of a TpmDevice: made, loaded, used and forgotten.
#include "tpm/tpm_device_private.h"
#include "tpm/tpm_templates.h"

#include <openssl/ecdsa.h>

#include <algorithm>

namespace lintel {

using namespace Qt::StringLiterals;
using tpm::check;
using tpm::EsysPtr;
using tpm::Out;
using tpm::TssError;

namespace {
constexpr TPM2_HANDLE kPersistentStorageRoot = 0x81000001; // TCG Registry of Reserved Handles
/// A TPM has room for three objects. Making or loading a key takes two: its parent and itself.
constexpr size_t kMayStayLoaded = 1;
using EcdsaPtr = std::unique_ptr<ECDSA_SIG, tls::Freer<ECDSA_SIG_free>>;

bool isStorageKey(const TPMT_PUBLIC &area)
{
    constexpr TPMA_OBJECT kWanted =
        TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_USERWITHAUTH;
    return (area.objectAttributes & kWanted) == kWanted && !(area.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT);
}

QByteArray nameOfHandle(ESYS_CONTEXT *esys, ESYS_TR handle)
{
    EsysPtr<TPM2B_NAME> name;
    check(Esys_TR_GetName(esys, handle, Out(name)), "TR_GetName");
    return tpm::contentOf(name->size, name->name);
}

QByteArray derOf(const TPMT_SIGNATURE &signature)
{
    const TPMS_SIGNATURE_ECDSA &ecdsa = signature.signature.ecdsa;
    const EcdsaPtr pair{ECDSA_SIG_new()};
    tls::BignumPtr r{BN_bin2bn(ecdsa.signatureR.buffer, ecdsa.signatureR.size, nullptr)};
    tls::BignumPtr s{BN_bin2bn(ecdsa.signatureS.buffer, ecdsa.signatureS.size, nullptr)};
    if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1)
        return {};
    static_cast<void>(r.release());
    static_cast<void>(s.release());
    uint8_t *der = nullptr;
    const int size = i2d_ECDSA_SIG(pair.get(), &der);
    if (size <= 0)
        return {};
    QByteArray bytes(reinterpret_cast<const char *>(der), size);
    OPENSSL_free(der);
    return bytes;
}
} // namespace

bool TpmDevice::Private::recover(const TssError &failure)
{
    // Without a resource manager another program may fill the places up: ours become free.
    const bool isFull = tpm::plainCode(failure.code) == TPM2_RC_OBJECT_MEMORY;
    if (!isFull && !tpm::isConnectionLost(failure.code) && !tpm::isHandleLost(failure.code))
        return false;
    forgetLostHandles();
    if (isFull)
        for (const Loaded &entry : loaded)
            context.flush(entry.handle);
    else
        context.close();
    loaded.clear();
    return true;
}

void TpmDevice::Private::forgetLostHandles()
{
    if (loadedIn != context.generation())
        loaded.clear();
    loadedIn = context.generation();
}

void TpmDevice::Private::makeRoom()
{
    while (loaded.size() > kMayStayLoaded) {
        context.flush(loaded.back().handle);
        loaded.pop_back();
    }
}

ESYS_TR TpmDevice::Private::load(ESYS_CONTEXT *esys, const std::shared_ptr<const tpm::WrappedKey> &key)
{
    forgetLostHandles();
    const auto found =
        std::find_if(loaded.begin(), loaded.end(), [&](const Loaded &entry) { return entry.key == key; });
    if (found != loaded.end()) {
        loaded.splice(loaded.begin(), loaded, found);
        return loaded.front().handle;
    }
    makeRoom();
    const Parent parent = openParent(esys);
    ESYS_TR handle = ESYS_TR_NONE;
    const TSS2_RC code = Esys_Load(esys, parent.handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &key->privateArea,
                                   &key->publicArea, &handle);
    closeParent(parent);
    check(code, "Load");
    loaded.push_front({key, handle});
    return handle;
}

void TpmDevice::Private::unload(const std::shared_ptr<const tpm::WrappedKey> &key)
{
    const std::lock_guard lock(mutex);
    const tpm::SigpipeGuard sigpipe;
    forgetLostHandles();
    const auto found =
        std::find_if(loaded.begin(), loaded.end(), [&](const Loaded &entry) { return entry.key == key; });
    if (found == loaded.end())
        return;
    context.flush(found->handle);
    loaded.erase(found);
}

ESYS_TR TpmDevice::Private::openPrimary(ESYS_CONTEXT *esys, ESYS_TR hierarchy, const TPMT_PUBLIC &area,
                                        std::optional<TPMS_CONTEXT> &kept)
{
    ESYS_TR handle = ESYS_TR_NONE;
    if (kept) {
        const TSS2_RC code = Esys_ContextLoad(esys, &*kept, &handle);
        if (code == TSS2_RC_SUCCESS)
            return handle;
        kept.reset();
        if (tpm::isConnectionLost(code))
            throw TssError{code, "ContextLoad"};
    }
    const TPM2B_SENSITIVE_CREATE noSecret{};
    const TPM2B_DATA noData{};
    const TPML_PCR_SELECTION noPcrs{};
    TPM2B_PUBLIC in{};
    in.publicArea = area;
    check(Esys_CreatePrimary(esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &noSecret, &in, &noData,
                             &noPcrs, &handle, nullptr, nullptr, nullptr, nullptr),
          "CreatePrimary");
    EsysPtr<TPMS_CONTEXT> saved;
    if (Esys_ContextSave(esys, handle, Out(saved)) == TSS2_RC_SUCCESS)
        kept = *saved;
    return handle;
}

TpmDevice::Private::Parent TpmDevice::Private::openParent(ESYS_CONTEXT *esys)
{
    Parent parent;
    if (context.exists(kPersistentStorageRoot)) {
        check(Esys_TR_FromTPMPublic(esys, kPersistentStorageRoot, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                    &parent.handle),
              "ReadPublic");
        EsysPtr<TPM2B_PUBLIC> area;
        check(
            Esys_ReadPublic(esys, parent.handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, Out(area), nullptr, nullptr),
            "ReadPublic");
        if (isStorageKey(area->publicArea)) {
            parent.name = nameOfHandle(esys, parent.handle);
            return parent;
        }
        Esys_TR_Close(esys, &parent.handle);
    }
    parent.isTransient = true;
    parent.handle = openPrimary(esys, ESYS_TR_RH_OWNER, tpm::storageRootTemplate(), keptParent);
    parent.name = nameOfHandle(esys, parent.handle);
    return parent;
}

void TpmDevice::Private::closeParent(const Parent &parent)
{
    if (parent.isTransient)
        context.flush(parent.handle);
}

TpmDevice::Private::Created TpmDevice::Private::create(ESYS_CONTEXT *esys, const TPMT_PUBLIC &area)
{
    const TPM2B_SENSITIVE_CREATE noSecret{};
    const TPM2B_DATA noData{};
    const TPML_PCR_SELECTION noPcrs{};
    TPM2B_PUBLIC in{};
    in.publicArea = area;
    EsysPtr<TPM2B_PRIVATE> privateArea;
    EsysPtr<TPM2B_PUBLIC> publicArea;
    EsysPtr<TPM2B_CREATION_DATA> data;
    EsysPtr<TPM2B_DIGEST> hash;
    EsysPtr<TPMT_TK_CREATION> ticket;
    forgetLostHandles();
    makeRoom();
    const Parent parent = openParent(esys);
    const TSS2_RC code =
        Esys_Create(esys, parent.handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &noSecret, &in, &noData, &noPcrs,
                    Out(privateArea), Out(publicArea), Out(data), Out(hash), Out(ticket));
    closeParent(parent);
    check(code, "Create");
    auto key = std::make_shared<tpm::WrappedKey>();
    key->publicArea = *publicArea;
    key->privateArea = *privateArea;
    return {std::move(key), tpm::marshalled<Tss2_MU_TPMS_CREATION_DATA_Marshal>(data->creationData), *hash, *ticket,
            parent.name};
}

QByteArray TpmDevice::wrappedFormOf(const TpmKey &key)
{
    return tpm::marshalled<Tss2_MU_TPM2B_PUBLIC_Marshal>(key.wrapped().publicArea)
           + tpm::marshalled<Tss2_MU_TPM2B_PRIVATE_Marshal>(key.wrapped().privateArea);
}

Result<std::shared_ptr<TpmKey>> TpmDevice::openKey(const QByteArray &wrapped)
{
    // TPM2B_PUBLIC begins with its own size.
    const qsizetype publicSize = wrapped.size() < 2 ? 0 : 2 + ((quint8(wrapped.at(0)) << 8) | quint8(wrapped.at(1)));
    const auto publicArea = tpm::unmarshalled<TPM2B_PUBLIC, Tss2_MU_TPM2B_PUBLIC_Unmarshal>(wrapped.left(publicSize));
    const auto privateArea = tpm::unmarshalled<TPM2B_PRIVATE, Tss2_MU_TPM2B_PRIVATE_Unmarshal>(wrapped.mid(publicSize));
    if (!publicArea || !privateArea)
        return Error{Errc::Malformed, u"This is no key that a TPM has wrapped."_s};
    auto key = std::make_shared<tpm::WrappedKey>();
    key->publicArea = *publicArea;
    key->privateArea = *privateArea;
    return d->run([&](ESYS_CONTEXT *esys) -> Result<std::shared_ptr<TpmKey>> {
        try {
            static_cast<void>(d->load(esys, key));
        } catch (const TssError &failure) {
            if (tpm::plainCode(failure.code) != TPM2_RC_INTEGRITY)
                throw;
            return Error{Errc::Denied, u"The key belongs to another TPM, or this one was cleared since."_s};
        }
        return std::make_shared<TpmKey>(d, key);
    });
}

TpmKey::TpmKey(std::shared_ptr<TpmDevice::Private> device, std::shared_ptr<const tpm::WrappedKey> wrapped)
    : m_device(std::move(device)), m_wrapped(std::move(wrapped))
{}

TpmKey::~TpmKey()
{
    m_device->unload(m_wrapped);
}

Result<QByteArray> TpmKey::signDigest(const QByteArray &digest) const
{
    TPM2B_DIGEST in{};
    TPMT_SIG_SCHEME scheme{};
    scheme.scheme = TPM2_ALG_ECDSA;
    switch (digest.size()) {
    case 32: scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256; break;
    case 48: scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA384; break;
    case 64: scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA512; break;
    default: return Error{Errc::Unsupported, u"Keys in a TPM sign SHA-256, SHA-384 and SHA-512 digests only."_s};
    }
    in.size = static_cast<UINT16>(digest.size());
    std::copy(digest.begin(), digest.end(), in.buffer);
    TPMT_TK_HASHCHECK noTicket{};
    noTicket.tag = TPM2_ST_HASHCHECK;
    noTicket.hierarchy = TPM2_RH_NULL;
    return m_device->run([&](ESYS_CONTEXT *esys) -> Result<QByteArray> {
        const ESYS_TR handle = m_device->load(esys, m_wrapped);
        EsysPtr<TPMT_SIGNATURE> signature;
        check(Esys_Sign(esys, handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &in, &scheme, &noTicket,
                        Out(signature)),
              "Sign");
        QByteArray der = derOf(*signature);
        if (der.isEmpty())
            return Error{Errc::Io, u"A signature of the TPM cannot be encoded."_s};
        return der;
    });
}

} // namespace lintel
