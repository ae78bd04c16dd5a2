#include "tpm/lintel_tpm_wire.h"

#include "tpm/json_bytes.h"

#include <QCryptographicHash>
#include <QJsonArray>

namespace lintel::tpm {

using namespace Qt::StringLiterals;

namespace {
constexpr int kVersion = 1;
constexpr qsizetype kSha256Bytes = 32;
constexpr auto kV = "v"_L1;
constexpr auto kEkCert = "ek_cert"_L1;
constexpr auto kEkPub = "ek_pub"_L1;
constexpr auto kAkPub = "ak_pub"_L1;
constexpr auto kKeyPub = "key_pub"_L1;
constexpr auto kNonce = "nonce"_L1;
constexpr auto kIdObject = "id_object"_L1;
constexpr auto kEncryptedSecret = "encrypted_secret"_L1;
constexpr auto kPcrs = "pcrs"_L1;
constexpr auto kBank = "sha256"_L1;
constexpr auto kSecret = "secret"_L1;
constexpr auto kQuote = "quote"_L1;
constexpr auto kQuoteSignature = "quote_signature"_L1;
constexpr auto kPcrValues = "pcr_values"_L1;
constexpr auto kCertify = "certify"_L1;
constexpr auto kCertifySignature = "certify_signature"_L1;
constexpr auto kBinding = "channel_binding"_L1;
constexpr auto kEventLog = "event_log"_L1;

QByteArray printed(const QJsonObject &object)
{
    return QJsonDocument(object).toJson(QJsonDocument::Compact);
}

Result<JsonFields> fieldsOf(const QByteArray &json, qsizetype maxBytes)
{
    auto object = objectFromJson(json, maxBytes);
    if (!object)
        return object.error();
    if (object->value(kV) != QJsonValue(kVersion))
        return Error{Errc::Unsupported, u"The other side speaks another version of the attestation lintel_tpm."_s};
    return JsonFields(std::move(*object));
}

/// Ascending, each once: a selection has one spelling.
QList<int> selectionFrom(JsonFields &fields)
{
    const QJsonObject banks = fields.object(kPcrs);
    const QJsonArray numbers = banks.value(kBank).toArray();
    QList<int> pcrs;
    for (const QJsonValue number : numbers) {
        const int pcr = number.toInt(-1);
        if (pcr < 0 || pcr >= kPcrCount || (!pcrs.isEmpty() && pcr <= pcrs.last())) {
            fields.fail(kPcrs);
            return {};
        }
        pcrs.append(pcr);
    }
    if (pcrs.isEmpty() || banks.size() != 1)
        fields.fail(kPcrs);
    return pcrs;
}

QMap<int, QByteArray> valuesFrom(JsonFields &fields)
{
    const QJsonObject object = fields.object(kPcrValues);
    QMap<int, QByteArray> values;
    for (auto it = object.begin(); it != object.end(); ++it) {
        bool isNumber = false;
        const int pcr = it.key().toInt(&isNumber);
        const QByteArray hex = it.value().toString().toLatin1();
        const QByteArray value = QByteArray::fromHex(hex);
        if (!isNumber || pcr < 0 || pcr >= kPcrCount || QString::number(pcr) != it.key() || value.toHex() != hex
            || value.size() != kSha256Bytes) {
            fields.fail(kPcrValues);
            return {};
        }
        values.insert(pcr, value);
    }
    return values;
}
} // namespace

QByteArray encode(const LintelTpmPayload &payload)
{
    QJsonObject object{{kV, kVersion},
                       {kEkPub, toBase64(payload.ekPublic)},
                       {kAkPub, toBase64(payload.akPublic)},
                       {kKeyPub, toBase64(payload.keyPublic)}};
    if (!payload.ekCertificate.isEmpty())
        object.insert(kEkCert, toBase64(payload.ekCertificate));
    return printed(object);
}

QByteArray encode(const LintelTpmChallenge &challenge)
{
    QJsonArray pcrs;
    for (const int pcr : challenge.pcrs)
        pcrs.append(pcr);
    return printed({{kV, kVersion},
                    {kNonce, toBase64(challenge.nonce)},
                    {kIdObject, toBase64(challenge.idObject)},
                    {kEncryptedSecret, toBase64(challenge.encryptedSecret)},
                    {kPcrs, QJsonObject{{kBank, pcrs}}}});
}

QByteArray encode(const LintelTpmAnswer &answer)
{
    QJsonObject values;
    for (auto it = answer.pcrs.begin(); it != answer.pcrs.end(); ++it)
        values.insert(QString::number(it.key()), QString::fromLatin1(it->toHex()));
    QJsonObject object{{kV, kVersion},
                       {kSecret, toBase64(answer.secret)},
                       {kQuote, toBase64(answer.quote)},
                       {kQuoteSignature, toBase64(answer.quoteSignature)},
                       {kPcrValues, values},
                       {kCertify, toBase64(answer.certify)},
                       {kCertifySignature, toBase64(answer.certifySignature)},
                       {kBinding, nameOf(answer.binding).toString()}};
    if (!answer.eventLog.isEmpty())
        object.insert(kEventLog, toBase64(answer.eventLog));
    return printed(object);
}

Result<LintelTpmPayload> lintelTpmPayload(const QByteArray &json)
{
    auto fields = fieldsOf(json, kMaxPayloadBytes);
    if (!fields)
        return fields.error();
    const LintelTpmPayload payload{fields->optionalBytes(kEkCert), fields->bytes(kEkPub), fields->bytes(kAkPub),
                                   fields->bytes(kKeyPub)};
    if (!fields->ok())
        return fields->error();
    return payload;
}

Result<LintelTpmChallenge> lintelTpmChallenge(const QByteArray &json)
{
    auto fields = fieldsOf(json, kMaxChallengeBytes);
    if (!fields)
        return fields.error();
    const LintelTpmChallenge challenge{fields->bytes(kNonce), fields->bytes(kIdObject), fields->bytes(kEncryptedSecret),
                                       selectionFrom(*fields)};
    if (challenge.nonce.size() != kNonceBytes)
        fields->fail(kNonce);
    if (!fields->ok())
        return fields->error();
    return challenge;
}

Result<LintelTpmAnswer> lintelTpmAnswer(const QByteArray &json)
{
    auto fields = fieldsOf(json, kMaxAnswerBytes);
    if (!fields)
        return fields.error();
    const auto binding = channelBindingNamed(fields->all().value(kBinding).toString());
    if (!binding)
        fields->fail(kBinding);
    const LintelTpmAnswer answer{fields->bytes(kSecret),           fields->bytes(kQuote),
                                 fields->bytes(kQuoteSignature),   valuesFrom(*fields),
                                 fields->bytes(kCertify),          fields->bytes(kCertifySignature),
                                 fields->optionalBytes(kEventLog), binding.value_or(ChannelBinding::Exporter)};
    if (answer.eventLog.size() > kMaxEventLogBytes)
        fields->fail(kEventLog);
    if (!fields->ok())
        return fields->error();
    return answer;
}

Result<QByteArray> qualifyingData(const QByteArray &nonce, ChannelBinding binding, const QByteArray &channel,
                                  const QByteArray &csrDer)
{
    if (nonce.size() != kNonceBytes || channel.size() != kChannelBytes)
        return Error{Errc::OutOfRange, u"Nonce and channel binding of an attestation have 32 bytes each."_s};
    QCryptographicHash hash(QCryptographicHash::Sha256);
    hash.addData("lintel_tpm v1"_ba);
    hash.addData(nonce);
    hash.addData(nameOf(binding).toLatin1() + '\0');
    hash.addData(channel);
    hash.addData(QCryptographicHash::hash(csrDer, QCryptographicHash::Sha256));
    return hash.result();
}

} // namespace lintel::tpm
