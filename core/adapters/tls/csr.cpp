// Reading and making certificate requests (certificate_writer.h).
#include "tls/certificate_writer.h"

#include "tls/der.h"
#include "tls/public_key.h"

#include <QCryptographicHash>

namespace lintel::tls {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMaxCsrBytes = 16 * 1024;
constexpr char kExtensionRequest[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"; // RFC 2985
constexpr char kSubjectAltName[] = "\x06\x03\x55\x1d\x11";

struct CsrParts {
    QByteArrayView info; // CertificationRequestInfo, which is what is signed
    QByteArrayView publicKey;
    QByteArrayView attributes;
    QByteArrayView algorithm;
    QByteArrayView signature;
};

Error malformed()
{
    return {Errc::Malformed, u"The certificate request cannot be read: it is not PKCS #10 in DER."_s};
}

std::optional<CsrParts> takeApart(QByteArrayView bytes)
{
    der::Reader all(bytes);
    const auto csr = all.next(der::Sequence);
    if (!csr || !all.atEnd())
        return std::nullopt;
    der::Reader outer(csr->content);
    const auto info = outer.next(der::Sequence);
    const auto algorithm = outer.next(der::Sequence);
    const auto signature = outer.next(der::BitString);
    if (!info || !algorithm || !signature || !outer.atEnd() || signature->content.size() < 2
        || signature->content[0] != 0)
        return std::nullopt;
    der::Reader inner(info->content);
    const auto version = inner.next(der::Integer);
    const auto subject = inner.next(der::Sequence);
    const auto key = inner.next(der::Sequence);
    if (!version || version->content != QByteArrayView("\0", 1) || !subject || !key)
        return std::nullopt;
    CsrParts parts{info->whole, key->whole, {}, algorithm->whole, signature->content.sliced(1)};
    if (!inner.atEnd()) {
        const auto attributes = inner.next(der::constructed(0));
        if (!attributes || !inner.atEnd())
            return std::nullopt;
        parts.attributes = attributes->content;
    }
    return parts;
}

/// RSA and the larger curves take OpenSSL's own road, which knows their signature algorithms.
bool verifiesByOpenssl(QByteArrayView bytes, EVP_PKEY *key)
{
    const auto *at = reinterpret_cast<const unsigned char *>(bytes.data());
    const std::unique_ptr<X509_REQ, Freer<X509_REQ_free>> request{d2i_X509_REQ(nullptr, &at, long(bytes.size()))};
    int digest = NID_undef;
    const bool strong = request && OBJ_find_sigid_algs(X509_REQ_get_signature_nid(request.get()), &digest, nullptr) == 1
                        && digest != NID_sha1 && digest != NID_md5;
    const bool ok = strong && X509_REQ_verify(request.get(), key) == 1;
    ERR_clear_error();
    return ok;
}

void readNames(QByteArrayView generalNames, CsrFacts &facts)
{
    der::Reader names(generalNames);
    int uris = 0;
    while (const auto name = names.next()) {
        const QString text = QString::fromLatin1(name->content);
        if (name->tag == der::context(2))
            facts.dnsNames.append(text);
        if (name->tag != der::context(6))
            continue;
        const auto id = SpiffeId::parse(text);
        facts.spiffeId = ++uris == 1 && id ? std::optional(*id) : std::nullopt;
    }
}

/// Broken attributes are none: nothing that is granted depends on them.
void readExtensions(QByteArrayView attributes, CsrFacts &facts)
{
    der::Reader all(attributes);
    while (const auto attribute = all.next(der::Sequence)) {
        der::Reader parts(attribute->content);
        const auto type = parts.next(der::ObjectId);
        const auto values = parts.next(der::Set);
        if (!type || !values || type->whole != QByteArrayView(kExtensionRequest))
            continue;
        der::Reader set(values->content);
        const auto list = set.next(der::Sequence);
        der::Reader extensions(list ? list->content : QByteArrayView());
        while (const auto extension = extensions.next(der::Sequence)) {
            der::Reader fields(extension->content);
            const auto oid = fields.next(der::ObjectId);
            auto value = fields.next();
            if (value && value->tag == der::Boolean)
                value = fields.next();
            if (!oid || !value || value->tag != der::OctetString || oid->whole != QByteArrayView(kSubjectAltName))
                continue;
            der::Reader wrapped(value->content);
            if (const auto names = wrapped.next(der::Sequence))
                readNames(names->content, facts);
        }
    }
}
} // namespace

Result<CsrFacts> readCsr(const QByteArray &bytes)
{
    const auto parts = bytes.size() > kMaxCsrBytes ? std::nullopt : takeApart(bytes);
    if (!parts)
        return malformed();
    const PkeyPtr key = publicKeyFromDer(parts->publicKey);
    if (!key || !isAcceptableKey(key.get()))
        return Error{Errc::Malformed, u"The certificate request has a key that is not accepted; use EC on P-256 or "
                                      "P-384, or RSA of 2,048 bits or more."_s};
    const bool quick = der::isP256(parts->publicKey) && parts->algorithm == der::ecdsaSha256();
    const bool verified = quick ? verifySignature(key.get(), sha256(), parts->info, parts->signature)
                                : verifiesByOpenssl(bytes, key.get());
    if (!verified)
        return Error{Errc::Denied, u"The signature of the certificate request does not verify: whoever sent it has "
                                   "not shown that the key is theirs."_s};
    CsrFacts facts;
    facts.publicKeyDer = parts->publicKey.toByteArray();
    readExtensions(parts->attributes, facts);
    return facts;
}

Result<QByteArray> makeCsr(const SigningKey &key, const SpiffeId &id)
{
    using der::tagged;
    QByteArray attributes;
    if (!id.isEmpty()) {
        const QByteArray names = tagged(der::Sequence, tagged(der::context(6), id.toString().toLatin1()));
        const QByteArray extension =
            tagged(der::Sequence, QByteArray(kSubjectAltName) + tagged(der::OctetString, names));
        const QByteArray list = tagged(der::Set, tagged(der::Sequence, extension));
        attributes = tagged(der::Sequence, QByteArray(kExtensionRequest) + list);
    }
    const QByteArray info = tagged(der::Sequence, tagged(der::Integer, QByteArray(1, '\0')) + tagged(der::Sequence, {})
                                                      + key.publicKeyDer() + tagged(der::constructed(0), attributes));
    const auto signature = key.sign(info);
    if (!signature)
        return signature.error();
    return tagged(der::Sequence,
                  info + der::ecdsaSha256().toByteArray() + tagged(der::BitString, QByteArray(1, '\0') + *signature));
}

QByteArray publicKeyHash(const QByteArray &publicKeyDer)
{
    return QCryptographicHash::hash(publicKeyDer, QCryptographicHash::Sha256);
}

} // namespace lintel::tls
