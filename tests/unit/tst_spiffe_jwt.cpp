// JWT-SVID.md and SPIFFE_Trust_Domain_and_Bundle.md line by line, and the deny list that rides on the
// same signatures. Each slot is a row of docs/spiffe-conformance.md.
#include "fakes/odd_certificate.h"
#include "tls/deny_list.h"
#include "tls/jws.h"
#include "tls/jwt_svid.h"
#include "tls/public_key.h"
#include "tls/signed_time.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include <QJsonArray>
#include <QJsonDocument>
#include <QTest>

#include <functional>

using namespace lintel;
using namespace lintel::tls;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {
const Timestamp kNow = fromEpochMillis(1'768'435'200'000);
const TrustDomain kDomain = *TrustDomain::parse(u"building-1.smart.local");
const SpiffeId kId = *SpiffeId::parse(u"spiffe://building-1.smart.local/agent/hvac-001");
constexpr auto kUrlSafe = QByteArray::Base64UrlEncoding | QByteArray::OmitTrailingEquals;

QByteArray encoded(const QJsonObject &object)
{
    return QJsonDocument(object).toJson(QJsonDocument::Compact).toBase64(kUrlSafe);
}

struct Keys {
    std::shared_ptr<SigningKey> key = *signingKeyFrom(*newSoftwareKey());
    JwtBundles bundles{{kDomain, {{u"k1"_s, key->publicKeyDer()}}}};

    QJsonObject claims() const
    {
        return {{u"sub"_s, kId.toString()},
                {u"aud"_s, QJsonArray{u"reports"_s}},
                {u"iat"_s, 1'768'435'200},
                {u"exp"_s, 1'768'435'500}};
    }
    /// Signed as it stands, whatever stands in it.
    QByteArray token(const QJsonObject &payload, const QString &type = u"JWT"_s, const QString &keyId = u"k1"_s) const
    {
        return *signToken(payload, type, keyId, *key);
    }
    QByteArray tokenWithout(const QString &claim) const
    {
        QJsonObject payload = claims();
        payload.remove(claim);
        return token(payload);
    }
    QByteArray tokenWith(const QString &claim, const QJsonValue &value) const
    {
        QJsonObject payload = claims();
        payload.insert(claim, value);
        return token(payload);
    }
    bool isValid(const QByteArray &text, const QString &audience = u"reports"_s, Timestamp at = kNow) const
    {
        return bool(validateJwtSvid(text, audience, bundles, at));
    }
};

/// Signed by any OpenSSL key, for the other algorithms of the standard.
QByteArray signedBy(EVP_PKEY *key, const char *alg, const EVP_MD *digest, bool pss, const QJsonObject &claims)
{
    const QByteArray input =
        encoded({{u"alg"_s, QString::fromLatin1(alg)}, {u"kid"_s, u"k1"_s}}) + '.' + encoded(claims);
    const MdCtxPtr context{EVP_MD_CTX_new()};
    EVP_PKEY_CTX *parameters = nullptr;
    EVP_DigestSignInit(context.get(), &parameters, digest, nullptr, key);
    if (pss) {
        EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST);
    }
    QByteArray signature(1'024, '\0');
    auto size = size_t(signature.size());
    EVP_DigestSign(context.get(), reinterpret_cast<unsigned char *>(signature.data()), &size,
                   reinterpret_cast<const unsigned char *>(input.constData()), size_t(input.size()));
    signature.truncate(qsizetype(size));
    if (EVP_PKEY_is_a(key, "EC")) {
        const int half = (EVP_PKEY_get_bits(key) + 7) / 8;
        const auto *at = reinterpret_cast<const unsigned char *>(signature.constData());
        ECDSA_SIG *parts = d2i_ECDSA_SIG(nullptr, &at, signature.size());
        signature = QByteArray(2 * half, '\0');
        BN_bn2binpad(ECDSA_SIG_get0_r(parts), reinterpret_cast<unsigned char *>(signature.data()), half);
        BN_bn2binpad(ECDSA_SIG_get0_s(parts), reinterpret_cast<unsigned char *>(signature.data()) + half, half);
        ECDSA_SIG_free(parts);
    }
    return input + '.' + signature.toBase64(kUrlSafe);
}

BundleDocument someBundle()
{
    return {{makeCertificate(rootOf("building-1.smart.local")).der}, {{u"k1"_s, Keys().key->publicKeyDer()}}, 7, 3600s};
}

QJsonObject printedObject(const BundleDocument &bundle)
{
    return QJsonDocument::fromJson(*printBundle(bundle)).object();
}

QByteArray changedKeys(const BundleDocument &bundle, const std::function<void(QJsonObject &)> &change)
{
    QJsonObject root = printedObject(bundle);
    QJsonArray keys;
    const QJsonArray before = root.value("keys"_L1).toArray();
    for (const QJsonValue &value : before) {
        QJsonObject key = value.toObject();
        change(key);
        keys.append(key);
    }
    root.insert(u"keys"_s, keys);
    return QJsonDocument(root).toJson();
}
} // namespace

class TestSpiffeJwt : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    // --- JWT-SVID 1, 5.1: compact serialization only ---
    void jwt1_signedTokenValidates()
    {
        const Keys k;
        const auto token = signJwtSvid({kId, {u"reports"_s}, kNow, kNow + 5min, {}}, u"k1"_s, *k.key);
        QVERIFY(token);
        const auto svid = validateJwtSvid(*token, u"reports"_s, k.bundles, kNow);
        QVERIFY2(bool(svid), svid ? "" : qPrintable(svid.error().message));
        QCOMPARE(svid->id, kId);
        QCOMPARE(svid->audience, QStringList{u"reports"_s});
        QCOMPARE(svid->expiresAt, kNow + 5min);
    }
    void jwt1_jsonSerializationIsRefused()
    {
        const Keys k;
        const QList<QByteArray> parts = k.token(k.claims()).split('.');
        const QJsonObject json{{u"protected"_s, QString::fromLatin1(parts[0])},
                               {u"payload"_s, QString::fromLatin1(parts[1])},
                               {u"signature"_s, QString::fromLatin1(parts[2])}};
        QVERIFY(!k.isValid(QJsonDocument(json).toJson()));
    }
    // --- 2: header ---
    void jwt2_otherHeaderIsRefused()
    {
        const Keys k;
        for (const QString &name :
             {u"jku"_s, u"jwk"_s, u"x5c"_s, u"x5u"_s, u"crit"_s, u"b64"_s, u"zip"_s, u"private"_s}) {
            const QByteArray input =
                encoded({{u"alg"_s, u"ES256"_s}, {u"kid"_s, u"k1"_s}, {name, u"x"_s}}) + '.' + encoded(k.claims());
            QVERIFY2(!k.isValid(input + '.' + QByteArray(64, 'x').toBase64(kUrlSafe)), qPrintable(name));
            QVERIFY(parseToken(input + ".AA").error().message.contains(name));
        }
    }
    void jwt21_algorithmsOutsideOfTheTableAreRefused()
    {
        const Keys k;
        for (const QString &alg :
             {u"none"_s, u"None"_s, u"HS256"_s, u"HS512"_s, u"EdDSA"_s, u"es256"_s, u""_s, u"ES256K"_s}) {
            const QByteArray token = encoded({{u"alg"_s, alg}, {u"kid"_s, u"k1"_s}}) + '.' + encoded(k.claims()) + '.'
                                     + QByteArray(64, 'x').toBase64(kUrlSafe);
            QVERIFY(!k.isValid(token));
            QVERIFY(parseToken(token).error().message.contains("not allowed"_L1));
        }
        QVERIFY(!k.isValid(encoded({{u"kid"_s, u"k1"_s}}) + '.' + encoded(k.claims()) + ".AA"));
    }
    void jwt21_everyAlgorithmOfTheTableIsAccepted()
    {
        struct Row {
            const char *alg;
            const EVP_MD *digest;
            const char *curve;
            bool pss;
        };
        const std::shared_ptr<EVP_PKEY> rsa(EVP_RSA_gen(2048), EVP_PKEY_free);
        const Keys k;
        for (const Row &row : {Row{"RS256", EVP_sha256(), nullptr, false}, Row{"RS384", EVP_sha384(), nullptr, false},
                               Row{"RS512", EVP_sha512(), nullptr, false}, Row{"PS256", EVP_sha256(), nullptr, true},
                               Row{"PS384", EVP_sha384(), nullptr, true}, Row{"PS512", EVP_sha512(), nullptr, true},
                               Row{"ES256", EVP_sha256(), "P-256", false}, Row{"ES384", EVP_sha384(), "P-384", false},
                               Row{"ES512", EVP_sha512(), "P-521", false}}) {
            const std::shared_ptr<EVP_PKEY> key =
                row.curve ? std::shared_ptr<EVP_PKEY>(EVP_EC_gen(row.curve), EVP_PKEY_free) : rsa;
            const JwtBundles bundles{{kDomain, {{u"k1"_s, publicKeyToDer(key.get())}}}};
            const QByteArray token = signedBy(key.get(), row.alg, row.digest, row.pss, k.claims());
            const auto svid = validateJwtSvid(token, u"reports"_s, bundles, kNow);
            QVERIFY2(bool(svid), row.alg);
        }
    }
    void jwt21_algorithmMustFitTheKey()
    {
        // The same bytes under another name of algorithm: a key is good for its own one only.
        const std::shared_ptr<EVP_PKEY> rsa(EVP_RSA_gen(2048), EVP_PKEY_free);
        const JwtBundles bundles{{kDomain, {{u"k1"_s, publicKeyToDer(rsa.get())}}}};
        const Keys k;
        QVERIFY(!validateJwtSvid(signedBy(rsa.get(), "PS256", EVP_sha256(), false, k.claims()), u"reports"_s, bundles,
                                 kNow));
        QVERIFY(!validateJwtSvid(signedBy(rsa.get(), "ES256", EVP_sha256(), false, k.claims()), u"reports"_s, bundles,
                                 kNow));
        QVERIFY(!validateJwtSvid(k.token(k.claims()), u"reports"_s, bundles, kNow));
    }
    void jwt22_keyIdIsOptional()
    {
        const Keys k;
        const QByteArray input = encoded({{u"alg"_s, u"ES256"_s}}) + '.' + encoded(k.claims());
        const QByteArray der = *k.key->sign(input);
        const auto *at = reinterpret_cast<const unsigned char *>(der.constData());
        ECDSA_SIG *parts = d2i_ECDSA_SIG(nullptr, &at, der.size());
        QByteArray raw(64, '\0');
        BN_bn2binpad(ECDSA_SIG_get0_r(parts), reinterpret_cast<unsigned char *>(raw.data()), 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(parts), reinterpret_cast<unsigned char *>(raw.data()) + 32, 32);
        ECDSA_SIG_free(parts);
        QVERIFY(k.isValid(input + '.' + raw.toBase64(kUrlSafe)));
    }
    void jwt22_unknownKeyIdIsRefused()
    {
        const Keys k;
        QVERIFY(!k.isValid(k.token(k.claims(), u"JWT"_s, u"k2"_s)));
    }
    void jwt23_typeIsJwtOrJose()
    {
        const Keys k;
        for (const QString &type : {u"JWT"_s, u"JOSE"_s, QString()})
            QVERIFY(k.isValid(k.token(k.claims(), type)));
        for (const QString &type : {u"jwt"_s, u"at+jwt"_s, u"lintel-deny-list+jwt"_s})
            QVERIFY(!k.isValid(k.token(k.claims(), type)));
    }
    // --- 3: claims ---
    void jwt31_subjectIsASpiffeId()
    {
        const Keys k;
        QVERIFY(!k.isValid(k.tokenWithout(u"sub"_s)));
        QVERIFY(!k.isValid(k.tokenWith(u"sub"_s, u"hvac-001"_s)));
        QVERIFY(!k.isValid(k.tokenWith(u"sub"_s, u"spiffe://building-1.smart.local"_s)));
        QVERIFY(!k.isValid(k.tokenWith(u"sub"_s, 5)));
    }
    void jwt31_subjectOfAnotherDomainIsRefused()
    {
        const Keys k;
        QVERIFY(!k.isValid(k.tokenWith(u"sub"_s, u"spiffe://smart-building.cloud/agent/ingestion"_s)));
        // Also where that domain is known: our key does not speak for it.
        JwtBundles both = k.bundles;
        both.insert(*TrustDomain::parse(u"smart-building.cloud"), {{u"k1"_s, Keys().key->publicKeyDer()}});
        QVERIFY(!validateJwtSvid(k.tokenWith(u"sub"_s, u"spiffe://smart-building.cloud/agent/ingestion"_s),
                                 u"reports"_s, both, kNow));
    }
    void jwt32_audienceIsNeeded()
    {
        const Keys k;
        QVERIFY(!k.isValid(k.tokenWithout(u"aud"_s)));
        QVERIFY(!k.isValid(k.tokenWith(u"aud"_s, QJsonArray())));
        QVERIFY(!k.isValid(k.tokenWith(u"aud"_s, QJsonArray{u""_s}), u""_s));
        QVERIFY(!k.isValid(k.tokenWith(u"aud"_s, QJsonArray{1})));
        QVERIFY(!signJwtSvid({kId, {}, kNow, kNow + 5min, {}}, u"k1"_s, *k.key));
    }
    void jwt32_otherAudienceIsRefused()
    {
        const Keys k;
        QVERIFY(!k.isValid(k.token(k.claims()), u"billing"_s));
        QVERIFY(!k.isValid(k.token(k.claims()), u""_s));
        QVERIFY(k.isValid(k.tokenWith(u"aud"_s, QJsonArray{u"billing"_s, u"reports"_s})));
        QVERIFY(k.isValid(k.tokenWith(u"aud"_s, u"reports"_s)));
    }
    void jwt33_expirationIsNeeded()
    {
        const Keys k;
        QVERIFY(!k.isValid(k.tokenWithout(u"exp"_s)));
        QVERIFY(!k.isValid(k.tokenWith(u"exp"_s, u"1768435500"_s)));
        QVERIFY(!k.isValid(k.tokenWith(u"exp"_s, -5)));
    }
    void jwt33_expiredIsRefused()
    {
        const Keys k;
        QVERIFY(k.isValid(k.token(k.claims()), u"reports"_s, kNow + 299s));
        QVERIFY(!k.isValid(k.token(k.claims()), u"reports"_s, kNow + 300s + kJwtLeeway));
    }
    void jwt4_tokenOfTheFutureIsRefused()
    {
        const Keys k;
        QVERIFY(!k.isValid(k.tokenWith(u"nbf"_s, 1'768'435'400)));
        QVERIFY(!k.isValid(k.tokenWith(u"iat"_s, 1'768'435'400)));
    }
    void jwt4_changedTokenIsRefused()
    {
        const Keys k;
        const QByteArray token = k.token(k.claims());
        const QList<QByteArray> parts = token.split('.');
        QJsonObject payload = k.claims();
        payload.insert(u"sub"_s, u"spiffe://building-1.smart.local/agent/gateway"_s);
        QVERIFY(!k.isValid(parts[0] + '.' + encoded(payload) + '.' + parts[2]));
        QVERIFY(!k.isValid(parts[0] + '.' + parts[1] + '.'));
        QVERIFY(!k.isValid(token + "="));
        QVERIFY(!k.isValid(token.first(token.size() - 1)));
    }
    void jwt4_tokenWithoutBundleIsRefused()
    {
        QVERIFY(!validateJwtSvid(Keys().token(Keys().claims()), u"reports"_s, {}, kNow));
    }

    // --- Bundles, publishing ---
    void bundle_printsAndParsesBack()
    {
        const BundleDocument bundle = someBundle();
        const auto back = parseBundle(*printBundle(bundle));
        QVERIFY(back);
        QCOMPARE(*back, bundle);
    }
    void bundle411_sequenceIsWhole()
    {
        QCOMPARE(printedObject(someBundle()).value("spiffe_sequence"_L1).toInteger(), 7);
        QVERIFY(!parseBundle(R"({"keys":[],"spiffe_sequence":"7"})"));
        QVERIFY(!parseBundle(R"({"keys":[],"spiffe_sequence":-1})"));
        QVERIFY(!parseBundle(R"({"keys":[],"spiffe_sequence":1.5})"));
        QCOMPARE(parseBundle(R"({"keys":[],"spiffe_sequence":9223372036854775807})")->sequence.value(),
                 9223372036854775807ULL);
        QVERIFY(!parseBundle(R"({"keys":[]})")->sequence);
    }
    void bundle411_lowerSequenceIsRefused()
    {
        BundleDocument known = someBundle();
        BundleDocument fresh = someBundle();
        fresh.sequence = 6;
        QCOMPARE(mayReplace(known, fresh).error().code, Errc::Conflict);
        fresh.sequence = 7; // other keys under the same number
        QVERIFY(!mayReplace(known, fresh));
        fresh.sequence.reset();
        QVERIFY(!mayReplace(known, fresh));
        fresh.sequence = 8;
        QVERIFY(mayReplace(known, fresh));
    }
    void bundle412_refreshHintIsSeconds()
    {
        QCOMPARE(printedObject(someBundle()).value("spiffe_refresh_hint"_L1).toInteger(), 3600);
        QVERIFY(!parseBundle(R"({"keys":[],"spiffe_refresh_hint":"3600"})"));
    }
    void bundle413_keysAreNeeded()
    {
        QVERIFY(!parseBundle("{}"));
        QVERIFY(!parseBundle(R"({"keys":{}})"));
        QVERIFY(!parseBundle("[]"));
        QVERIFY(!parseBundle("{"));
    }
    void bundle413_emptyKeysMeanNobodyIsTrusted()
    {
        const auto bundle = parseBundle(R"({"keys":[]})");
        QVERIFY(bundle);
        QVERIFY(bundle->isEmpty());
        QVERIFY(
            !verifyPeer({makeCertificate({}).der}, kId, {{kDomain, bundle->x509Authorities}}, PeerRole::Client, kNow));
    }
    void bundle413_unknownParametersAreIgnored() { QVERIFY(parseBundle(R"({"keys":[],"more":{"x":1}})")); }
    void bundle421_unknownKeyTypeIsIgnored()
    {
        const QByteArray json = changedKeys(someBundle(), [](QJsonObject &key) { key.insert(u"kty"_s, u"OKP"_s); });
        QVERIFY(parseBundle(json)->isEmpty());
        QVERIFY(parseBundle(changedKeys(someBundle(), [](QJsonObject &key) { key.remove(u"kty"_s); }))->isEmpty());
    }
    void bundle422_missingOrUnknownUseIsIgnored()
    {
        for (const QString &use : {u""_s, u"sig"_s, u"X509-SVID"_s, u"JWT-SVID"_s, u"wit-svid"_s})
            QVERIFY(parseBundle(changedKeys(someBundle(), [&](QJsonObject &key) {
                        key.insert(u"use"_s, use);
                    }))->isEmpty());
        QVERIFY(parseBundle(changedKeys(someBundle(), [](QJsonObject &key) { key.remove(u"use"_s); }))->isEmpty());
    }
    void x509svid61_publishedKeyHasUseAndOneCertificateAndNoKid()
    {
        const QJsonObject key = printedObject(someBundle()).value("keys"_L1).toArray().first().toObject();
        QCOMPARE(key.value("use"_L1).toString(), u"x509-svid"_s);
        QVERIFY(!key.contains("kid"_L1));
        QCOMPARE(key.value("x5c"_L1).toArray().size(), 1);
        QCOMPARE(key.value("kty"_L1).toString(), u"EC"_s);
    }
    void x509svid62_entryWithoutCertificateIsIgnored()
    {
        QVERIFY(parseBundle(changedKeys(someBundle(), [](QJsonObject &key) {
                    key.remove(u"x5c"_s);
                }))->x509Authorities.isEmpty());
        QVERIFY(parseBundle(changedKeys(someBundle(), [](QJsonObject &key) {
                    key.insert(u"x5c"_s, QJsonArray());
                }))->x509Authorities.isEmpty());
    }
    void x509svid62_onlyTheFirstCertificateCounts()
    {
        const BundleDocument bundle = someBundle();
        const QString other = QString::fromLatin1(someBundle().x509Authorities.first().toBase64());
        const auto parsed = parseBundle(changedKeys(bundle, [&](QJsonObject &key) {
            if (key.contains("x5c"_L1))
                key.insert(u"x5c"_s, QJsonArray{key.value("x5c"_L1).toArray().first(), other});
        }));
        QCOMPARE(parsed->x509Authorities, bundle.x509Authorities);
    }
    void x509svid62_leafInTheBundleIsIgnored()
    {
        BundleDocument bundle = someBundle();
        bundle.x509Authorities = {makeCertificate({}).der};
        QVERIFY(parseBundle(*printBundle(bundle))->x509Authorities.isEmpty());
    }
    void jwtsvid61_publishedKeyHasUseAndKid()
    {
        const QJsonObject key = printedObject(someBundle()).value("keys"_L1).toArray().last().toObject();
        QCOMPARE(key.value("use"_L1).toString(), u"jwt-svid"_s);
        QCOMPARE(key.value("kid"_L1).toString(), u"k1"_s);
        BundleDocument without = someBundle();
        without.jwtAuthorities.first().keyId.clear();
        QVERIFY(!printBundle(without));
    }
    void jwtsvid62_keyWithoutKidIsIgnored()
    {
        QVERIFY(parseBundle(changedKeys(someBundle(), [](QJsonObject &key) {
                    key.remove(u"kid"_s);
                }))->jwtAuthorities.isEmpty());
    }
    void jwtsvid62_x509KeysDoNotValidateTokens()
    {
        // The bundle's X.509 root key must not be good for tokens.
        const auto root = makeCertificate(rootOf("building-1.smart.local"));
        const auto key = *signingKeyFrom(root.key);
        const auto token = signJwtSvid({kId, {u"reports"_s}, kNow, kNow + 5min, {}}, u"k1"_s, *key);
        BundleDocument bundle = someBundle();
        bundle.x509Authorities = {root.der};
        const auto parsed = *parseBundle(*printBundle(bundle));
        QVERIFY(!validateJwtSvid(*token, u"reports"_s, {{kDomain, parsed.jwtAuthorities}}, kNow));
    }
    void jwtsvid62_rsaKeysAreRead()
    {
        const std::shared_ptr<EVP_PKEY> rsa(EVP_RSA_gen(2048), EVP_PKEY_free);
        BundleDocument bundle;
        bundle.jwtAuthorities = {{u"r"_s, publicKeyToDer(rsa.get())}};
        QCOMPARE(*parseBundle(*printBundle(bundle)), bundle);
    }
    void jwtKeySet_hasNoUse()
    {
        const auto json = printJwtKeySet(someBundle().jwtAuthorities);
        QVERIFY(json);
        QVERIFY(!json->contains("\"use\""));
        QVERIFY(json->contains("\"kid\":\"k1\""));
    }

    // --- Deny list ---
    void denyList_roundTrip()
    {
        const Keys k;
        DenyList list{
            kDomain,
            12,
            kNow,
            {{kId, u"4F00"_s, u"ab12"_s, kNow, u"stolen"_s, {}},
             {*SpiffeId::parse(u"spiffe://building-1.smart.local/agent/x"), {}, {}, kNow, u"y"_s, kNow + 1h}}};
        const auto jws = signDenyList(list, u"k1"_s, *k.key);
        QVERIFY(jws);
        const auto back = verifyDenyList(*jws, kDomain, k.bundles.value(kDomain), 12);
        QVERIFY2(bool(back), back ? "" : qPrintable(back.error().message));
        QCOMPARE(back->entries, list.entries);
        QCOMPARE(back->sequence, 12ULL);
        QVERIFY(back->find(kId, u"AA"_s, kNow + 24h));
        QVERIFY(back->find(*SpiffeId::parse(u"spiffe://building-1.smart.local/agent/other"), u"4f00"_s, kNow));
        const SpiffeId x = *SpiffeId::parse(u"spiffe://building-1.smart.local/agent/x");
        QVERIFY(back->find(x, u"AA"_s, kNow + 59min)); // from before its fresh enrolment
        QVERIFY(!back->find(x, u"AA"_s, kNow + 1h));
    }
    void denyList_lowerNumberIsRefused()
    {
        const Keys k;
        const auto jws = signDenyList({kDomain, 11, kNow, {}}, u"k1"_s, *k.key);
        QCOMPARE(verifyDenyList(*jws, kDomain, k.bundles.value(kDomain), 12).error().code, Errc::Conflict);
    }
    void denyList_ofAnotherKeyOrDomainOrTypeIsRefused()
    {
        const Keys k;
        const auto jws = signDenyList({kDomain, 11, kNow, {}}, u"k1"_s, *k.key);
        QVERIFY(!verifyDenyList(*jws, kDomain, Keys().bundles.value(kDomain), 0));
        QVERIFY(!verifyDenyList(*jws, *TrustDomain::parse(u"smart-building.cloud"), k.bundles.value(kDomain), 0));
        QVERIFY(!verifyDenyList(
            k.token({{u"iss"_s, kDomain.name()}, {u"seq"_s, 99}, {u"iat"_s, 1}, {u"entries"_s, QJsonArray()}}), kDomain,
            k.bundles.value(kDomain), 0));
        QVERIFY(!k.isValid(*jws));
    }
    void denyList_impossibleTimeIsRefused()
    {
        const Keys k;
        const auto issuedAt = [&](qint64 seconds) {
            return verifyDenyList(k.token({{u"iss"_s, kDomain.name()},
                                           {u"seq"_s, 9},
                                           {u"iat"_s, QJsonValue(seconds)},
                                           {u"entries"_s, QJsonArray()}},
                                          u"lintel-deny-list+jwt"_s),
                                  kDomain, k.bundles.value(kDomain), 0);
        };
        QVERIFY(issuedAt(1'768'435'200));
        QVERIFY(issuedAt(253'402'300'799)); // the last second of the year 9999
        QVERIFY(!issuedAt(253'402'300'800));
        QVERIFY(!issuedAt(17'684'352'008'435'200)); // beyond 64 bits in milliseconds
        QVERIFY(!issuedAt(-1));
    }
    void denyList_brokenEntriesAreRefused()
    {
        const Keys k;
        const auto list = [&](const QJsonObject &entry) {
            return k.token(
                {{u"iss"_s, kDomain.name()}, {u"seq"_s, 9}, {u"iat"_s, 1}, {u"entries"_s, QJsonArray{entry}}},
                u"lintel-deny-list+jwt"_s);
        };
        const auto verified = [&](const QJsonObject &entry) {
            return verifyDenyList(list(entry), kDomain, k.bundles.value(kDomain), 0);
        };
        QVERIFY(verified({{u"id"_s, kId.toString()}, {u"at"_s, 5}}));
        QVERIFY(!verified({{u"at"_s, 5}}));
        QVERIFY(!verified({{u"id"_s, u"x"_s}, {u"at"_s, 5}}));
        QVERIFY(!verified({{u"id"_s, kId.toString()}}));
        QVERIFY(!verified({{u"serial"_s, u"xyz"_s}, {u"at"_s, 5}}));
        QVERIFY(!verified({{u"id"_s, kId.toString()}, {u"at"_s, 5}, {u"before"_s, u"soon"_s}}));
    }

    // --- Signed time -------------------------------------------------------------------------------

    void signedTime_answersItsOwnQuestionOnly()
    {
        const Keys k;
        const QList<JwtAuthority> keys = k.bundles.value(kDomain);
        const QByteArray nonce("\x00\xff~nonce", 8);
        const auto jws = signTime(kDomain, nonce, kNow, u"k1"_s, *k.key);
        QVERIFY(jws);
        const auto time = verifyTime(*jws, kDomain, nonce, keys);
        QVERIFY(time);
        QCOMPARE(*time, kNow);
        QVERIFY(!verifyTime(*jws, kDomain, "another", keys));
        QVERIFY(!verifyTime(*jws, kDomain, {}, keys));
        QVERIFY(!verifyTime(*jws, *TrustDomain::parse(u"elsewhere.example"), nonce, keys));
        QVERIFY(!verifyTime(*jws, kDomain, nonce, {{u"k1"_s, Keys().key->publicKeyDer()}}));
        QVERIFY(!verifyTime("no token", kDomain, nonce, keys));
        QVERIFY(!signTime(kDomain, QByteArray(kMaxTimeNonce + 1, 'n'), kNow, u"k1"_s, *k.key));
    }
    void signedTime_isNoOtherToken()
    {
        const Keys k;
        const QList<JwtAuthority> keys = k.bundles.value(kDomain);
        const auto said = [&](const QJsonValue &ms, const QString &type) {
            return verifyTime(k.token({{u"iss"_s, kDomain.name()}, {u"nonce"_s, u"6e"_s}, {u"ms"_s, ms}}, type),
                              kDomain, "n", keys);
        };
        const auto type = u"lintel-time+jwt"_s;
        const qint64 nowMs = toEpochMillis(kNow);
        QVERIFY(said(nowMs, type));
        QVERIFY(!said(nowMs, u"JWT"_s));
        QVERIFY(!said(nowMs, u"lintel-deny-list+jwt"_s));
        QVERIFY(!said(1'000, type)); // an authority whose own clock was never set
        QVERIFY(!said(qint64(253'402'300'800'000), type));
        QVERIFY(!said(u"soon"_s, type));
    }
};

QTEST_APPLESS_MAIN(TestSpiffeJwt)
#include "tst_spiffe_jwt.moc"
