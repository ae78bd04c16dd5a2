#include "grpc/http1_response.h"

#include <algorithm>

namespace lintel::grpc {

using namespace Qt::StringLiterals;

namespace {

constexpr qsizetype kMaxHeadBytes = 16 * 1024;
constexpr qint64 kMaxBodyBytes = 1024 * 1024;
constexpr int kNoContent = 204;
constexpr int kNotModified = 304;

Error malformed(const QString &what)
{
    return {Errc::Malformed, u"The answer is no HTTP response: %1."_s.arg(what)};
}

Error tooLong()
{
    return {Errc::Full, u"The document is longer than 1 MiB."_s};
}

bool isFieldName(const QByteArray &name)
{
    return !name.isEmpty()
           && std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f && c != ':'; });
}

/// Digits of `base` alone, without sign or blanks, up to the limit of a body.
std::optional<qint64> sizeFrom(const QByteArray &text, int base)
{
    const bool digits = !text.isEmpty() && text.size() <= 16 && std::all_of(text.begin(), text.end(), [base](char c) {
        return (c >= '0' && c <= '9') || (base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
    });
    bool ok = false;
    const qint64 size = digits ? text.toLongLong(&ok, base) : 0;
    return ok ? std::optional(size) : std::nullopt;
}

} // namespace

Result<bool> Http1Response::receive(QByteArrayView bytes)
{
    if (m_part == Part::Done)
        return true;
    m_pending.append(bytes);
    while (m_part != Part::Done) {
        const auto step = advance();
        if (!step)
            return step.error();
        if (*step == Step::More)
            return false;
    }
    m_pending.clear();
    return true;
}

Result<Http1Response::Step> Http1Response::advance()
{
    if (m_part == Part::Sized || m_part == Part::Chunk) {
        if (!takeBody())
            return Step::More;
        m_part = m_part == Part::Sized ? Part::Done : Part::ChunkEnd;
        return Step::Next;
    }
    const QByteArrayView end = m_part == Part::Head ? QByteArrayView("\r\n\r\n") : QByteArrayView("\r\n");
    const qsizetype size = m_pending.indexOf(end);
    if (size > kMaxHeadBytes || (size < 0 && m_pending.size() > kMaxHeadBytes))
        return malformed(u"its head is too long"_s);
    if (size < 0)
        return Step::More;
    const QByteArray text = m_pending.first(size);
    m_pending.remove(0, size + end.size());
    Result<void> taken;
    switch (m_part) {
    case Part::Head: taken = takeHead(text); break;
    case Part::ChunkSize: taken = takeChunkSize(text); break;
    case Part::ChunkEnd:
        if (!text.isEmpty())
            return malformed(u"a chunk is longer than it says"_s);
        m_part = Part::ChunkSize;
        break;
    default: // a trailer
        if (text.isEmpty())
            m_part = Part::Done;
        break;
    }
    if (!taken)
        return taken.error();
    return Step::Next;
}

Result<void> Http1Response::takeHead(const QByteArray &head)
{
    QList<QByteArray> lines = head.split('\n');
    for (QByteArray &line : lines)
        if (line.endsWith('\r'))
            line.chop(1);
    const QByteArray first = lines.takeFirst();
    const auto status = first.size() >= 12 && first.startsWith("HTTP/1.") && first.at(8) == ' '
                            ? sizeFrom(first.mid(9, 3), 10)
                            : std::nullopt;
    if (!status || *status < 100 || *status > 599)
        return malformed(u"its first line has no status"_s);
    m_fields.clear();
    for (const QByteArray &line : std::as_const(lines)) {
        const qsizetype colon = line.indexOf(':');
        const QByteArray name = line.left(std::max<qsizetype>(colon, 0));
        if (!isFieldName(name))
            return malformed(u"a header field has no name"_s);
        m_fields.append({name.toLower(), line.mid(colon + 1).trimmed()});
    }
    if (*status < 200)
        return {}; // an interim response; the real one follows
    m_status = int(*status);
    return beginBody();
}

Result<void> Http1Response::beginBody()
{
    if (m_status == kNoContent || m_status == kNotModified) {
        m_part = Part::Done;
        return {};
    }
    const QByteArray coding = field("transfer-encoding").toLower();
    if (!coding.isEmpty()) {
        if (coding != "chunked")
            return malformed(u"its transfer coding is not known here"_s);
        m_part = Part::ChunkSize;
        return {};
    }
    const auto lengths =
        std::count_if(m_fields.begin(), m_fields.end(), [](const auto &one) { return one.first == "content-length"; });
    const auto length = lengths == 1 ? sizeFrom(field("content-length"), 10) : std::nullopt;
    if (!length)
        return malformed(u"it does not say how long its body is"_s);
    if (*length > kMaxBodyBytes)
        return tooLong();
    m_missing = *length;
    m_part = Part::Sized;
    return {};
}

Result<void> Http1Response::takeChunkSize(const QByteArray &line)
{
    const auto size = sizeFrom(line.left(line.contains(';') ? line.indexOf(';') : line.size()).trimmed(), 16);
    if (!size)
        return malformed(u"a chunk has no size"_s);
    if (*size > kMaxBodyBytes - m_body.size())
        return tooLong();
    m_missing = *size;
    m_part = *size == 0 ? Part::Trailer : Part::Chunk;
    return {};
}

bool Http1Response::takeBody()
{
    const qsizetype taken = std::min<qint64>(m_missing, m_pending.size());
    m_body.append(m_pending.constData(), taken);
    m_pending.remove(0, taken);
    m_missing -= taken;
    return m_missing == 0;
}

QByteArray Http1Response::field(QByteArrayView name) const
{
    for (const auto &[key, value] : m_fields)
        if (key == name)
            return value;
    return {};
}

} // namespace lintel::grpc
