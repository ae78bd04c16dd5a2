#include "grpc/wire.h"

#include <QtEndian>

#include <algorithm>
#include <limits>

namespace lintel::grpc {

using namespace Qt::StringLiterals;

namespace {

constexpr qsizetype kPrefixBytes = 5; // flag, then the length in network order
constexpr qsizetype kMessageOverhead = 64;

bool isPrintable(char c)
{
    return c >= 0x20 && c <= 0x7e;
}

int hexValue(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

} // namespace

QByteArray frameMessage(const QByteArray &message)
{
    QByteArray framed(kPrefixBytes, '\0');
    qToBigEndian(static_cast<quint32>(message.size()), framed.data() + 1);
    framed.reserve(kPrefixBytes + message.size());
    framed.append(message);
    return framed;
}

void MessageReader::append(QByteArrayView bytes)
{
    while (!m_fault && !bytes.isEmpty()) {
        if (m_prefix.size() < kPrefixBytes) {
            const qsizetype n = std::min(kPrefixBytes - m_prefix.size(), bytes.size());
            m_prefix.append(bytes.first(n));
            bytes = bytes.sliced(n);
            if (m_prefix.size() < kPrefixBytes)
                return;
            takePrefix();
        } else {
            const qsizetype n = std::min(m_wanted - m_body.size(), bytes.size());
            m_body.append(bytes.first(n));
            m_held += n;
            bytes = bytes.sliced(n);
        }
        if (!m_fault && m_body.size() == m_wanted) {
            m_held += kMessageOverhead;
            m_messages.push_back(std::exchange(m_body, {}));
            m_prefix.clear();
        }
    }
}

void MessageReader::takePrefix()
{
    const auto flag = static_cast<unsigned char>(m_prefix[0]);
    const quint32 length = qFromBigEndian<quint32>(m_prefix.constData() + 1);
    if (flag == 1)
        m_fault = Status{StatusCode::Unimplemented, u"Compressed messages are not supported; send them plain."_s, {}};
    else if (flag != 0)
        m_fault = Status{StatusCode::Internal, u"A message begins with the unknown flag %1."_s.arg(flag), {}};
    else if (qsizetype{length} > m_limit)
        m_fault = Status{StatusCode::ResourceExhausted,
                         u"A message of %1 bytes is longer than the limit of %2."_s.arg(length).arg(m_limit),
                         {}};
    else
        m_wanted = length;
}

QByteArray MessageReader::takeMessage()
{
    QByteArray message = std::move(m_messages.front());
    m_messages.pop_front();
    m_held -= message.size() + kMessageOverhead;
    return message;
}

void SendQueue::append(QByteArray chunk)
{
    if (chunk.isEmpty())
        return;
    m_size += chunk.size();
    m_chunks.push_back(std::move(chunk));
}

void SendQueue::clear()
{
    m_chunks.clear();
    m_offset = 0;
    m_size = 0;
}

void SendQueue::take(qsizetype length, QByteArray &out)
{
    m_size -= length;
    while (length > 0) {
        const QByteArray &first = m_chunks.front();
        const qsizetype n = std::min(length, first.size() - m_offset);
        out.append(first.constData() + m_offset, n);
        length -= n;
        m_offset += n;
        if (m_offset == first.size()) {
            m_chunks.pop_front();
            m_offset = 0;
        }
    }
}

QByteArray encodeTimeout(std::chrono::milliseconds timeout)
{
    constexpr qint64 kMostDigits = 99'999'999;
    const qint64 ms = std::max<qint64>(timeout.count(), 1);
    if (ms <= kMostDigits)
        return QByteArray::number(ms) + 'm';
    return QByteArray::number(std::min(ms / 1'000, kMostDigits)) + 'S';
}

std::optional<std::chrono::milliseconds> decodeTimeout(QByteArrayView text)
{
    if (text.size() < 2 || text.size() > 9)
        return {};
    qint64 value = 0;
    for (const char c : text.chopped(1)) {
        if (c < '0' || c > '9')
            return {};
        value = value * 10 + (c - '0');
    }
    constexpr qint64 kSecond = 1'000;
    switch (text.back()) {
    case 'H': return std::chrono::milliseconds(value * 3'600 * kSecond);
    case 'M': return std::chrono::milliseconds(value * 60 * kSecond);
    case 'S': return std::chrono::milliseconds(value * kSecond);
    case 'm': return std::chrono::milliseconds(value);
    case 'u': return std::chrono::milliseconds((value + 999) / 1'000);
    case 'n': return std::chrono::milliseconds((value + 999'999) / 1'000'000);
    default: return {};
    }
}

QByteArray encodeStatusMessage(const QString &message)
{
    static constexpr char kHex[] = "0123456789ABCDEF";
    QByteArray text;
    const QByteArray utf8 = message.toUtf8();
    text.reserve(utf8.size());
    for (const char c : utf8) {
        if (isPrintable(c) && c != '%') {
            text.append(c);
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        text.append('%');
        text.append(kHex[byte >> 4]);
        text.append(kHex[byte & 15]);
    }
    return text;
}

QString decodeStatusMessage(QByteArrayView text)
{
    QByteArray utf8;
    utf8.reserve(text.size());
    for (qsizetype i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size()) {
            const int high = hexValue(text[i + 1]);
            const int low = hexValue(text[i + 2]);
            if (high >= 0 && low >= 0) {
                utf8.append(static_cast<char>(high * 16 + low));
                i += 2;
                continue;
            }
        }
        utf8.append(text[i]);
    }
    return QString::fromUtf8(utf8);
}

bool isMetadata(const QByteArray &name, const QByteArray &value)
{
    static const QList<QByteArray> kReserved{"te",      "content-type", "user-agent",        "host",
                                             "upgrade", "connection",   "transfer-encoding", "keep-alive"};
    const auto isNameChar = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    };
    if (name.isEmpty() || !std::all_of(name.begin(), name.end(), isNameChar) || name.startsWith("grpc-")
        || kReserved.contains(name))
        return false;
    return name.endsWith("-bin") || std::all_of(value.begin(), value.end(), isPrintable);
}

QByteArray encodeMetadata(const QByteArray &name, const QByteArray &value)
{
    return name.endsWith("-bin") ? value.toBase64(QByteArray::OmitTrailingEquals) : value;
}

QByteArray decodeMetadata(const QByteArray &name, const QByteArray &value)
{
    if (!name.endsWith("-bin"))
        return value;
    const qsizetype comma = value.indexOf(',');
    return QByteArray::fromBase64(comma < 0 ? value : value.first(comma));
}

StatusCode codeOfHttpStatus(int status)
{
    switch (status) {
    case 400: return StatusCode::Internal;
    case 401: return StatusCode::Unauthenticated;
    case 403: return StatusCode::PermissionDenied;
    case 404: return StatusCode::Unimplemented;
    case 429:
    case 502:
    case 503:
    case 504: return StatusCode::Unavailable;
    default: return StatusCode::Unknown;
    }
}

StatusCode codeOfHttp2Error(quint32 error)
{
    // RFC 9113 section 7
    constexpr quint32 kRefusedStream = 0x7;
    constexpr quint32 kCancel = 0x8;
    constexpr quint32 kEnhanceYourCalm = 0xb;
    constexpr quint32 kInadequateSecurity = 0xc;
    switch (error) {
    case kRefusedStream: return StatusCode::Unavailable;
    case kCancel: return StatusCode::Cancelled;
    case kEnhanceYourCalm: return StatusCode::ResourceExhausted;
    case kInadequateSecurity: return StatusCode::PermissionDenied;
    default: return StatusCode::Internal;
    }
}

StatusCode codeFromText(QByteArrayView text)
{
    constexpr int kLast = static_cast<int>(StatusCode::Unauthenticated);
    bool isNumber = false;
    const int code = text.toByteArray().toInt(&isNumber);
    return isNumber && code >= 0 && code <= kLast ? static_cast<StatusCode>(code) : StatusCode::Unknown;
}

} // namespace lintel::grpc
