#include "authority/bundle_view.h"

#include "tls/identity_files.h"
#include "tls/x509.h"

#include <QJsonArray>
#include <QJsonDocument>

namespace lintel::cli {

using namespace Qt::StringLiterals;
using spire::bytesOf;
using spire::textOf;

Result<tls::BundleDocument> readBundleFile(const QString &path)
{
    const auto text = tls::readWholeFile(path);
    if (!text)
        return text.error();
    if (text->trimmed().startsWith('{')) {
        auto document = tls::parseBundle(*text);
        if (!document)
            return Error{document.error().code, u"%1: %2"_s.arg(path, document.error().message)};
        return document;
    }
    const auto roots = tls::certificatesFromPem(*text);
    if (!roots)
        return Error{roots.error().code,
                     u"%1 is neither a SPIFFE bundle (JSON) nor PEM: %2"_s.arg(path, roots.error().message)};
    tls::BundleDocument document;
    document.x509Authorities = *roots;
    return document;
}

tls::BundleDocument bundleOf(const ::spire::api::types::Bundle &bundle)
{
    tls::BundleDocument document;
    for (const auto &root : bundle.x509_authorities())
        document.x509Authorities.append(bytesOf(root.asn1()));
    for (const auto &key : bundle.jwt_authorities())
        document.jwtAuthorities.append({textOf(key.key_id()), bytesOf(key.public_key())});
    document.sequence = bundle.sequence_number();
    if (bundle.refresh_hint() > 0)
        document.refreshHint = std::chrono::seconds{bundle.refresh_hint()};
    return document;
}

void fill(::spire::api::types::Bundle *out, const QString &domain, const tls::BundleDocument &bundle)
{
    out->set_trust_domain(domain.toStdString());
    for (const QByteArray &root : bundle.x509Authorities)
        out->add_x509_authorities()->set_asn1(root.toStdString());
    for (const tls::JwtAuthority &key : bundle.jwtAuthorities) {
        auto *one = out->add_jwt_authorities();
        one->set_key_id(key.keyId.toStdString());
        one->set_public_key(key.publicKeyDer.toStdString());
    }
    out->set_sequence_number(bundle.sequence.value_or(0));
    out->set_refresh_hint(bundle.refreshHint.value_or(std::chrono::seconds{0}).count());
}

QJsonObject bundleJson(const QString &domain, const tls::BundleDocument &bundle)
{
    QJsonArray roots;
    for (const QByteArray &der : bundle.x509Authorities)
        if (const auto facts = tls::describeCertificate(der))
            roots.append(QJsonObject{{u"serial"_s, facts->serial}, {u"not_after"_s, toIso8601(facts->notAfter)}});
    QJsonArray keys;
    for (const tls::JwtAuthority &key : bundle.jwtAuthorities)
        keys.append(key.keyId);
    return {{u"trust_domain"_s, domain},
            {u"sequence"_s, qint64(bundle.sequence.value_or(0))},
            {u"refresh_hint_s"_s, qint64(bundle.refreshHint.value_or(std::chrono::seconds{0}).count())},
            {u"roots"_s, roots},
            {u"jwt_keys"_s, keys}};
}

QJsonObject wholeBundleJson(const QString &domain, const tls::BundleDocument &bundle)
{
    QJsonObject json = bundleJson(domain, bundle);
    if (const auto text = tls::printBundle(bundle))
        json.insert(u"document"_s, QJsonDocument::fromJson(*text).object());
    return json;
}

} // namespace lintel::cli
