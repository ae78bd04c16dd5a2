#include "tls/deny_list.h"

#include "tls/jws.h"

#include <QJsonArray>
#include <QJsonDocument>

namespace lintel::tls {

using namespace Qt::StringLiterals;

namespace {
const QString kType = u"lintel-deny-list+jwt"_s;

Error malformed(const QString &rule)
{
    return {Errc::Malformed, rule};
}

bool isHex(const QString &text)
{
    return std::all_of(text.cbegin(), text.cend(), [](QChar c) {
        const char16_t u = c.unicode();
        return (u >= u'0' && u <= u'9') || (u >= u'a' && u <= u'f') || (u >= u'A' && u <= u'F');
    });
}

QJsonObject printed(const DenyEntry &entry)
{
    QJsonObject object{{u"at"_s, toEpochMillis(entry.revokedAt)}, {u"why"_s, entry.reason}};
    if (entry.id)
        object.insert(u"id"_s, entry.id->toString());
    if (!entry.serial.isEmpty())
        object.insert(u"serial"_s, entry.serial.toUpper());
    if (!entry.ekHash.isEmpty())
        object.insert(u"ek"_s, entry.ekHash.toLower());
    if (entry.issuedBefore)
        object.insert(u"before"_s, toEpochMillis(*entry.issuedBefore));
    return object;
}

QJsonObject payloadOf(const DenyList &list)
{
    QJsonArray entries;
    for (const DenyEntry &entry : list.entries)
        entries.append(printed(entry));
    return {{u"iss"_s, list.issuer.name()},
            {u"seq"_s, qint64(list.sequence)},
            {u"iat"_s, toEpochMillis(list.issuedAt) / 1'000},
            {u"entries"_s, entries}};
}

Result<DenyEntry> parsed(const QJsonValue &value)
{
    const QJsonObject object = value.toObject();
    DenyEntry entry;
    if (const QJsonValue id = object.value("id"_L1); !id.isUndefined()) {
        const auto spiffeId = SpiffeId::parse(id.toString());
        if (!spiffeId)
            return malformed(u"An entry of the deny list has a broken SPIFFE ID. %1"_s.arg(spiffeId.error().message));
        entry.id = *spiffeId;
    }
    entry.serial = object.value("serial"_L1).toString().toUpper();
    entry.ekHash = object.value("ek"_L1).toString().toLower();
    if (!isHex(entry.serial) || !isHex(entry.ekHash))
        return malformed(u"An entry of the deny list has a serial or a hash that is not hexadecimal."_s);
    if (!entry.id && entry.serial.isEmpty() && entry.ekHash.isEmpty())
        return malformed(u"An entry of the deny list names nobody."_s);
    if (!object.value("at"_L1).isDouble())
        return malformed(u"An entry of the deny list does not say since when."_s);
    entry.revokedAt = fromEpochMillis(object.value("at"_L1).toInteger());
    entry.reason = object.value("why"_L1).toString();
    if (const QJsonValue before = object.value("before"_L1); before.isDouble())
        entry.issuedBefore = fromEpochMillis(before.toInteger());
    else if (!before.isUndefined())
        return malformed(u"\"before\" of an entry of the deny list is not a time."_s);
    return entry;
}
} // namespace

const DenyEntry *DenyList::find(const SpiffeId &id, const QString &serial, Timestamp notBefore) const
{
    for (const DenyEntry &entry : entries) {
        if (!entry.serial.isEmpty() && entry.serial.compare(serial, Qt::CaseInsensitive) == 0)
            return &entry;
        if (entry.id == id && (!entry.issuedBefore || notBefore < *entry.issuedBefore))
            return &entry;
    }
    return nullptr;
}

qsizetype denyListBytes(const DenyList &list)
{
    constexpr qsizetype kHeaderAndSignature = 300;
    const qsizetype payload = QJsonDocument(payloadOf(list)).toJson(QJsonDocument::Compact).size();
    return (payload + 2) / 3 * 4 + kHeaderAndSignature;
}

Result<QByteArray> signDenyList(const DenyList &list, const QString &keyId, const SigningKey &key)
{
    auto jws = signToken(payloadOf(list), kType, keyId, key);
    if (jws && jws->size() > kMostDenyListBytes)
        return Error{Errc::Full, u"The deny list of %1 has %2 bytes, and nobody reads one of more than %3."_s
                                     .arg(list.issuer.name())
                                     .arg(jws->size())
                                     .arg(kMostDenyListBytes)};
    return jws;
}

Result<DenyList> verifyDenyList(const QByteArray &jws, const TrustDomain &issuer, const QList<JwtAuthority> &keys,
                                quint64 lastSequence)
{
    const auto token = parseToken(jws);
    if (!token)
        return token.error();
    if (token->type != kType)
        return Error{Errc::Denied, u"The token is not a deny list: its type is \"%1\"."_s.arg(token->type.left(40))};
    if (const auto verified = verifyToken(*token, keys); !verified)
        return verified.error();

    const QJsonObject &payload = token->payload;
    if (payload.value("iss"_L1).toString() != issuer.name())
        return Error{Errc::Denied, u"The deny list is not one of %1."_s.arg(issuer.name())};
    const qint64 sequence = payload.value("seq"_L1).toInteger(-1);
    const qint64 issuedAt = payload.value("iat"_L1).toInteger(-1);
    constexpr qint64 kNever = 253'402'300'800; // seconds; the year 10000
    if (sequence < 0 || issuedAt < 0 || issuedAt >= kNever || !payload.value("entries"_L1).isArray())
        return malformed(u"The deny list needs a number, a time and its entries."_s);
    if (quint64(sequence) < lastSequence)
        return Error{
            Errc::Conflict,
            u"The deny list has the number %1, but number %2 was accepted before; it stays in force."_s.arg(sequence)
                .arg(lastSequence)};
    DenyList list;
    list.issuer = issuer;
    list.sequence = quint64(sequence);
    list.issuedAt = fromEpochMillis(issuedAt * 1'000);
    const QJsonArray entries = payload.value("entries"_L1).toArray();
    for (const auto value : entries) {
        auto entry = parsed(value);
        if (!entry)
            return entry.error();
        list.entries.append(*entry);
    }
    return list;
}

} // namespace lintel::tls
