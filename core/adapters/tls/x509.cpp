#include "tls/x509.h"

#include "tls/openssl_handles.h"

#include <openssl/pem.h>

#include <algorithm>
#include <array>

namespace lintel::tls {

using namespace Qt::StringLiterals;

namespace {
Error malformed(const QString &message)
{
    return {Errc::Malformed, message};
}

BioPtr readBio(const QByteArray &bytes)
{
    return BioPtr{BIO_new_mem_buf(bytes.constData(), static_cast<int>(bytes.size()))};
}

QByteArray contentsOf(BIO *bio)
{
    char *data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<qsizetype>(size)};
}

Timestamp timestampOf(const ASN1_TIME *time)
{
    const Asn1TimePtr epoch{ASN1_TIME_set(nullptr, 0)};
    int days = 0;
    int seconds = 0;
    if (!epoch || ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1)
        return {};
    return fromEpochMillis((qint64{days} * 86'400 + seconds) * 1'000);
}

Result<SpiffeId> spiffeIdOf(const X509 *certificate)
{
    const GeneralNamesPtr names{
        static_cast<GENERAL_NAMES *>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
    if (!names)
        return malformed(u"The certificate has no subject alternative name, so it is no X.509-SVID."_s);
    const ASN1_IA5STRING *uri = nullptr;
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_URI)
            continue;
        if (uri)
            return malformed(u"The certificate has more than one URI name; an X.509-SVID has exactly one."_s);
        uri = name->d.uniformResourceIdentifier;
    }
    if (!uri)
        return malformed(u"The certificate has no URI name, so it carries no SPIFFE ID."_s);
    return SpiffeId::parse(
        QString::fromLatin1(reinterpret_cast<const char *>(ASN1_STRING_get0_data(uri)), ASN1_STRING_length(uri)));
}

bool isCritical(const X509 *certificate, int nid)
{
    const int at = X509_get_ext_by_NID(certificate, nid, -1);
    return at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(certificate, at)) == 1;
}

Result<SpiffeId> leafSpiffeId(X509 *certificate)
{
    auto id = spiffeIdOf(certificate);
    if (!id)
        return id;
    const QString who = id->toString();
    if (id->path().isEmpty())
        return malformed(u"The leaf certificate names only the trust domain %1; it needs a path."_s.arg(who));
    const quint32 flags = X509_get_extension_flags(certificate);
    if (flags & (EXFLAG_CA | EXFLAG_INVALID))
        return malformed(u"The leaf certificate of %1 is marked as an authority or has broken extensions."_s.arg(who));
    // X509-SVID.md section 3.1, as RFC 5280 section 4.1.2.6.
    if (X509_NAME_entry_count(X509_get_subject_name(certificate)) == 0
        && !isCritical(certificate, NID_subject_alt_name))
        return malformed(
            u"The leaf certificate of %1 has no subject, and the extension with its URI name is not critical."_s.arg(
                who));
    if (!isCritical(certificate, NID_key_usage))
        return malformed(u"The leaf certificate of %1 has no critical key usage."_s.arg(who));
    const quint32 usage = X509_get_key_usage(certificate);
    if (!(usage & KU_DIGITAL_SIGNATURE) || (usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)))
        return malformed(u"The key usage of the leaf certificate of %1 must allow signatures and must not "
                         "allow certificates or revocation lists to be signed."_s.arg(who));
    return id;
}

Result<X509StackPtr> stackOf(const QList<QByteArray> &certificatesDer)
{
    X509StackPtr stack{sk_X509_new_null()};
    for (const QByteArray &der : certificatesDer) {
        X509Ptr certificate = x509FromDer(der);
        if (!certificate)
            return malformed(u"A certificate is not valid DER: %1."_s.arg(opensslReason()));
        if (sk_X509_push(stack.get(), certificate.get()) > 0)
            (void)certificate.release();
    }
    return stack;
}

/// The certificates that a thread read last: its peers' issuers and roots come again with every connection, and one
/// leaf is looked at by several checks.
class RecentCertificates
{
public:
    static RecentCertificates &ofThisThread()
    {
        static thread_local RecentCertificates certificates;
        return certificates;
    }
    [[nodiscard]] X509Ptr find(const QByteArray &der)
    {
        const auto found = std::find_if(m_newestFirst.begin(), m_newestFirst.end(),
                                        [&](const Known &known) { return known.certificate && known.der == der; });
        if (found == m_newestFirst.end())
            return {};
        std::rotate(m_newestFirst.begin(), found, std::next(found));
        X509 *certificate = m_newestFirst.front().certificate.get();
        return X509Ptr{X509_up_ref(certificate) == 1 ? certificate : nullptr};
    }
    void add(const QByteArray &der, X509 *certificate)
    {
        if (find(der) || X509_up_ref(certificate) != 1)
            return;
        std::rotate(m_newestFirst.begin(), std::prev(m_newestFirst.end()), m_newestFirst.end());
        m_newestFirst.front() = {der, X509Ptr{certificate}};
    }

private:
    struct Known {
        QByteArray der;
        X509Ptr certificate; // none yet
    };
    static constexpr size_t kCount = 8;
    std::array<Known, kCount> m_newestFirst;
};
} // namespace

X509Ptr x509FromDer(const QByteArray &der)
{
    if (X509Ptr known = RecentCertificates::ofThisThread().find(der))
        return known;
    const auto *data = reinterpret_cast<const unsigned char *>(der.constData());
    const auto *end = data + der.size();
    X509Ptr certificate{d2i_X509(nullptr, &data, static_cast<long>(der.size()))};
    if (!certificate || data != end)
        return {};
    RecentCertificates::ofThisThread().add(der, certificate.get());
    return certificate;
}

QByteArray sharedDerOf(X509 *certificate)
{
    QByteArray der = derOf(certificate);
    RecentCertificates::ofThisThread().add(der, certificate);
    return der;
}

QByteArray derOf(const X509 *certificate)
{
    unsigned char *data = nullptr;
    const int size = i2d_X509(certificate, &data);
    if (size <= 0)
        return {};
    const QByteArray der(reinterpret_cast<const char *>(data), size);
    OPENSSL_free(data);
    return der;
}

QString opensslReason()
{
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    const char *reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason ? QString::fromLatin1(reason) : u"OpenSSL gives no reason"_s;
}

Result<QList<QByteArray>> certificatesFromPem(const QByteArray &pem)
{
    const BioPtr bio = readBio(pem);
    QList<QByteArray> certificates;
    while (X509Ptr certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)})
        certificates.append(derOf(certificate.get()));
    const unsigned long code = ERR_peek_last_error();
    const bool atEnd = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    const QString reason = opensslReason();
    if (!atEnd)
        return malformed(u"A certificate in the PEM text cannot be read: %1."_s.arg(reason));
    if (certificates.isEmpty())
        return malformed(u"The PEM text holds no certificate."_s);
    return certificates;
}

Result<QList<QByteArray>> certificatesFromDer(const QByteArray &der)
{
    QList<QByteArray> certificates;
    const auto *at = reinterpret_cast<const unsigned char *>(der.constData());
    const auto *end = at + der.size();
    while (at < end) {
        const auto *begin = at;
        const X509Ptr certificate{d2i_X509(nullptr, &at, long(end - begin))};
        if (!certificate)
            return malformed(u"Certificate %1 of the DER chain cannot be read: %2."_s.arg(certificates.size() + 1)
                                 .arg(opensslReason()));
        certificates.append(QByteArray(reinterpret_cast<const char *>(begin), at - begin));
    }
    return certificates;
}

QByteArray certificatesToPem(const QList<QByteArray> &certificatesDer)
{
    const BioPtr bio{BIO_new(BIO_s_mem())};
    for (const QByteArray &der : certificatesDer)
        if (const X509Ptr certificate = x509FromDer(der))
            PEM_write_bio_X509(bio.get(), certificate.get());
    return contentsOf(bio.get());
}

Result<std::shared_ptr<EVP_PKEY>> privateKeyFromPem(const QByteArray &pem)
{
    // A password prompt on the terminal of a service would hang it: answer with an empty one.
    const auto noPassword = [](char *, int, int, void *) { return 0; };
    const BioPtr bio = readBio(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio.get(), nullptr, noPassword, nullptr);
    if (!key)
        return malformed(
            u"The private key cannot be read from PEM (encrypted keys are not supported): %1."_s.arg(opensslReason()));
    return std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free);
}

Result<std::shared_ptr<EVP_PKEY>> privateKeyFromDer(const QByteArray &der)
{
    const auto *at = reinterpret_cast<const unsigned char *>(der.constData());
    EVP_PKEY *key = d2i_AutoPrivateKey(nullptr, &at, long(der.size()));
    if (!key)
        return malformed(u"The private key cannot be read from DER: %1."_s.arg(opensslReason()));
    return std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free);
}

Result<QByteArray> privateKeyToPem(const EVP_PKEY &key)
{
    const BioPtr bio{BIO_new(BIO_s_secmem())};
    if (PEM_write_bio_PKCS8PrivateKey(bio.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
        return Error{Errc::Io, u"The private key cannot be written: %1."_s.arg(opensslReason())};
    return contentsOf(bio.get());
}

Result<QByteArray> privateKeyToDer(const EVP_PKEY &key)
{
    const BioPtr bio{BIO_new(BIO_s_secmem())};
    if (i2d_PKCS8PrivateKey_bio(bio.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
        return Error{Errc::Io, u"The private key cannot be written: %1."_s.arg(opensslReason())};
    return contentsOf(bio.get());
}

Result<CertificateFacts> describeCertificate(const QByteArray &der)
{
    const X509Ptr certificate = x509FromDer(der);
    if (!certificate)
        return malformed(u"The certificate is not valid DER: %1."_s.arg(opensslReason()));
    CertificateFacts facts;
    const BignumPtr serial{ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate.get()), nullptr)};
    char *hex = serial ? BN_bn2hex(serial.get()) : nullptr;
    facts.serial = QString::fromLatin1(hex);
    OPENSSL_free(hex);
    facts.notBefore = timestampOf(X509_get0_notBefore(certificate.get()));
    facts.notAfter = timestampOf(X509_get0_notAfter(certificate.get()));
    facts.isAuthority = X509_get_extension_flags(certificate.get()) & EXFLAG_CA;
    return facts;
}

Result<SpiffeId> spiffeIdOf(const QByteArray &der)
{
    const X509Ptr certificate = x509FromDer(der);
    if (!certificate)
        return malformed(u"The certificate is not valid DER: %1."_s.arg(opensslReason()));
    return spiffeIdOf(certificate.get());
}

Result<SpiffeId> leafSpiffeId(const QByteArray &der)
{
    const X509Ptr certificate = x509FromDer(der);
    if (!certificate)
        return malformed(u"The certificate is not valid DER: %1."_s.arg(opensslReason()));
    return leafSpiffeId(certificate.get());
}

Result<X509Svid> makeSvid(const QList<QByteArray> &chainDer, std::shared_ptr<EVP_PKEY> key)
{
    if (chainDer.isEmpty())
        return malformed(u"An SVID needs a certificate."_s);
    const X509Ptr leaf = x509FromDer(chainDer.first());
    if (!leaf)
        return malformed(u"The SVID's certificate is not valid DER: %1."_s.arg(opensslReason()));
    auto id = leafSpiffeId(leaf.get());
    if (!id)
        return id.error();
    if (!key || X509_check_private_key(leaf.get(), key.get()) != 1) {
        ERR_clear_error();
        return Error{Errc::Conflict,
                     u"The private key does not belong to the certificate of %1."_s.arg(id->toString())};
    }
    return X509Svid{*id, chainDer, std::move(key), timestampOf(X509_get0_notBefore(leaf.get())),
                    timestampOf(X509_get0_notAfter(leaf.get()))};
}

Result<void> verifyPeer(const QList<QByteArray> &chainDer, const SpiffeId &expected, const TrustBundles &bundles,
                        PeerRole role, Timestamp at)
{
    const auto denied = [](const QString &message) { return Error{Errc::Denied, message}; };
    if (chainDer.isEmpty())
        return denied(u"The peer showed no certificate; %1 was expected."_s.arg(expected.toString()));
    auto chain = stackOf(chainDer);
    if (!chain)
        return denied(u"The peer's certificates cannot be read. %1"_s.arg(chain.error().message));
    X509 *leaf = sk_X509_value(chain->get(), 0);
    const auto id = leafSpiffeId(leaf);
    if (!id)
        return denied(u"The peer's certificate is no X.509-SVID. %1"_s.arg(id.error().message));
    if (*id != expected)
        return denied(u"The peer is %1, but %2 was expected."_s.arg(id->toString(), expected.toString()));

    const QList<QByteArray> roots = bundles.value(expected.trustDomain());
    if (roots.isEmpty())
        return denied(u"There is no trust bundle for %1; add its roots."_s.arg(expected.trustDomain().name()));
    const auto anchors = stackOf(roots);
    if (!anchors)
        return denied(
            u"The trust bundle of %1 cannot be read. %2"_s.arg(expected.trustDomain().name(), anchors.error().message));

    const X509StoreCtxPtr context{X509_STORE_CTX_new()};
    if (!context || X509_STORE_CTX_init(context.get(), nullptr, leaf, chain->get()) != 1)
        return Error{Errc::Io, u"The peer's certificate cannot be checked: %1."_s.arg(opensslReason())};
    X509_STORE_CTX_set0_trusted_stack(context.get(), anchors->get());
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context.get());
    // An anchor may be an authority below a root: a bundle is what the domain declares it to be.
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_purpose(parameters,
                                  role == PeerRole::Server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
    X509_VERIFY_PARAM_set_auth_level(parameters, 2); // 112 bits
    X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(toEpochMillis(at) / 1'000));
    if (X509_verify_cert(context.get()) == 1)
        return {};
    const int code = X509_STORE_CTX_get_error(context.get());
    ERR_clear_error();
    return denied(u"The certificate of %1 is not valid under the trust bundle of %2: %3."_s.arg(
        expected.toString(), expected.trustDomain().name(), QString::fromLatin1(X509_verify_cert_error_string(code))));
}

} // namespace lintel::tls
