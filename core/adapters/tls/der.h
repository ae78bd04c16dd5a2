// Just enough of ASN.1's distinguished encoding (X.690) to write certificates and to take requests
// apart without OpenSSL's decoders, which cost several times as much as the signature itself.
// Private to this folder. Pure; any thread.
#pragma once

#include <QByteArray>
#include <QByteArrayView>

#include <optional>

namespace lintel::tls::der {

enum Tag : quint8 {
    Boolean = 0x01,
    Integer = 0x02,
    BitString = 0x03,
    OctetString = 0x04,
    ObjectId = 0x06,
    Utf8String = 0x0c,
    UtcTime = 0x17,
    GeneralizedTime = 0x18,
    Sequence = 0x30,
    Set = 0x31,
};

[[nodiscard]] constexpr quint8 context(quint8 number)
{
    return quint8(0x80 | number);
}
[[nodiscard]] constexpr quint8 constructed(quint8 number)
{
    return quint8(0xa0 | number);
}

[[nodiscard]] inline QByteArray tagged(quint8 tag, QByteArrayView content)
{
    QByteArray out;
    out.reserve(content.size() + 5);
    out.append(char(tag));
    const auto size = quint32(content.size());
    if (size < 0x80) {
        out.append(char(size));
    } else {
        const int bytes = size <= 0xff ? 1 : size <= 0xffff ? 2 : 3;
        out.append(char(0x80 | bytes));
        for (int i = bytes - 1; i >= 0; --i)
            out.append(char((size >> (8 * i)) & 0xff));
    }
    out.append(content.data(), content.size());
    return out;
}

/// One element of a longer text. `whole` includes tag and length.
struct Element {
    quint8 tag = 0;
    QByteArrayView whole;
    QByteArrayView content;
};

/// Walks over the elements of a text. Takes short tags and definite, shortest lengths only.
class Reader
{
public:
    explicit Reader(QByteArrayView bytes) : m_rest(bytes) {}

    [[nodiscard]] bool atEnd() const { return m_rest.isEmpty(); }
    [[nodiscard]] std::optional<Element> next()
    {
        if (m_rest.size() < 2 || (quint8(m_rest[0]) & 0x1f) == 0x1f)
            return std::nullopt;
        qsizetype head = 2;
        qsizetype length = quint8(m_rest[1]);
        if (length >= 0x80) {
            const qsizetype bytes = length & 0x7f;
            if (bytes < 1 || bytes > 3 || m_rest.size() < 2 + bytes)
                return std::nullopt;
            length = 0;
            for (qsizetype i = 0; i < bytes; ++i)
                length = (length << 8) | quint8(m_rest[2 + i]);
            if (length < 0x80 || (length >> (8 * (bytes - 1))) == 0)
                return std::nullopt;
            head += bytes;
        }
        if (length > m_rest.size() - head)
            return std::nullopt;
        const Element element{quint8(m_rest[0]), m_rest.first(head + length), m_rest.sliced(head, length)};
        m_rest = m_rest.sliced(head + length);
        return element;
    }
    /// The next element if it has this tag.
    [[nodiscard]] std::optional<Element> next(quint8 tag)
    {
        auto element = next();
        if (!element || element->tag != tag)
            return std::nullopt;
        return element;
    }

private:
    QByteArrayView m_rest;
};

/// The key bits of a SubjectPublicKeyInfo.
[[nodiscard]] inline std::optional<QByteArrayView> publicKeyBits(QByteArrayView spki)
{
    Reader outer(spki);
    const auto sequence = outer.next(Sequence);
    if (!sequence || !outer.atEnd())
        return std::nullopt;
    Reader inner(sequence->content);
    const auto algorithm = inner.next(Sequence);
    const auto bits = inner.next(BitString);
    if (!algorithm || !bits || !inner.atEnd() || bits->content.size() < 2 || bits->content[0] != 0)
        return std::nullopt;
    return bits->content.sliced(1);
}

/// What stands before the 65 bytes of an uncompressed point in a P-256 SubjectPublicKeyInfo.
inline constexpr char kP256Head[] = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
                                    "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
inline constexpr qsizetype kP256HeadSize = sizeof(kP256Head) - 1;
inline constexpr qsizetype kP256PointSize = 65;
inline constexpr char kEcdsaSha256[] = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";

[[nodiscard]] inline QByteArrayView p256Head()
{
    return {kP256Head, kP256HeadSize};
}
/// AlgorithmIdentifier of ECDSA with SHA-256.
[[nodiscard]] inline QByteArrayView ecdsaSha256()
{
    return {kEcdsaSha256, qsizetype(sizeof(kEcdsaSha256)) - 1};
}
[[nodiscard]] inline bool isP256(QByteArrayView spki)
{
    return spki.size() == kP256HeadSize + kP256PointSize && spki.startsWith(p256Head()) && spki[kP256HeadSize] == 4;
}

} // namespace lintel::tls::der
