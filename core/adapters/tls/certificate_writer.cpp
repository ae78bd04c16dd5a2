#include "tls/certificate_writer.h"

#include "tls/der.h"
#include "tls/openssl_handles.h"
#include "tls/x509.h"

#include <openssl/rand.h>

#include <QCryptographicHash>

namespace lintel::tls {

using namespace Qt::StringLiterals;
using der::tagged;

namespace {
constexpr qsizetype kSerialBytes = 16;
constexpr auto kBasicConstraints = "\x06\x03\x55\x1d\x13";
constexpr auto kKeyUsage = "\x06\x03\x55\x1d\x0f";
constexpr auto kExtendedKeyUsage = "\x06\x03\x55\x1d\x25";
constexpr auto kSubjectAltName = "\x06\x03\x55\x1d\x11";
constexpr auto kNameConstraints = "\x06\x03\x55\x1d\x1e";
constexpr auto kSubjectKeyId = "\x06\x03\x55\x1d\x0e";
constexpr auto kAuthorityKeyId = "\x06\x03\x55\x1d\x23";
constexpr auto kOrganization = "\x06\x03\x55\x04\x0a";
constexpr auto kCommonName = "\x06\x03\x55\x04\x03";
constexpr auto kServerAndClientAuth = "\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"
                                      "\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02";
constexpr auto kUsageSignature = "\x03\x02\x07\x80"; // digitalSignature
constexpr auto kUsageAuthority = "\x03\x02\x01\x06"; // keyCertSign, cRLSign

QByteArray extension(const char *oid, bool critical, const QByteArray &value)
{
    const QByteArray flag = critical ? tagged(der::Boolean, QByteArray(1, '\xff')) : QByteArray();
    return tagged(der::Sequence, QByteArray(oid) + flag + tagged(der::OctetString, value));
}

QByteArray name(const QByteArray &commonName)
{
    const auto part = [](const char *oid, const QByteArray &text) {
        return tagged(der::Set, tagged(der::Sequence, QByteArray(oid) + tagged(der::Utf8String, text)));
    };
    QByteArray parts = part(kOrganization, "Lintel"_ba);
    if (!commonName.isEmpty())
        parts += part(kCommonName, commonName.left(64)); // a common name holds 64 characters at most
    return tagged(der::Sequence, parts);
}

/// RFC 5280, section 4.1.2.5: two digits of the year until 2049.
QByteArray time(Timestamp t)
{
    const auto days = std::chrono::floor<std::chrono::days>(t);
    const std::chrono::year_month_day date{days};
    const std::chrono::hh_mm_ss clock{std::chrono::floor<std::chrono::seconds>(t - days)};
    const int year = int(date.year());
    const auto two = [](auto value) { return QByteArray::number(qint64(value)).rightJustified(2, '0'); };
    const QByteArray rest = two(unsigned(date.month())) + two(unsigned(date.day())) + two(clock.hours().count())
                            + two(clock.minutes().count()) + two(clock.seconds().count()) + 'Z';
    if (year < 2050)
        return tagged(der::UtcTime, two(year % 100) + rest);
    return tagged(der::GeneralizedTime, QByteArray::number(year).rightJustified(4, '0') + rest);
}

QByteArray randomSerial()
{
    QByteArray serial(kSerialBytes, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char *>(serial.data()), int(serial.size())) != 1)
        return {};
    serial[0] = char((quint8(serial[0]) & 0x7f) | 0x40); // positive, and always 16 bytes
    return serial;
}

QByteArray keyIdOf(const QByteArray &publicKeyDer)
{
    const auto bits = der::publicKeyBits(publicKeyDer);
    return bits ? QCryptographicHash::hash(*bits, QCryptographicHash::Sha1) : QByteArray();
}

struct Body {
    QByteArray issuerName;
    QByteArray subjectName;
    Timestamp notBefore{};
    Timestamp notAfter{};
    QByteArray publicKeyDer;
    QByteArray extensions;
};

Result<WrittenCertificate> signBody(const Body &body, const SigningKey &key)
{
    const QByteArray serial = randomSerial();
    if (serial.isEmpty())
        return Error{Errc::Unavailable, u"The system gives no random numbers: %1."_s.arg(opensslReason())};
    QByteArray tbs;
    tbs.reserve(1'024);
    tbs += tagged(der::constructed(0), tagged(der::Integer, QByteArray(1, '\2')));
    tbs += tagged(der::Integer, serial);
    tbs += der::ecdsaSha256();
    tbs += body.issuerName;
    tbs += tagged(der::Sequence, time(body.notBefore) + time(body.notAfter));
    tbs += body.subjectName;
    tbs += body.publicKeyDer;
    tbs += tagged(der::constructed(3), tagged(der::Sequence, body.extensions));
    tbs = tagged(der::Sequence, tbs);
    const auto signature = key.sign(tbs);
    if (!signature)
        return signature.error();
    return WrittenCertificate{tagged(der::Sequence, tbs + der::ecdsaSha256().toByteArray()
                                                        + tagged(der::BitString, QByteArray(1, '\0') + *signature)),
                              QString::fromLatin1(serial.toHex().toUpper())};
}

Error badKey()
{
    return {Errc::Malformed, u"A certificate needs a public key in DER."_s};
}
} // namespace

Result<WrittenCertificate> writeAuthority(const AuthorityCertificate &certificate, const IssuerFacts *issuer,
                                          const SigningKey &issuerKey)
{
    const QByteArray keyId = keyIdOf(certificate.publicKeyDer);
    if (keyId.isEmpty())
        return badKey();
    QByteArray constraints = tagged(der::Boolean, QByteArray(1, '\xff'));
    if (certificate.pathLength)
        constraints += tagged(der::Integer, QByteArray(1, char(*certificate.pathLength)));
    const QByteArray host = certificate.domain.name().toLatin1();
    const QByteArray permitted = tagged(der::constructed(0), tagged(der::Sequence, tagged(der::context(6), host)));
    const QByteArray uri = tagged(der::context(6), "spiffe://"_ba + host);

    Body body;
    body.subjectName = name(certificate.commonName.toUtf8());
    body.issuerName = issuer ? issuer->subjectDer : body.subjectName;
    body.notBefore = certificate.notBefore;
    body.notAfter = certificate.notAfter;
    body.publicKeyDer = certificate.publicKeyDer;
    body.extensions =
        extension(kBasicConstraints, true, tagged(der::Sequence, constraints))
        + extension(kKeyUsage, true, kUsageAuthority)
        + (certificate.isLimitedToDomain ? extension(kNameConstraints, true, tagged(der::Sequence, permitted))
                                         : QByteArray())
        + extension(kSubjectKeyId, false, tagged(der::OctetString, keyId))
        + extension(kAuthorityKeyId, false,
                    tagged(der::Sequence, tagged(der::context(0), issuer ? issuer->keyId : keyId)))
        + extension(kSubjectAltName, false, tagged(der::Sequence, uri));
    return signBody(body, issuerKey);
}

Result<WrittenCertificate> writeLeaf(const LeafCertificate &certificate, const IssuerFacts &issuer,
                                     const SigningKey &issuerKey)
{
    if (certificate.id.path().isEmpty())
        return Error{Errc::Malformed,
                     u"An SVID needs a SPIFFE ID with a path; \"%1\" has none."_s.arg(certificate.id.toString())};
    const QByteArray keyId = keyIdOf(certificate.publicKeyDer);
    if (keyId.isEmpty())
        return badKey();
    QByteArray names = tagged(der::context(6), certificate.id.toString().toLatin1());
    for (const QString &dns : certificate.dnsNames)
        names += tagged(der::context(2), dns.toLatin1());

    static const QByteArray subject = name({});
    static const QByteArray fixed =
        extension(kBasicConstraints, true, tagged(der::Sequence, {})) + extension(kKeyUsage, true, kUsageSignature)
        + extension(kExtendedKeyUsage, false, tagged(der::Sequence, QByteArray(kServerAndClientAuth)));
    Body body;
    body.subjectName = subject;
    body.issuerName = issuer.subjectDer;
    body.notBefore = certificate.notBefore;
    body.notAfter = certificate.notAfter;
    body.publicKeyDer = certificate.publicKeyDer;
    body.extensions = fixed + extension(kSubjectKeyId, false, tagged(der::OctetString, keyId))
                      + extension(kAuthorityKeyId, false, tagged(der::Sequence, tagged(der::context(0), issuer.keyId)))
                      + extension(kSubjectAltName, false, tagged(der::Sequence, names));
    return signBody(body, issuerKey);
}

Result<IssuerFacts> issuerFacts(const QByteArray &certificateDer)
{
    const auto described = describeCertificate(certificateDer);
    if (!described)
        return described.error();
    const X509Ptr certificate = x509FromDer(certificateDer);
    const ASN1_OCTET_STRING *keyId = X509_get0_subject_key_id(certificate.get());
    const unsigned char *subject = nullptr;
    size_t size = 0;
    if (!described->isAuthority || !keyId
        || X509_NAME_get0_der(X509_get_subject_name(certificate.get()), &subject, &size) != 1)
        return Error{Errc::Malformed,
                     u"The certificate cannot be an issuer: it is no authority's, or has no key id."_s};
    const auto bytes = [](const unsigned char *data, qsizetype length) {
        return QByteArray(reinterpret_cast<const char *>(data), length);
    };
    return IssuerFacts{bytes(subject, qsizetype(size)), bytes(ASN1_STRING_get0_data(keyId), ASN1_STRING_length(keyId)),
                       described->notBefore, described->notAfter};
}

Result<QByteArray> publicKeyOf(const QByteArray &certificateDer)
{
    const X509Ptr certificate = x509FromDer(certificateDer);
    unsigned char *data = nullptr;
    const int size = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &data) : 0;
    if (size <= 0)
        return Error{Errc::Malformed, u"The certificate is not valid DER: %1."_s.arg(opensslReason())};
    QByteArray der(reinterpret_cast<const char *>(data), size);
    OPENSSL_free(data);
    return der;
}

} // namespace lintel::tls
