// Certificates and tokens with one thing wrong, to see them refused. OpenSSL writes them, because our
// own writer cannot.
#pragma once

#include "tls/file_key_store.h"
#include "tls/openssl_handles.h"
#include "tls/x509.h"

#include <QByteArrayList>

#include <memory>

namespace lintel::test {

struct OddCertificate {
    QByteArrayList uris{"spiffe://building-1.smart.local/agent/hvac-001"};
    QByteArray basicConstraints = "critical,CA:FALSE";
    QByteArray keyUsage = "critical,digitalSignature";
    QByteArray extendedKeyUsage = "serverAuth,clientAuth";
    QByteArray nameConstraints = {};
    qint64 notBefore = 1'700'000'000; // seconds since 1970
    qint64 notAfter = 4'000'000'000;
    bool hasSubject = true;
    bool isNameCritical = false;
    QByteArray publicKeyDer = {}; // of this key instead of a new one; needs an issuer
};

struct MadeCertificate {
    QByteArray der;
    std::shared_ptr<EVP_PKEY> key;
};

/// Self-signed unless an issuer is given.
inline MadeCertificate makeCertificate(const OddCertificate &wanted, const MadeCertificate *issuer = nullptr)
{
    using namespace lintel::tls;
    MadeCertificate made{{}, *newSoftwareKey()};
    const X509Ptr certificate{X509_new()};
    const X509Ptr parent = issuer ? x509FromDer(issuer->der) : X509Ptr{};
    X509 *x = certificate.get();
    X509_set_version(x, X509_VERSION_3);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    ASN1_TIME_set(X509_getm_notBefore(x), static_cast<time_t>(wanted.notBefore));
    ASN1_TIME_set(X509_getm_notAfter(x), static_cast<time_t>(wanted.notAfter));
    const QByteArray name = "test " + QByteArray::number(qint64(serial));
    if (wanted.hasSubject)
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char *>(name.constData()), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(parent ? parent.get() : x));
    const auto *at = reinterpret_cast<const unsigned char *>(wanted.publicKeyDer.constData());
    const std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>> given{
        wanted.publicKeyDer.isEmpty() ? nullptr : d2i_PUBKEY(nullptr, &at, wanted.publicKeyDer.size())};
    X509_set_pubkey(x, given ? given.get() : made.key.get());
    const auto add = [&](int nid, const QByteArray &value) {
        if (value.isEmpty())
            return;
        const X509ExtensionPtr extension{X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.constData())};
        X509_add_ext(x, extension.get(), -1);
    };
    QByteArrayList names;
    for (const QByteArray &uri : wanted.uris)
        names.append("URI:" + uri);
    add(NID_subject_alt_name, (wanted.isNameCritical ? "critical," : "") + names.join(','));
    add(NID_basic_constraints, wanted.basicConstraints);
    add(NID_key_usage, wanted.keyUsage);
    add(NID_ext_key_usage, wanted.extendedKeyUsage);
    add(NID_name_constraints, wanted.nameConstraints);
    X509_sign(x, issuer ? issuer->key.get() : made.key.get(), EVP_sha256());
    made.der = derOf(x);
    return made;
}

inline OddCertificate rootOf(const QByteArray &domain)
{
    return {{"spiffe://" + domain}, "critical,CA:TRUE", "critical,keyCertSign,cRLSign", {}, {}};
}

} // namespace lintel::test
