// Bytes in JSON, as both wires of TPM attestation have them: standard base64 with padding (RFC 4648
// section 4). Private to this adapter. Pure functions; any thread.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QJsonDocument>
#include <QJsonObject>

namespace lintel::tpm {

/// Larger messages are refused before they are parsed.
inline constexpr qsizetype kMaxPayloadBytes = 64 * 1024;
inline constexpr qsizetype kMaxChallengeBytes = 16 * 1024;
inline constexpr qsizetype kMaxAnswerBytes = 3 * 1024 * 1024;
/// Of a TCG event log; those of real machines have 20 to 120 KB.
inline constexpr qsizetype kMaxEventLogBytes = 1024 * 1024;

[[nodiscard]] inline QString toBase64(const QByteArray &bytes)
{
    return QString::fromLatin1(bytes.toBase64());
}

[[nodiscard]] inline Result<QJsonObject> objectFromJson(const QByteArray &text, qsizetype maxBytes)
{
    if (text.size() > maxBytes)
        return Error{Errc::Malformed, QStringLiteral("A message of the attestation is too large.")};
    const QJsonDocument document = QJsonDocument::fromJson(text);
    if (!document.isObject())
        return Error{Errc::Malformed, QStringLiteral("A message of the attestation is not a JSON object.")};
    return document.object();
}

/// Reads fields and remembers the first that is wrong.
class JsonFields
{
public:
    explicit JsonFields(QJsonObject object) : m_object(std::move(object)) {}

    [[nodiscard]] QByteArray bytes(QLatin1StringView key)
    {
        const QByteArray value = optionalBytes(key);
        if (value.isEmpty())
            fail(key);
        return value;
    }
    /// Empty when the field is absent or null.
    [[nodiscard]] QByteArray optionalBytes(QLatin1StringView key)
    {
        const QJsonValue value = m_object.value(key);
        if (value.isUndefined() || value.isNull())
            return {};
        return decoded(value, key);
    }
    [[nodiscard]] QJsonObject object(QLatin1StringView key)
    {
        const QJsonValue value = m_object.value(key);
        if (!value.isObject())
            fail(key);
        return value.toObject();
    }
    [[nodiscard]] const QJsonObject &all() const { return m_object; }
    void fail(QLatin1StringView key)
    {
        if (m_wrong.isEmpty())
            m_wrong = key;
    }
    [[nodiscard]] bool ok() const { return m_wrong.isEmpty(); }
    [[nodiscard]] Error error() const
    {
        return {Errc::Malformed,
                QStringLiteral("A message of the attestation lacks a well-formed field \"%1\".").arg(m_wrong)};
    }

private:
    QByteArray decoded(const QJsonValue &value, QLatin1StringView key)
    {
        if (!value.isString()) {
            fail(key);
            return {};
        }
        auto result = QByteArray::fromBase64Encoding(
            value.toString().toLatin1(), QByteArray::Base64Encoding | QByteArray::AbortOnBase64DecodingErrors);
        if (!result) {
            fail(key);
            return {};
        }
        return std::move(*result);
    }

    QJsonObject m_object;
    QString m_wrong;
};

} // namespace lintel::tpm
