#include "tls/pki.h"

#include "tls/identity_files.h"
#include "tls/openssl_handles.h"
#include "tls/x509.h"

#include <openssl/rand.h>

#include <QDir>
#include <QFileInfo>

#include <array>

namespace lintel::tls {

using namespace Qt::StringLiterals;

namespace {
constexpr std::chrono::minutes kBackdate{1};
constexpr int kSerialBits = 128;

Error failed(const QString &what)
{
    return {Errc::Io, u"%1: %2."_s.arg(what, opensslReason())};
}

std::shared_ptr<EVP_PKEY> newKey()
{
    return {EVP_EC_gen("P-256"), EVP_PKEY_free};
}

bool setRandomSerial(X509 *certificate)
{
    const BignumPtr serial{BN_new()};
    return serial && BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1
           && BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate));
}

bool setValidity(X509 *certificate, Timestamp from, Timestamp to)
{
    const auto seconds = [](Timestamp t) { return static_cast<time_t>(toEpochMillis(t) / 1'000); };
    return ASN1_TIME_set(X509_getm_notBefore(certificate), seconds(from))
           && ASN1_TIME_set(X509_getm_notAfter(certificate), seconds(to));
}

bool setName(X509_NAME *name, const QByteArray &commonName)
{
    const auto add = [name](const char *field, const QByteArray &value) {
        return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                          reinterpret_cast<const unsigned char *>(value.constData()),
                                          static_cast<int>(value.size()), -1, 0)
               == 1;
    };
    // A common name holds 64 characters at most and means nothing in SPIFFE.
    return add("O", "Lintel"_ba) && add("CN", commonName.right(64));
}

bool addExtension(X509 *certificate, X509V3_CTX *context, int nid, const QByteArray &value)
{
    const X509ExtensionPtr extension{X509V3_EXT_conf_nid(nullptr, context, nid, value.constData())};
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// Through the structure and not through OpenSSL's configuration language, in which a comma of an
/// ID could begin a second name.
bool addUriName(X509 *certificate, const QString &uri)
{
    const GeneralNamesPtr names{sk_GENERAL_NAME_new_null()};
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    const QByteArray bytes = uri.toLatin1();
    if (!names || !name || !text || ASN1_STRING_set(text, bytes.constData(), static_cast<int>(bytes.size())) != 1) {
        GENERAL_NAME_free(name);
        ASN1_IA5STRING_free(text);
        return false;
    }
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    if (sk_GENERAL_NAME_push(names.get(), name) <= 0) {
        GENERAL_NAME_free(name);
        return false;
    }
    return X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

QString rootCertificateFile(const QString &dir, const TrustDomain &domain)
{
    return QDir(dir).filePath(domain.name() + u"/root.pem"_s);
}

QString rootKeyFile(const QString &dir, const TrustDomain &domain)
{
    return QDir(dir).filePath(domain.name() + u"/root.key"_s);
}
} // namespace

Pki::Pki(TrustDomain domain, QByteArray rootDer, std::shared_ptr<EVP_PKEY> key)
    : m_domain(std::move(domain)), m_rootDer(std::move(rootDer)), m_key(std::move(key))
{}

Result<Pki> Pki::create(const TrustDomain &domain, Timestamp now)
{
    const auto key = newKey();
    const X509Ptr root{X509_new()};
    if (!key || !root)
        return failed(u"A key for the root cannot be made"_s);
    X509_NAME *name = X509_get_subject_name(root.get());
    X509V3_CTX context;
    X509V3_set_ctx(&context, root.get(), root.get(), nullptr, nullptr, 0);
    const bool ok = X509_set_version(root.get(), X509_VERSION_3) == 1 && setRandomSerial(root.get())
                    && setName(name, domain.name().toUtf8()) && X509_set_issuer_name(root.get(), name) == 1
                    && setValidity(root.get(), now - kBackdate, now + kRootLifetime)
                    && X509_set_pubkey(root.get(), key.get()) == 1
                    && addUriName(root.get(), u"spiffe://"_s + domain.name())
                    && addExtension(root.get(), &context, NID_basic_constraints, "critical,CA:TRUE"_ba)
                    && addExtension(root.get(), &context, NID_key_usage, "critical,keyCertSign,cRLSign"_ba)
                    && addExtension(root.get(), &context, NID_subject_key_identifier, "hash"_ba)
                    && addExtension(root.get(), &context, NID_name_constraints,
                                    "critical,permitted;URI:"_ba + domain.name().toLatin1())
                    && X509_sign(root.get(), key.get(), EVP_sha256()) > 0;
    if (!ok)
        return failed(u"The root of %1 cannot be made"_s.arg(domain.name()));
    return Pki(domain, derOf(root.get()), key);
}

Result<Pki> Pki::load(const QString &dir, const TrustDomain &domain)
{
    const auto pem = readWholeFile(rootCertificateFile(dir, domain));
    if (!pem)
        return Error{pem.error().code, u"There is no root for %1 in %2; make it with \"lintelctl pki init\". %3"_s.arg(
                                           domain.name(), dir, pem.error().message)};
    const auto certificates = certificatesFromPem(*pem);
    if (!certificates)
        return certificates.error();
    const auto keyPem = readWholeFile(rootKeyFile(dir, domain));
    if (!keyPem)
        return keyPem.error();
    auto key = privateKeyFromPem(*keyPem);
    if (!key)
        return key.error();
    const X509Ptr root = x509FromDer(certificates->first());
    const auto id = spiffeIdOf(certificates->first());
    if (!root || !id || *id != *SpiffeId::parse(u"spiffe://"_s + domain.name()))
        return Error{Errc::Malformed,
                     u"%1 is not the root of %2."_s.arg(rootCertificateFile(dir, domain), domain.name())};
    if (X509_check_private_key(root.get(), key->get()) != 1) {
        ERR_clear_error();
        return Error{Errc::Conflict,
                     u"%1 does not belong to the root certificate beside it."_s.arg(rootKeyFile(dir, domain))};
    }
    return Pki(domain, certificates->first(), *key);
}

QList<TrustDomain> Pki::domainsIn(const QString &dir)
{
    QList<TrustDomain> domains;
    const QStringList names = QDir(dir).entryList(QDir::Dirs | QDir::NoDotAndDotDot, QDir::Name);
    for (const QString &name : names)
        if (const auto domain = TrustDomain::parse(name); domain && exists(dir, *domain))
            domains.append(*domain);
    return domains;
}

bool Pki::exists(const QString &dir, const TrustDomain &domain)
{
    return QFileInfo::exists(rootCertificateFile(dir, domain));
}

Result<void> Pki::save(const QString &dir) const
{
    if (auto made = makePrivateDirectory(QDir(dir).filePath(m_domain.name())); !made)
        return made;
    const auto keyPem = privateKeyToPem(*m_key);
    if (!keyPem)
        return keyPem.error();
    if (auto written = writePrivateFile(rootKeyFile(dir, m_domain), *keyPem); !written)
        return written;
    return writePublicFile(rootCertificateFile(dir, m_domain), certificatesToPem({m_rootDer}));
}

Result<void> Pki::mayIssue(const SpiffeId &id, std::chrono::seconds ttl)
{
    if (id.path().isEmpty())
        return Error{Errc::Malformed,
                     u"An SVID needs a SPIFFE ID with a path, for example spiffe://%1/agent/hvac-001."_s.arg(
                         id.trustDomain().name())};
    if (ttl < kMinTtl || ttl > kMaxTtl)
        return Error{Errc::OutOfRange, u"An SVID lives 1 to 24 hours; %1 s is outside of that."_s.arg(ttl.count())};
    return {};
}

Result<X509Svid> Pki::issue(const SpiffeId &id, std::chrono::seconds ttl, Timestamp now) const
{
    if (!id.isMemberOf(m_domain))
        return Error{Errc::Denied, u"The root of %1 cannot speak for %2."_s.arg(m_domain.name(), id.toString())};
    if (const auto allowed = mayIssue(id, ttl); !allowed)
        return allowed.error();

    const X509Ptr root = x509FromDer(m_rootDer);
    const auto key = newKey();
    const X509Ptr leaf{X509_new()};
    if (!root || !key || !leaf)
        return failed(u"A key for the SVID cannot be made"_s);
    X509V3_CTX context;
    X509V3_set_ctx(&context, root.get(), leaf.get(), nullptr, nullptr, 0);
    const bool ok = X509_set_version(leaf.get(), X509_VERSION_3) == 1 && setRandomSerial(leaf.get())
                    && setName(X509_get_subject_name(leaf.get()), id.path().mid(1).toUtf8())
                    && X509_set_issuer_name(leaf.get(), X509_get_subject_name(root.get())) == 1
                    && setValidity(leaf.get(), now - kBackdate, now + ttl)
                    && X509_set_pubkey(leaf.get(), key.get()) == 1 && addUriName(leaf.get(), id.toString())
                    && addExtension(leaf.get(), &context, NID_basic_constraints, "critical,CA:FALSE"_ba)
                    && addExtension(leaf.get(), &context, NID_key_usage, "critical,digitalSignature"_ba)
                    && addExtension(leaf.get(), &context, NID_ext_key_usage, "serverAuth,clientAuth"_ba)
                    && addExtension(leaf.get(), &context, NID_subject_key_identifier, "hash"_ba)
                    && addExtension(leaf.get(), &context, NID_authority_key_identifier, "keyid"_ba)
                    && X509_sign(leaf.get(), m_key.get(), EVP_sha256()) > 0;
    if (!ok)
        return failed(u"The SVID of %1 cannot be made"_s.arg(id.toString()));
    return makeSvid({derOf(leaf.get())}, key);
}

Result<void> writeRoots(const QString &dir, const TrustBundles &bundles)
{
    if (auto made = makePrivateDirectory(dir); !made)
        return made;
    for (auto it = bundles.cbegin(); it != bundles.cend(); ++it)
        if (auto written = writePublicFile(QDir(dir).filePath(bundleFileName(it.key())), certificatesToPem(it.value()));
            !written)
            return written;
    return {};
}

Result<void> writeKeyAndChain(const QString &file, const X509Svid &svid)
{
    const auto keyPem = privateKeyToPem(*svid.key);
    if (!keyPem)
        return keyPem.error();
    return writePrivateFile(file, *keyPem + certificatesToPem(svid.chainDer));
}

Result<void> writeIdentity(const QString &dir, const X509Svid &svid, const TrustBundles &bundles)
{
    if (auto written = writeRoots(dir, bundles); !written)
        return written;
    const auto keyPem = privateKeyToPem(*svid.key);
    if (!keyPem)
        return keyPem.error();
    if (auto written = writePrivateFile(QDir(dir).filePath(svidKeyFileName()), *keyPem); !written)
        return written;
    return writePublicFile(QDir(dir).filePath(svidFileName()), certificatesToPem(svid.chainDer));
}

} // namespace lintel::tls
