#include "tpm/vendor_authorities.h"

#include "tls/x509.h"
#include "tpm/tss_codec.h"

#include <QDir>
#include <QFile>

#include <algorithm>
#include <array>

namespace lintel::tpm {

using namespace Qt::StringLiterals;

struct VendorAuthorities::Stores {
    tls::X509StorePtr store{X509_STORE_new()};
    qsizetype certificates = 0;
};

namespace {
constexpr qint64 kMaxFileBytes = 4 * 1024 * 1024;
// TCG EK Credential Profile 2.5 section 3.1, OIDs of the TCG
constexpr auto kManufacturer = "2.23.133.2.1";
constexpr auto kModel = "2.23.133.2.2";
constexpr auto kVersion = "2.23.133.2.3";
constexpr auto kEndorsementPurpose = "2.23.133.8.1";

using EkuPtr = std::unique_ptr<EXTENDED_KEY_USAGE, tls::Freer<EXTENDED_KEY_USAGE_free>>;
using ObjectPtr = std::unique_ptr<ASN1_OBJECT, tls::Freer<ASN1_OBJECT_free>>;

Result<QList<QByteArray>> certificatesOfFile(const QString &path)
{
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly))
        return Error{Errc::Io, u"The vendor certificate %1 cannot be read: %2."_s.arg(path, file.errorString())};
    const QByteArray content = file.read(kMaxFileBytes + 1);
    if (content.size() > kMaxFileBytes)
        return Error{Errc::Malformed, u"%1 is too large for a certificate of a TPM vendor."_s.arg(path)};
    if (content.contains("-----BEGIN CERTIFICATE-----")) {
        const auto certificates = tls::certificatesFromPem(content);
        if (!certificates)
            return Error{Errc::Malformed, u"%1: %2"_s.arg(path, certificates.error().message)};
        return *certificates;
    }
    if (!certificateFromWholeDer(content))
        return Error{Errc::Malformed, u"%1 is not a certificate in PEM or DER; the directory may hold only the "
                                      "certificates of TPM vendors."_s.arg(path)};
    return QList<QByteArray>{content};
}

QString valueOf(const X509_NAME *name, const char *oid)
{
    const ObjectPtr object{OBJ_txt2obj(oid, 1)};
    const int at = object ? X509_NAME_get_index_by_OBJ(name, object.get(), -1) : -1;
    if (at < 0)
        return {};
    uint8_t *utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (size < 0)
        return {};
    QString value = QString::fromUtf8(reinterpret_cast<const char *>(utf8), size);
    OPENSSL_free(utf8);
    return value;
}

/// RFC 2253 order, as people write it.
QString shownName(const X509_NAME *name)
{
    constexpr qsizetype kMost = 200;
    const tls::BioPtr text{BIO_new(BIO_s_mem())};
    if (!text || X509_NAME_print_ex(text.get(), name, 0, XN_FLAG_RFC2253 & ~ulong(ASN1_STRFLGS_ESC_MSB)) < 0)
        return {};
    const char *bytes = nullptr;
    const long size = BIO_get_mem_data(text.get(), &bytes);
    return QString::fromUtf8(bytes, size).left(kMost);
}

/// The profile puts the chip's make into a directory name of the subject's alternative names.
ChipModel chipOf(const X509 *certificate)
{
    const tls::GeneralNamesPtr names{
        static_cast<GENERAL_NAMES *>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_DIRNAME)
            continue;
        const X509_NAME *directory = name->d.directoryName;
        return {valueOf(directory, kManufacturer), valueOf(directory, kModel), valueOf(directory, kVersion)};
    }
    return {};
}

/// Section 3.2: not a CA, a key for encryption, and the TCG's purpose where there are purposes.
QString purposeProblem(X509 *certificate)
{
    if (X509_check_ca(certificate) != 0)
        return u"It is the certificate of an authority, not of an endorsement key."_s;
    const uint32_t usage = X509_get_key_usage(certificate);
    if ((usage & (KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT)) == 0 || (usage & KU_KEY_CERT_SIGN))
        return u"Its key usage is not that of an endorsement key."_s;
    const EkuPtr purposes{
        static_cast<EXTENDED_KEY_USAGE *>(X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr))};
    if (!purposes)
        return {};
    const ObjectPtr wanted{OBJ_txt2obj(kEndorsementPurpose, 1)};
    for (int i = 0; i < sk_ASN1_OBJECT_num(purposes.get()); ++i)
        if (wanted && OBJ_cmp(sk_ASN1_OBJECT_value(purposes.get(), i), wanted.get()) == 0)
            return {};
    return u"Its extended key usage does not name endorsement keys."_s;
}

bool meansUnknownAuthority(int error)
{
    constexpr std::array kUnknown = {
        X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,       X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
        X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
        X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,       X509_V_ERR_CERT_UNTRUSTED,
    };
    return std::find(kUnknown.begin(), kUnknown.end(), error) != kUnknown.end();
}
} // namespace

VendorAuthorities::VendorAuthorities() : m_stores(std::make_unique<Stores>()) {}
VendorAuthorities::~VendorAuthorities() = default;

Result<std::shared_ptr<const VendorAuthorities>> VendorAuthorities::load(const QString &dir)
{
    const QDir directory(dir);
    if (!directory.exists())
        return Error{Errc::NotFound, u"There is no directory %1 with the certificates of TPM vendors."_s.arg(dir)};
    QList<QByteArray> all;
    for (const QFileInfo &entry : directory.entryInfoList(QDir::Files | QDir::Readable, QDir::Name)) {
        const auto certificates = certificatesOfFile(entry.filePath());
        if (!certificates)
            return certificates.error();
        all += *certificates;
    }
    return fromCertificates(all);
}

Result<std::shared_ptr<const VendorAuthorities>> VendorAuthorities::fromCertificates(
    const QList<QByteArray> &certificatesDer)
{
    std::shared_ptr<VendorAuthorities> authorities(new VendorAuthorities);
    X509_STORE *store = authorities->m_stores->store.get();
    if (!store || X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) != 1)
        return Error{Errc::Io, u"Out of memory for the certificates of TPM vendors."_s};
    for (const QByteArray &der : certificatesDer) {
        const tls::X509Ptr certificate = certificateFromWholeDer(der);
        if (!certificate)
            return Error{Errc::Malformed, u"A certificate of a TPM vendor cannot be read."_s};
        if (X509_check_ca(certificate.get()) == 0)
            return Error{Errc::Malformed, u"A certificate among those of the TPM vendors is not of an authority."_s};
        if (X509_STORE_add_cert(store, certificate.get()) != 1)
            return Error{Errc::Io, u"A certificate of a TPM vendor cannot be used: %1."_s.arg(tls::opensslReason())};
        ++authorities->m_stores->certificates;
    }
    return std::shared_ptr<const VendorAuthorities>(std::move(authorities));
}

qsizetype VendorAuthorities::count() const
{
    return m_stores->certificates;
}

VendorAuthorities::Verdict VendorAuthorities::verify(const QByteArray &certificateDer, Timestamp at) const
{
    const tls::X509Ptr certificate = certificateFromWholeDer(certificateDer);
    if (!certificate)
        return {EndorsementChain::Invalid, u"The endorsement certificate cannot be read."_s, {}, {}};
    const ChipModel chip = chipOf(certificate.get());
    const QString issuer = shownName(X509_get_issuer_name(certificate.get()));
    const tls::X509StoreCtxPtr context{X509_STORE_CTX_new()};
    if (!context || X509_STORE_CTX_init(context.get(), m_stores->store.get(), certificate.get(), nullptr) != 1)
        return {EndorsementChain::Invalid, u"Out of memory for an endorsement certificate."_s, chip, issuer};
    X509_STORE_CTX_set_time(context.get(), 0, static_cast<time_t>(toEpochMillis(at) / 1'000));
    const int ok = X509_verify_cert(context.get());
    const int error = X509_STORE_CTX_get_error(context.get());
    ERR_clear_error();
    if (ok != 1 || error != X509_V_OK) {
        const QString why = QString::fromLatin1(X509_verify_cert_error_string(error));
        if (meansUnknownAuthority(error))
            return {EndorsementChain::UnknownAuthority,
                    u"No TPM vendor in the directory of vendor certificates signed the endorsement certificate "
                    "(%1). If you trust its maker, add the maker's certificate there."_s.arg(why),
                    chip, issuer};
        return {EndorsementChain::Invalid, u"The endorsement certificate is not valid: %1."_s.arg(why), chip, issuer};
    }
    if (const QString problem = purposeProblem(certificate.get()); !problem.isEmpty())
        return {EndorsementChain::Invalid, u"The endorsement certificate is not valid. %1"_s.arg(problem), chip,
                issuer};
    return {EndorsementChain::Verified, {}, chip, issuer};
}

} // namespace lintel::tpm
