#include "grpc/http1_documents.h"

#include <algorithm>

namespace lintel::grpc {

namespace {

constexpr qsizetype kMaxHeadBytes = 8 * 1024;

QByteArray answer(const QByteArray &status, const Document &document, bool withBody, const QByteArray &extra = {})
{
    QByteArray bytes = "HTTP/1.1 " + status + "\r\n";
    bytes += "Content-Type: " + document.contentType + "\r\n";
    bytes += "Content-Length: " + QByteArray::number(document.body.size()) + "\r\n";
    bytes += extra + "Connection: close\r\n\r\n";
    return withBody ? bytes + document.body : bytes;
}

QByteArray refusal(const QByteArray &status, const QByteArray &extra = {})
{
    return answer(status, {status + "\n", "text/plain"}, true, extra);
}

bool isFieldLine(const QByteArray &line)
{
    const qsizetype colon = line.indexOf(':');
    return colon > 0 && std::all_of(line.begin(), line.begin() + colon, [](char c) { return c > 0x20 && c < 0x7f; });
}

/// RFC 9112 section 3.2: a request of HTTP/1.1 without exactly one Host is answered 400.
bool hasOneHost(const QList<QByteArray> &fields)
{
    return std::count_if(fields.begin(), fields.end(),
                         [](const QByteArray &line) { return line.first(line.indexOf(':')).toLower() == "host"; })
           == 1;
}

QByteArray answerTo(const QByteArray &head, const DocumentProviders &documents)
{
    QList<QByteArray> lines;
    for (const QByteArray &line : head.split('\n'))
        lines.append(line.endsWith('\r') ? line.chopped(1) : line);
    const QList<QByteArray> request = lines.takeFirst().split(' ');
    const bool isHttp1 = request.size() == 3 && (request[2] == "HTTP/1.1" || request[2] == "HTTP/1.0");
    if (!isHttp1 || request[0].isEmpty() || !request[1].startsWith('/')
        || !std::all_of(lines.begin(), lines.end(), isFieldLine) || (request[2] == "HTTP/1.1" && !hasOneHost(lines)))
        return refusal("400 Bad Request");
    const qsizetype query = request[1].indexOf('?');
    const auto provider = documents.constFind(query < 0 ? request[1] : request[1].first(query));
    if (provider == documents.constEnd())
        return refusal("404 Not Found");
    if (request[0] != "GET" && request[0] != "HEAD")
        return refusal("405 Method Not Allowed", "Allow: GET, HEAD\r\n");
    const auto document = (*provider)();
    if (!document)
        return refusal("503 Service Unavailable");
    return answer("200 OK", *document, request[0] == "GET");
}

} // namespace

QByteArray DocumentExchange::receive(QByteArrayView bytes, const DocumentProviders &documents)
{
    if (m_isAnswered)
        return {};
    m_head.append(bytes.first(std::min(bytes.size(), kMaxHeadBytes + 1 - m_head.size())));
    const qsizetype end = m_head.indexOf("\r\n\r\n");
    if (end < 0 && m_head.size() <= kMaxHeadBytes)
        return {};
    m_isAnswered = true;
    if (end < 0)
        return refusal("431 Request Header Fields Too Large");
    return answerTo(m_head.first(end), documents);
}

} // namespace lintel::grpc
