#include "tpm/spire_tpm_wire.h"

#include "tpm/json_bytes.h"

#include <QJsonArray>

namespace lintel::tpm {

using namespace Qt::StringLiterals;

namespace {
constexpr auto kEk = "EK"_L1;
constexpr auto kAk = "AK"_L1;
constexpr auto kPublic = "Public"_L1;
constexpr auto kTcsd = "UseTCSDActivationFormat"_L1;
constexpr auto kCreateData = "CreateData"_L1;
constexpr auto kCreateAttestation = "CreateAttestation"_L1;
constexpr auto kCreateSignature = "CreateSignature"_L1;
constexpr auto kEc = "EC"_L1;
constexpr auto kCredential = "Credential"_L1;
constexpr auto kSecret = "Secret"_L1;
constexpr auto kQuotes = "Quotes"_L1;
constexpr auto kQuote = "Quote"_L1;
constexpr auto kSignature = "Signature"_L1;
constexpr auto kPcrs = "PCRs"_L1;
constexpr auto kIndex = "Index"_L1;
constexpr auto kDigest = "Digest"_L1;
constexpr auto kDigestAlg = "DigestAlg"_L1;
constexpr auto kEventLog = "EventLog"_L1;
constexpr qsizetype kMaxQuotes = 8;
constexpr qsizetype kMaxPcrs = 256;

QByteArray printed(const QJsonObject &object)
{
    return QJsonDocument(object).toJson(QJsonDocument::Compact);
}

QByteArray pemBlock(QByteArrayView type, const QByteArray &der)
{
    QByteArray pem = "-----BEGIN "_ba + type.toByteArray() + "-----\n";
    const QByteArray text = der.toBase64();
    for (qsizetype at = 0; at < text.size(); at += 64)
        pem += text.mid(at, 64) + '\n';
    return pem + "-----END " + type.toByteArray() + "-----\n";
}

/// The first two PEM blocks, whatever their order, as the plugin's own decoder takes them.
Result<SpireTpmPayload> endorsementFromPem(const QByteArray &pem)
{
    SpireTpmPayload out;
    qsizetype at = 0;
    for (int block = 0; block < 2; ++block) {
        const qsizetype begin = pem.indexOf("-----BEGIN ", at);
        if (begin < 0)
            break;
        const qsizetype typeEnd = pem.indexOf("-----\n", begin + 11);
        if (typeEnd < 0)
            break;
        const QByteArray type = pem.mid(begin + 11, typeEnd - begin - 11);
        const qsizetype end = pem.indexOf("-----END " + type + "-----", typeEnd);
        if (end < 0)
            break;
        QByteArray text = pem.mid(typeEnd + 6, end - typeEnd - 6);
        text.replace("\n", "").replace("\r", "");
        const auto der =
            QByteArray::fromBase64Encoding(text, QByteArray::Base64Encoding | QByteArray::AbortOnBase64DecodingErrors);
        QByteArray *field = type == "CERTIFICATE"  ? &out.ekCertificate
                            : type == "PUBLIC KEY" ? &out.ekPublicKey
                                                   : nullptr;
        if (!der || !field || !field->isEmpty())
            return Error{Errc::Malformed, u"The endorsement key is not PEM with at most one certificate and one "
                                          "public key."_s};
        *field = *der;
        at = end;
    }
    if (out.ekCertificate.isEmpty() && out.ekPublicKey.isEmpty())
        return Error{Errc::Malformed, u"The payload holds no endorsement key."_s};
    return out;
}

Result<JsonFields> fieldsOf(const QByteArray &json, qsizetype maxBytes)
{
    auto object = objectFromJson(json, maxBytes);
    if (!object)
        return object.error();
    return JsonFields(std::move(*object));
}
} // namespace

int goHashByName(const QString &bank)
{
    if (bank == "sha1"_L1)
        return 3;
    if (bank == "sha256"_L1)
        return kGoSha256;
    if (bank == "sha384"_L1)
        return 6;
    return bank == "sha512"_L1 ? 7 : 0;
}

QByteArray encode(const SpireTpmPayload &payload)
{
    QByteArray pem;
    if (!payload.ekCertificate.isEmpty())
        pem += pemBlock("CERTIFICATE", payload.ekCertificate);
    if (!payload.ekPublicKey.isEmpty())
        pem += pemBlock("PUBLIC KEY", payload.ekPublicKey);
    return printed({{kEk, toBase64(pem)},
                    {kAk, QJsonObject{{kPublic, toBase64(payload.akPublic)},
                                      {kTcsd, false},
                                      {kCreateData, toBase64(payload.creationData)},
                                      {kCreateAttestation, toBase64(payload.creationAttest)},
                                      {kCreateSignature, toBase64(payload.creationSignature)}}}});
}

QByteArray encode(const SpireTpmCredential &credential)
{
    return printed({{kEc, QJsonObject{{kCredential, toBase64(credential.idObject)},
                                      {kSecret, toBase64(credential.encryptedSecret)}}}});
}

QByteArray encodeSpireTpmSecret(const QByteArray &secret)
{
    return printed({{kSecret, toBase64(secret)}});
}

QByteArray encode(const SpireTpmPlatform &platform)
{
    QJsonArray quotes;
    for (const auto &quote : platform.quotes)
        quotes.append(QJsonObject{{kQuote, toBase64(quote.attest)}, {kSignature, toBase64(quote.signature)}});
    QJsonArray pcrs;
    for (const auto &pcr : platform.pcrs)
        pcrs.append(QJsonObject{{kIndex, pcr.index}, {kDigest, toBase64(pcr.digest)}, {kDigestAlg, pcr.goHash}});
    return printed({{kPublic, toBase64(platform.akPublic)},
                    {kQuotes, quotes},
                    {kPcrs, pcrs},
                    {kEventLog, platform.eventLog.isEmpty() ? QJsonValue() : toBase64(platform.eventLog)}});
}

Result<SpireTpmPayload> spireTpmPayload(const QByteArray &json)
{
    auto fields = fieldsOf(json, kMaxPayloadBytes);
    if (!fields)
        return fields.error();
    const QByteArray pem = fields->bytes(kEk);
    JsonFields ak(fields->object(kAk));
    if (!fields->ok())
        return fields->error();
    auto payload = endorsementFromPem(pem);
    if (!payload)
        return payload.error();
    payload->akPublic = ak.bytes(kPublic);
    payload->creationData = ak.bytes(kCreateData);
    payload->creationAttest = ak.bytes(kCreateAttestation);
    payload->creationSignature = ak.bytes(kCreateSignature);
    if (!ak.ok())
        return ak.error();
    return payload;
}

Result<SpireTpmCredential> spireTpmCredential(const QByteArray &json)
{
    auto fields = fieldsOf(json, kMaxChallengeBytes);
    if (!fields)
        return fields.error();
    JsonFields credential(fields->object(kEc));
    if (!fields->ok())
        return fields->error();
    const SpireTpmCredential out{credential.bytes(kCredential), credential.bytes(kSecret)};
    if (!credential.ok())
        return credential.error();
    return out;
}

Result<QByteArray> spireTpmSecret(const QByteArray &json)
{
    auto fields = fieldsOf(json, kMaxChallengeBytes);
    if (!fields)
        return fields.error();
    const QByteArray secret = fields->bytes(kSecret);
    if (!fields->ok())
        return fields->error();
    return secret;
}

Result<SpireTpmPlatform> spireTpmPlatform(const QByteArray &json)
{
    auto fields = fieldsOf(json, kMaxAnswerBytes);
    if (!fields)
        return fields.error();
    SpireTpmPlatform out{fields->optionalBytes(kPublic), {}, {}, fields->optionalBytes(kEventLog)};
    const QJsonArray quotes = fields->all().value(kQuotes).toArray();
    const QJsonArray pcrs = fields->all().value(kPcrs).toArray();
    if (quotes.isEmpty() || quotes.size() > kMaxQuotes)
        fields->fail(kQuotes);
    if (pcrs.isEmpty() || pcrs.size() > kMaxPcrs)
        fields->fail(kPcrs);
    if (out.eventLog.size() > kMaxEventLogBytes)
        fields->fail(kEventLog);
    if (!fields->ok())
        return fields->error();
    for (const QJsonValue value : quotes) {
        JsonFields quote(value.toObject());
        out.quotes.append({quote.bytes(kQuote), quote.bytes(kSignature)});
        if (!quote.ok())
            return quote.error();
    }
    for (const QJsonValue value : pcrs) {
        JsonFields pcr(value.toObject());
        out.pcrs.append({pcr.all().value(kIndex).toInt(-1), pcr.bytes(kDigest), pcr.all().value(kDigestAlg).toInt(-1)});
        if (!pcr.ok())
            return pcr.error();
    }
    return out;
}

} // namespace lintel::tpm
