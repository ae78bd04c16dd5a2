#include "tpm/tpm_key_provider.h"

#include "tpm/tpm_device_private.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/proverr.h>
#include <openssl/provider.h>

#include <array>
#include <cstring>

namespace lintel::tpm {

using namespace Qt::StringLiterals;

namespace {
constexpr auto kProviderName = "lintel-tpm";
constexpr auto kProperty = "provider=lintel-tpm";
constexpr auto kKeyParameter = "lintel-tpm-key"; // the bytes of a pointer to KeyParts, for import only
constexpr size_t kPointerBytes = sizeof(void *);
/// The names under which OpenSSL knows EC keys: everything that asks "is this an EC key" must say yes.
constexpr auto kEcNames = "EC:id-ecPublicKey:1.2.840.10045.2.1";
constexpr auto kEcdsaNames = "ECDSA";

using DigestContext = std::unique_ptr<EVP_MD_CTX, tls::Freer<EVP_MD_CTX_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, tls::Freer<EVP_PKEY_CTX_free>>;

/// The key as this provider knows it: who signs, and the public half, which OpenSSL's own provider
/// understands and answers questions about.
struct KeyParts {
    std::shared_ptr<TpmKey> signer;
    std::shared_ptr<EVP_PKEY> publicHalf;
};

template <class Signature, class Function>
OSSL_DISPATCH entry(int id, Function function)
{
    Signature *typed = function; // the compiler checks that this is what OpenSSL will call
    return {id, reinterpret_cast<void (*)()>(typed)};
}

// --- Key management -------------------------------------------------------------------------------

KeyParts *partsOf(void *key)
{
    return static_cast<KeyParts *>(key);
}

const KeyParts *partsOf(const void *key)
{
    return static_cast<const KeyParts *>(key);
}

void *newKey(void *)
{
    return new (std::nothrow) KeyParts;
}

void freeKey(void *key)
{
    delete partsOf(key);
}

void *duplicateKey(const void *key, int)
{
    return new (std::nothrow) KeyParts(*partsOf(key));
}

int hasPart(const void *key, int selection)
{
    const KeyParts *parts = partsOf(key);
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) && !parts->signer)
        return 0;
    return parts->publicHalf ? 1 : 0;
}

int matchKeys(const void *a, const void *b, int)
{
    return EVP_PKEY_eq(partsOf(a)->publicHalf.get(), partsOf(b)->publicHalf.get()) == 1 ? 1 : 0;
}

int importKey(void *key, int, const OSSL_PARAM params[])
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, kKeyParameter);
    if (!param || param->data_type != OSSL_PARAM_OCTET_STRING || param->data_size != kPointerBytes)
        return 0;
    const KeyParts *from = nullptr;
    std::memcpy(&from, param->data, kPointerBytes);
    *partsOf(key) = *from;
    return 1;
}

/// Only the public half leaves. To say no to everything else is what makes OpenSSL come back here
/// for signatures, instead of copying the key into its own provider.
int exportKey(void *key, int selection, OSSL_CALLBACK *callback, void *argument)
{
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || !partsOf(key)->publicHalf)
        return 0;
    OSSL_PARAM *params = nullptr;
    if (EVP_PKEY_todata(partsOf(key)->publicHalf.get(), EVP_PKEY_PUBLIC_KEY, &params) != 1)
        return 0;
    const int ok = callback(params, argument);
    OSSL_PARAM_free(params);
    return ok;
}

const OSSL_PARAM *importableTypes(int)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_octet_string(kKeyParameter, nullptr, 0), OSSL_PARAM_construct_end()};
    return types;
}

const OSSL_PARAM *exportableTypes(int selection)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
                                       OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0),
                                       OSSL_PARAM_construct_end()};
    return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? nullptr : types;
}

int keyParameters(void *key, OSSL_PARAM params[])
{
    return partsOf(key)->publicHalf && EVP_PKEY_get_params(partsOf(key)->publicHalf.get(), params) == 1 ? 1 : 0;
}

const OSSL_PARAM *keyParameterTypes(void *)
{
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, nullptr),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_ENCODING, nullptr, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, nullptr, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_X, nullptr, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_Y, nullptr, 0),
        OSSL_PARAM_construct_end(),
    };
    return types;
}

const char *operationName(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? kEcdsaNames : nullptr;
}

const OSSL_DISPATCH *keyManagement()
{
    static const std::array functions = {
        entry<OSSL_FUNC_keymgmt_new_fn>(OSSL_FUNC_KEYMGMT_NEW, newKey),
        entry<OSSL_FUNC_keymgmt_free_fn>(OSSL_FUNC_KEYMGMT_FREE, freeKey),
        entry<OSSL_FUNC_keymgmt_dup_fn>(OSSL_FUNC_KEYMGMT_DUP, duplicateKey),
        entry<OSSL_FUNC_keymgmt_has_fn>(OSSL_FUNC_KEYMGMT_HAS, hasPart),
        entry<OSSL_FUNC_keymgmt_match_fn>(OSSL_FUNC_KEYMGMT_MATCH, matchKeys),
        entry<OSSL_FUNC_keymgmt_import_fn>(OSSL_FUNC_KEYMGMT_IMPORT, importKey),
        entry<OSSL_FUNC_keymgmt_import_types_fn>(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, importableTypes),
        entry<OSSL_FUNC_keymgmt_export_fn>(OSSL_FUNC_KEYMGMT_EXPORT, exportKey),
        entry<OSSL_FUNC_keymgmt_export_types_fn>(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, exportableTypes),
        entry<OSSL_FUNC_keymgmt_get_params_fn>(OSSL_FUNC_KEYMGMT_GET_PARAMS, keyParameters),
        entry<OSSL_FUNC_keymgmt_gettable_params_fn>(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, keyParameterTypes),
        entry<OSSL_FUNC_keymgmt_query_operation_name_fn>(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, operationName),
        OSSL_DISPATCH{0, nullptr},
    };
    return functions.data();
}

// --- Signatures -----------------------------------------------------------------------------------

/// One signature or verification. Hashing happens in software; a verification needs no TPM either
/// and goes to OpenSSL's own provider.
struct SignatureContext {
    KeyParts key;
    const EVP_MD *md = nullptr;
    DigestContext digest;
    DigestContext verification;

    SignatureContext() = default;
    SignatureContext(const SignatureContext &other)
        : key(other.key), md(other.md), digest(copyOf(other.digest)), verification(copyOf(other.verification))
    {}
    SignatureContext &operator=(const SignatureContext &) = delete;
    ~SignatureContext() = default;

    [[nodiscard]] static DigestContext copyOf(const DigestContext &from)
    {
        DigestContext to{from ? EVP_MD_CTX_new() : nullptr};
        if (to && EVP_MD_CTX_copy_ex(to.get(), from.get()) != 1)
            to.reset();
        return to;
    }
};

SignatureContext *contextOf(void *context)
{
    return static_cast<SignatureContext *>(context);
}

/// SHA-2 only; null for others.
const EVP_MD *digestByName(const char *name)
{
    for (const EVP_MD *md : {EVP_sha256(), EVP_sha384(), EVP_sha512()})
        if (name && EVP_MD_is_a(md, name))
            return md;
    // The default providers' digests know more spellings than the constants above.
    const std::unique_ptr<EVP_MD, tls::Freer<EVP_MD_free>> fetched{name ? EVP_MD_fetch(nullptr, name, nullptr)
                                                                        : nullptr};
    if (!fetched)
        return nullptr;
    for (const EVP_MD *md : {EVP_sha256(), EVP_sha384(), EVP_sha512()})
        if (EVP_MD_is_a(fetched.get(), EVP_MD_get0_name(md)))
            return md;
    return nullptr;
}

void *newContext(void *, const char *)
{
    return new (std::nothrow) SignatureContext;
}

void freeContext(void *context)
{
    delete contextOf(context);
}

void *duplicateContext(void *context)
{
    return new (std::nothrow) SignatureContext(*contextOf(context));
}

/// A null key means: the key of the last time.
bool takeKey(void *context, void *key)
{
    if (key)
        contextOf(context)->key = *partsOf(key);
    return contextOf(context)->key.publicHalf != nullptr;
}

/// Asks for the size when there is no buffer, as OpenSSL does first.
int deliver(SignatureContext &context, const QByteArray &digest, unsigned char *out, size_t *size, size_t room)
{
    const auto maximum = static_cast<size_t>(EVP_PKEY_get_size(context.key.publicHalf.get()));
    if (!out) {
        *size = maximum;
        return 1;
    }
    if (!context.key.signer)
        return 0;
    const auto signature = context.key.signer->signDigest(digest);
    if (!signature) {
        ERR_raise_data(ERR_LIB_PROV, PROV_R_FAILED_TO_SIGN, "%s", signature.error().message.toUtf8().constData());
        return 0;
    }
    const auto length = static_cast<size_t>(signature->size());
    if (length > room) {
        ERR_raise(ERR_LIB_PROV, PROV_R_OUTPUT_BUFFER_TOO_SMALL);
        return 0;
    }
    std::memcpy(out, signature->constData(), length);
    *size = length;
    return 1;
}

int setContextParameters(void *context, const OSSL_PARAM params[])
{
    const OSSL_PARAM *param = params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST) : nullptr;
    if (!param)
        return 1;
    const char *name = nullptr;
    if (OSSL_PARAM_get_utf8_string_ptr(param, &name) != 1)
        return 0;
    contextOf(context)->md = digestByName(name);
    return contextOf(context)->md ? 1 : 0;
}

int signInit(void *context, void *key, const OSSL_PARAM params[])
{
    return takeKey(context, key) && setContextParameters(context, params) ? 1 : 0;
}

int sign(void *context, unsigned char *out, size_t *size, size_t room, const unsigned char *digest, size_t digestSize)
{
    return deliver(*contextOf(context),
                   QByteArray(reinterpret_cast<const char *>(digest), static_cast<qsizetype>(digestSize)), out, size,
                   room);
}

int verify(void *context, const unsigned char *signature, size_t size, const unsigned char *digest, size_t digestSize)
{
    const KeyContext own{EVP_PKEY_CTX_new_from_pkey(nullptr, contextOf(context)->key.publicHalf.get(), nullptr)};
    return own && EVP_PKEY_verify_init(own.get()) == 1
                   && EVP_PKEY_verify(own.get(), signature, size, digest, digestSize) == 1
               ? 1
               : 0;
}

int digestSignInit(void *context, const char *mdName, void *key, const OSSL_PARAM params[])
{
    SignatureContext &self = *contextOf(context);
    if (!takeKey(context, key) || !setContextParameters(context, params))
        return 0;
    if (mdName && *mdName)
        self.md = digestByName(mdName);
    else if (!self.md)
        self.md = EVP_sha256();
    if (!self.md) {
        ERR_raise_data(ERR_LIB_PROV, PROV_R_DIGEST_NOT_ALLOWED, "keys in a TPM sign SHA-2 digests only");
        return 0;
    }
    self.digest.reset(EVP_MD_CTX_new());
    return self.digest && EVP_DigestInit_ex(self.digest.get(), self.md, nullptr) == 1 ? 1 : 0;
}

int digestSignUpdate(void *context, const unsigned char *data, size_t size)
{
    return contextOf(context)->digest && EVP_DigestUpdate(contextOf(context)->digest.get(), data, size) == 1 ? 1 : 0;
}

int digestSignFinal(void *context, unsigned char *out, size_t *size, size_t room)
{
    SignatureContext &self = *contextOf(context);
    if (!out)
        return deliver(self, {}, nullptr, size, 0);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (!self.digest || EVP_DigestFinal_ex(self.digest.get(), digest.data(), &length) != 1)
        return 0;
    return deliver(self, QByteArray(reinterpret_cast<const char *>(digest.data()), static_cast<qsizetype>(length)), out,
                   size, room);
}

int digestVerifyInit(void *context, const char *mdName, void *key, const OSSL_PARAM params[])
{
    SignatureContext &self = *contextOf(context);
    if (!takeKey(context, key) || !setContextParameters(context, params))
        return 0;
    const EVP_MD *md = mdName && *mdName ? digestByName(mdName) : EVP_sha256();
    self.verification.reset(EVP_MD_CTX_new());
    return md && self.verification
                   && EVP_DigestVerifyInit(self.verification.get(), nullptr, md, nullptr, self.key.publicHalf.get())
                          == 1
               ? 1
               : 0;
}

int digestVerifyUpdate(void *context, const unsigned char *data, size_t size)
{
    SignatureContext &self = *contextOf(context);
    return self.verification && EVP_DigestVerifyUpdate(self.verification.get(), data, size) == 1 ? 1 : 0;
}

int digestVerifyFinal(void *context, const unsigned char *signature, size_t size)
{
    SignatureContext &self = *contextOf(context);
    return self.verification && EVP_DigestVerifyFinal(self.verification.get(), signature, size) == 1 ? 1 : 0;
}

/// AlgorithmIdentifier of ecdsa-with-SHA256, 384 and 512 (RFC 5758 section 3.2), for certificate
/// requests.
QByteArray algorithmIdentifier(const EVP_MD *md)
{
    QByteArray der("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", 12);
    if (EVP_MD_get_size(md) != 32)
        der[11] = EVP_MD_get_size(md) == 48 ? '\x03' : '\x04';
    return der;
}

int contextParameters(void *context, OSSL_PARAM params[])
{
    const SignatureContext &self = *contextOf(context);
    const EVP_MD *md = self.md ? self.md : EVP_sha256();
    if (OSSL_PARAM *param = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID)) {
        const QByteArray der = algorithmIdentifier(md);
        if (OSSL_PARAM_set_octet_string(param, der.constData(), static_cast<size_t>(der.size())) != 1)
            return 0;
    }
    if (OSSL_PARAM *param = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_DIGEST))
        return OSSL_PARAM_set_utf8_string(param, EVP_MD_get0_name(md));
    return 1;
}

const OSSL_PARAM *contextParameterTypes(void *, void *)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, nullptr, 0),
                                       OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, nullptr, 0),
                                       OSSL_PARAM_construct_end()};
    return types;
}

const OSSL_PARAM *settableContextParameterTypes(void *, void *)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, nullptr, 0),
                                       OSSL_PARAM_construct_end()};
    return types;
}

const OSSL_DISPATCH *signatures()
{
    static const std::array functions = {
        entry<OSSL_FUNC_signature_newctx_fn>(OSSL_FUNC_SIGNATURE_NEWCTX, newContext),
        entry<OSSL_FUNC_signature_freectx_fn>(OSSL_FUNC_SIGNATURE_FREECTX, freeContext),
        entry<OSSL_FUNC_signature_dupctx_fn>(OSSL_FUNC_SIGNATURE_DUPCTX, duplicateContext),
        entry<OSSL_FUNC_signature_sign_init_fn>(OSSL_FUNC_SIGNATURE_SIGN_INIT, signInit),
        entry<OSSL_FUNC_signature_sign_fn>(OSSL_FUNC_SIGNATURE_SIGN, sign),
        entry<OSSL_FUNC_signature_verify_init_fn>(OSSL_FUNC_SIGNATURE_VERIFY_INIT, signInit),
        entry<OSSL_FUNC_signature_verify_fn>(OSSL_FUNC_SIGNATURE_VERIFY, verify),
        entry<OSSL_FUNC_signature_digest_sign_init_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, digestSignInit),
        entry<OSSL_FUNC_signature_digest_sign_update_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, digestSignUpdate),
        entry<OSSL_FUNC_signature_digest_sign_final_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, digestSignFinal),
        entry<OSSL_FUNC_signature_digest_verify_init_fn>(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, digestVerifyInit),
        entry<OSSL_FUNC_signature_digest_verify_update_fn>(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE,
                                                           digestVerifyUpdate),
        entry<OSSL_FUNC_signature_digest_verify_final_fn>(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, digestVerifyFinal),
        entry<OSSL_FUNC_signature_get_ctx_params_fn>(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, contextParameters),
        entry<OSSL_FUNC_signature_gettable_ctx_params_fn>(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS,
                                                          contextParameterTypes),
        entry<OSSL_FUNC_signature_set_ctx_params_fn>(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, setContextParameters),
        entry<OSSL_FUNC_signature_settable_ctx_params_fn>(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS,
                                                          settableContextParameterTypes),
        OSSL_DISPATCH{0, nullptr},
    };
    return functions.data();
}

// --- The provider ---------------------------------------------------------------------------------

const OSSL_ALGORITHM *algorithms(void *, int operation, int *noCache)
{
    static const std::array keys = {OSSL_ALGORITHM{kEcNames, kProperty, keyManagement(), nullptr},
                                    OSSL_ALGORITHM{nullptr, nullptr, nullptr, nullptr}};
    static const std::array signing = {OSSL_ALGORITHM{kEcdsaNames, kProperty, signatures(), nullptr},
                                       OSSL_ALGORITHM{nullptr, nullptr, nullptr, nullptr}};
    *noCache = 0;
    if (operation == OSSL_OP_KEYMGMT)
        return keys.data();
    return operation == OSSL_OP_SIGNATURE ? signing.data() : nullptr;
}

int startProvider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *, const OSSL_DISPATCH **out, void **context)
{
    static const std::array functions = {
        entry<OSSL_FUNC_provider_query_operation_fn>(OSSL_FUNC_PROVIDER_QUERY_OPERATION, algorithms),
        OSSL_DISPATCH{0, nullptr},
    };
    *out = functions.data();
    *context = const_cast<OSSL_CORE_HANDLE *>(handle);
    return 1;
}

/// Never freed: keys may outlive every static object. Null when OpenSSL refuses the provider. With
/// OpenSSL's own provider beside ours, because whoever writes a public key (into a CSR, into a
/// certificate) looks for the writer in the context of the key.
OSSL_LIB_CTX *library()
{
    static OSSL_LIB_CTX *const context = []() -> OSSL_LIB_CTX * {
        OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
        if (made && OSSL_PROVIDER_add_builtin(made, kProviderName, startProvider) == 1
            && OSSL_PROVIDER_load(made, kProviderName) && OSSL_PROVIDER_load(made, "default"))
            return made;
        OSSL_LIB_CTX_free(made);
        return nullptr;
    }();
    return context;
}
} // namespace

Result<std::shared_ptr<EVP_PKEY>> evpKeyFor(const std::shared_ptr<TpmKey> &key, const TPMT_PUBLIC &area)
{
    auto publicHalf = evpKeyOf(area);
    if (!publicHalf)
        return publicHalf.error();
    const KeyParts parts{key, std::shared_ptr<EVP_PKEY>(std::move(*publicHalf))};
    const KeyParts *pointer = &parts;
    std::array params = {OSSL_PARAM_construct_octet_string(kKeyParameter, &pointer, kPointerBytes),
                         OSSL_PARAM_construct_end()};
    OSSL_LIB_CTX *own = library();
    const KeyContext context{own ? EVP_PKEY_CTX_new_from_name(own, "EC", kProperty) : nullptr};
    EVP_PKEY *made = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) <= 0
        || EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, params.data()) <= 0)
        return Error{Errc::Io, u"OpenSSL does not take the key of the TPM: %1."_s.arg(tls::opensslReason())};
    return std::shared_ptr<EVP_PKEY>(made, EVP_PKEY_free);
}

} // namespace lintel::tpm
