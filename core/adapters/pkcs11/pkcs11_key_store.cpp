#include "pkcs11/pkcs11_key_store.h"

#include "tls/der.h"

#define CRYPTOKI_GNU 1
#include <p11-kit/pkcs11.h>

#include <QCryptographicHash>
#include <QFile>
#include <QMutex>

#include <dlfcn.h>

#include <array>
#include <optional>

namespace lintel::pkcs11 {

using namespace Qt::StringLiterals;
namespace der = tls::der;

namespace {
constexpr char kP256[] = "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"; // OID of the curve, DER
constexpr qsizetype kCoordinateBytes = 32;

Error failed(const QString &what, ck_rv_t code)
{
    const QString number = u"0x%1"_s.arg(ulong(code), 0, 16);
    switch (code) {
    case CKR_PIN_INCORRECT:
    case CKR_PIN_LOCKED:
    case CKR_PIN_EXPIRED:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
        return {Errc::Denied,
                u"%1: the token refuses the PIN (%2); correct it before the token locks itself."_s.arg(what, number)};
    case CKR_DEVICE_MEMORY: return {Errc::Full, u"%1: the token has no room (%2)."_s.arg(what, number)};
    default: return {Errc::Unavailable, u"%1: the PKCS #11 module answers %2."_s.arg(what, number)};
    }
}

bool isLabel(const QString &label)
{
    return !label.isEmpty() && std::all_of(label.cbegin(), label.cend(), [](QChar c) {
        const char16_t u = c.unicode();
        return (u >= u'a' && u <= u'z') || (u >= u'A' && u <= u'Z') || (u >= u'0' && u <= u'9') || u == u'-';
    });
}

ck_attribute attribute(ck_attribute_type_t type, QByteArray &value)
{
    return {type, value.data(), ulong(value.size())};
}

/// Cryptoki gives r and s one after the other; X.509 wants them as DER integers.
QByteArray derSignature(const QByteArray &raw)
{
    const auto integer = [](QByteArrayView bytes) {
        while (bytes.size() > 1 && bytes[0] == 0)
            bytes = bytes.sliced(1);
        QByteArray content = bytes.toByteArray();
        if (quint8(content[0]) & 0x80)
            content.prepend('\0');
        return der::tagged(der::Integer, content);
    };
    const QByteArrayView view(raw);
    return der::tagged(der::Sequence, integer(view.first(kCoordinateBytes)) + integer(view.sliced(kCoordinateBytes)));
}
} // namespace

/// One logged-in session. A module may be initialised once in a process; whoever comes second uses
/// it as it is and leaves it so.
class Pkcs11KeyStore::Token
{
public:
    Token() = default;
    Token(const Token &) = delete;
    Token &operator=(const Token &) = delete;

    ~Token()
    {
        if (m_session)
            m_functions->C_CloseSession(*m_session);
        if (m_ownsModule)
            m_functions->C_Finalize(nullptr);
        if (m_library)
            ::dlclose(m_library);
    }

    Result<void> connect(const Pkcs11Settings &settings)
    {
        if (auto loaded = load(settings.module); !loaded)
            return loaded;
        const auto slot = slotOf(settings.tokenLabel);
        if (!slot)
            return slot.error();
        ck_session_handle_t session = 0;
        if (const auto code =
                m_functions->C_OpenSession(*slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session);
            code != CKR_OK)
            return failed(u"The token \"%1\" cannot be opened"_s.arg(settings.tokenLabel), code);
        m_session = session;
        QByteArray pin = settings.pin;
        const auto code =
            m_functions->C_Login(session, CKU_USER, reinterpret_cast<unsigned char *>(pin.data()), ulong(pin.size()));
        if (code != CKR_OK && code != CKR_USER_ALREADY_LOGGED_IN)
            return failed(u"Nobody can log in to the token \"%1\""_s.arg(settings.tokenLabel), code);
        m_description = u"PKCS #11 token %1"_s.arg(settings.tokenLabel);
        return {};
    }

    /// All keys of this class and label; there is at most one that we made.
    Result<QList<ck_object_handle_t>> find(ck_object_class_t kind, const QString &label)
    {
        QByteArray text = label.toUtf8();
        std::array<ck_attribute, 2> wanted{ck_attribute{CKA_CLASS, &kind, sizeof kind}, attribute(CKA_LABEL, text)};
        if (const auto code = m_functions->C_FindObjectsInit(*m_session, wanted.data(), wanted.size()); code != CKR_OK)
            return failed(u"The token cannot be searched"_s, code);
        QList<ck_object_handle_t> found;
        ck_object_handle_t object = 0;
        unsigned long count = 0;
        while (m_functions->C_FindObjects(*m_session, &object, 1, &count) == CKR_OK && count == 1)
            found.append(object);
        m_functions->C_FindObjectsFinal(*m_session);
        return found;
    }

    Result<void> generate(const QString &label)
    {
        unsigned char yes = 1;
        unsigned char no = 0;
        QByteArray text = label.toUtf8();
        QByteArray id = QCryptographicHash::hash(text, QCryptographicHash::Sha1);
        QByteArray curve(kP256, sizeof kP256 - 1);
        std::array<ck_attribute, 5> publicHalf{attribute(CKA_LABEL, text), attribute(CKA_ID, id),
                                               attribute(CKA_EC_PARAMS, curve), ck_attribute{CKA_TOKEN, &yes, 1},
                                               ck_attribute{CKA_VERIFY, &yes, 1}};
        std::array<ck_attribute, 7> privateHalf{
            attribute(CKA_LABEL, text),           attribute(CKA_ID, id),
            ck_attribute{CKA_TOKEN, &yes, 1},     ck_attribute{CKA_PRIVATE, &yes, 1},
            ck_attribute{CKA_SENSITIVE, &yes, 1}, ck_attribute{CKA_EXTRACTABLE, &no, 1},
            ck_attribute{CKA_SIGN, &yes, 1}};
        ck_mechanism mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
        ck_object_handle_t publicKey = 0;
        ck_object_handle_t privateKey = 0;
        const auto code =
            m_functions->C_GenerateKeyPair(*m_session, &mechanism, publicHalf.data(), publicHalf.size(),
                                           privateHalf.data(), privateHalf.size(), &publicKey, &privateKey);
        if (code != CKR_OK)
            return failed(u"The token cannot make the key \"%1\""_s.arg(label), code);
        return {};
    }

    Result<QByteArray> publicKeyDer(ck_object_handle_t object)
    {
        QByteArray point(256, '\0');
        ck_attribute wanted = attribute(CKA_EC_POINT, point);
        if (const auto code = m_functions->C_GetAttributeValue(*m_session, object, &wanted, 1); code != CKR_OK)
            return failed(u"The token does not show a public key"_s, code);
        point.truncate(qsizetype(wanted.value_len));
        // By the standard a DER octet string around the point; some modules give the point alone.
        if (point.size() == der::kP256PointSize + 2 && point.startsWith("\x04\x41"))
            point = point.sliced(2);
        const QByteArray spki = der::p256Head().toByteArray() + point;
        if (!der::isP256(spki))
            return Error{Errc::Unsupported, u"A key of the token is not EC on P-256."_s};
        return spki;
    }

    Result<void> destroy(ck_object_handle_t object)
    {
        if (const auto code = m_functions->C_DestroyObject(*m_session, object); code != CKR_OK)
            return failed(u"The token does not remove a key"_s, code);
        return {};
    }

    Result<QByteArray> sign(ck_object_handle_t key, QByteArray digest)
    {
        const QMutexLocker lock(&m_mutex);
        ck_mechanism mechanism{CKM_ECDSA, nullptr, 0};
        QByteArray raw(2 * kCoordinateBytes, '\0');
        auto size = static_cast<unsigned long>(raw.size());
        auto code = m_functions->C_SignInit(*m_session, &mechanism, key);
        if (code == CKR_OK)
            code = m_functions->C_Sign(*m_session, reinterpret_cast<unsigned char *>(digest.data()),
                                       ulong(digest.size()), reinterpret_cast<unsigned char *>(raw.data()), &size);
        if (code != CKR_OK || qsizetype(size) != raw.size())
            return failed(u"The token does not sign"_s, code);
        return derSignature(raw);
    }

    QMutex &mutex() { return m_mutex; }
    const QString &description() const { return m_description; }

private:
    Result<void> load(const QString &module)
    {
        m_library = ::dlopen(QFile::encodeName(module).constData(), RTLD_NOW | RTLD_LOCAL);
        if (!m_library)
            return Error{Errc::NotFound, u"The PKCS #11 module %1 cannot be loaded: %2."_s.arg(
                                             module, QString::fromLocal8Bit(::dlerror()))};
        using GetList = ck_rv_t (*)(ck_function_list **);
        const auto list = reinterpret_cast<GetList>(::dlsym(m_library, "C_GetFunctionList"));
        if (!list || list(&m_functions) != CKR_OK || !m_functions)
            return Error{Errc::Unsupported, u"%1 is not a PKCS #11 module."_s.arg(module)};
        ck_c_initialize_args arguments{};
        arguments.flags = CKF_OS_LOCKING_OK;
        const auto code = m_functions->C_Initialize(&arguments);
        if (code != CKR_OK && code != CKR_CRYPTOKI_ALREADY_INITIALIZED)
            return failed(u"The PKCS #11 module %1 does not start"_s.arg(module), code);
        m_ownsModule = code == CKR_OK;
        return {};
    }

    Result<ck_slot_id_t> slotOf(const QString &label)
    {
        unsigned long count = 0;
        if (const auto code = m_functions->C_GetSlotList(1, nullptr, &count); code != CKR_OK)
            return failed(u"The PKCS #11 module does not list its tokens"_s, code);
        QList<ck_slot_id_t> slotIds(qsizetype(count), 0);
        if (const auto code = m_functions->C_GetSlotList(1, slotIds.data(), &count); code != CKR_OK)
            return failed(u"The PKCS #11 module does not list its tokens"_s, code);
        for (qsizetype i = 0; i < qsizetype(count); ++i) {
            ck_token_info info{};
            if (m_functions->C_GetTokenInfo(slotIds[i], &info) != CKR_OK)
                continue;
            const auto *text = reinterpret_cast<const char *>(info.label);
            if (QString::fromUtf8(text, sizeof info.label).trimmed() == label)
                return slotIds[i];
        }
        return Error{Errc::NotFound,
                     u"There is no PKCS #11 token \"%1\"; is it plugged in, is its name right?"_s.arg(label)};
    }

    void *m_library = nullptr;
    ck_function_list *m_functions = nullptr;
    bool m_ownsModule = false;
    std::optional<ck_session_handle_t> m_session;
    QMutex m_mutex; // one operation at a time in a session
    QString m_description;
};

class Pkcs11KeyStore::Key final : public SigningKey
{
public:
    Key(std::shared_ptr<Token> token, ck_object_handle_t handle, QByteArray publicKeyDer)
        : m_token(std::move(token)), m_handle(handle), m_publicKeyDer(std::move(publicKeyDer))
    {}
    QByteArray publicKeyDer() const override { return m_publicKeyDer; }
    Result<QByteArray> sign(const QByteArray &message) const override
    {
        return m_token->sign(m_handle, QCryptographicHash::hash(message, QCryptographicHash::Sha256));
    }

private:
    std::shared_ptr<Token> m_token;
    ck_object_handle_t m_handle;
    QByteArray m_publicKeyDer;
};

Pkcs11KeyStore::Pkcs11KeyStore(std::shared_ptr<Token> token) : m_token(std::move(token)) {}
Pkcs11KeyStore::~Pkcs11KeyStore() = default;

Result<std::unique_ptr<KeyStore>> Pkcs11KeyStore::connect(const Pkcs11Settings &settings)
{
    auto token = std::make_shared<Token>();
    if (const auto connected = token->connect(settings); !connected)
        return connected.error();
    return std::unique_ptr<KeyStore>(new Pkcs11KeyStore(std::move(token)));
}

Result<std::shared_ptr<SigningKey>> Pkcs11KeyStore::create(const QString &label)
{
    if (!isLabel(label))
        return Error{Errc::Malformed, u"\"%1\" cannot name a key: letters, digits and '-' only."_s.arg(label)};
    {
        const QMutexLocker lock(&m_token->mutex());
        const auto known = m_token->find(CKO_PRIVATE_KEY, label);
        if (!known)
            return known.error();
        if (!known->isEmpty())
            return Error{Errc::Conflict, u"The token has a key \"%1\" already."_s.arg(label)};
        if (const auto made = m_token->generate(label); !made)
            return made.error();
    }
    return open(label);
}

Result<std::shared_ptr<SigningKey>> Pkcs11KeyStore::open(const QString &label)
{
    const QMutexLocker lock(&m_token->mutex());
    const auto privateKeys = m_token->find(CKO_PRIVATE_KEY, label);
    if (!privateKeys)
        return privateKeys.error();
    const auto publicKeys = m_token->find(CKO_PUBLIC_KEY, label);
    if (!publicKeys)
        return publicKeys.error();
    if (privateKeys->isEmpty() || publicKeys->isEmpty())
        return Error{Errc::NotFound, u"The token has no key \"%1\"."_s.arg(label)};
    auto publicKey = m_token->publicKeyDer(publicKeys->first());
    if (!publicKey)
        return publicKey.error();
    return std::shared_ptr<SigningKey>(std::make_shared<Key>(m_token, privateKeys->first(), *publicKey));
}

Result<void> Pkcs11KeyStore::remove(const QString &label)
{
    const QMutexLocker lock(&m_token->mutex());
    for (const ck_object_class_t kind : {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY}) {
        const auto found = m_token->find(kind, label);
        if (!found)
            return found.error();
        for (const ck_object_handle_t object : *found)
            if (const auto gone = m_token->destroy(object); !gone)
                return gone;
    }
    return {};
}

QString Pkcs11KeyStore::description() const
{
    return m_token->description();
}

} // namespace lintel::pkcs11
