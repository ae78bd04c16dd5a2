#include "domain/workload_endpoint.h"

#include <QByteArray>

#include <algorithm>

#include <arpa/inet.h>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

constexpr qsizetype kMaxSocketPath = 107; // sockaddr_un, without its end

Error notAnEndpoint(const QString &text, const QString &why)
{
    return {Errc::Malformed,
            u"\"%1\" is no address of a Workload API, for %2; write unix:///path/of/socket."_s.arg(text, why)};
}

/// Undoes percent-encoding; no value when a "%" does not begin one.
std::optional<QString> decoded(const QString &path)
{
    const QByteArray bytes = path.toUtf8();
    for (qsizetype at = bytes.indexOf('%'); at >= 0; at = bytes.indexOf('%', at + 1)) {
        const auto isHex = [](char c) {
            return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        };
        if (at + 2 >= bytes.size() || !isHex(bytes[at + 1]) || !isHex(bytes[at + 2]))
            return std::nullopt;
    }
    return QString::fromUtf8(QByteArray::fromPercentEncoding(bytes));
}

bool isIpAddress(const QString &host)
{
    in6_addr address{};
    if (host.startsWith(u'[') && host.endsWith(u']'))
        return ::inet_pton(AF_INET6, host.sliced(1, host.size() - 2).toUtf8().constData(), &address) == 1;
    return ::inet_pton(AF_INET, host.toUtf8().constData(), &address) == 1;
}

/// Digits alone: toUShort() would also take a sign.
bool isPort(const QString &text)
{
    const bool digits =
        !text.isEmpty() && std::all_of(text.begin(), text.end(), [](QChar c) { return c >= u'0' && c <= u'9'; });
    return digits && text.toUShort() > 0;
}

/// What stands between "//" and the path; no value: there is no "//".
std::optional<QString> takeAuthority(QString &rest)
{
    if (!rest.startsWith("//"_L1))
        return std::nullopt;
    const qsizetype slash = rest.indexOf(u'/', 2);
    const QString authority = rest.sliced(2, (slash < 0 ? rest.size() : slash) - 2);
    rest = slash < 0 ? QString() : rest.sliced(slash);
    return authority;
}

} // namespace

Result<WorkloadEndpoint> WorkloadEndpoint::parse(const QString &text)
{
    const qsizetype colon = text.indexOf(u':');
    const QString scheme = text.first(std::max<qsizetype>(colon, 0)).toLower();
    const bool isSocket = scheme == "unix"_L1;
    if (!isSocket && scheme != "tcp"_L1)
        return notAnEndpoint(text, u"it begins neither with \"unix:\" nor with \"tcp:\""_s);
    if (text.contains(u'#'))
        return notAnEndpoint(text, u"no fragment (#…) may stand in it"_s);
    if (text.contains(u'?'))
        return notAnEndpoint(text, u"no query (?…) may stand in it"_s);
    QString rest = text.sliced(colon + 1);
    const auto authority = takeAuthority(rest);
    WorkloadEndpoint endpoint;
    if (!isSocket) {
        if (!authority || authority->contains(u'@'))
            return notAnEndpoint(text, u"after \"tcp://\" an IP address and a port have to follow"_s);
        if (!rest.isEmpty())
            return notAnEndpoint(text, u"no path may follow the port"_s);
        const qsizetype last = authority->lastIndexOf(u':');
        if (last < 0 || !isPort(authority->sliced(last + 1)))
            return notAnEndpoint(text, u"it has no port"_s);
        if (!isIpAddress(authority->first(last)))
            return notAnEndpoint(text, u"its host has to be an IP address"_s);
        endpoint.m_tcpAddress = *authority;
        return endpoint;
    }
    if (authority && !authority->isEmpty())
        return notAnEndpoint(text, u"\"%1\" stands where a host would; three slashes begin a path"_s.arg(*authority));
    const auto path = decoded(rest);
    if (!path)
        return notAnEndpoint(text, u"a \"%\" in it begins no percent-encoding"_s);
    if (!path->startsWith(u'/') || path->endsWith(u'/'))
        return notAnEndpoint(text, u"it has no absolute path of a socket"_s);
    if (std::any_of(path->begin(), path->end(), [](QChar c) { return c < u' ' || c == u'\x7f'; }))
        return notAnEndpoint(text, u"there are control characters in its path"_s);
    if (path->toUtf8().size() > kMaxSocketPath)
        return notAnEndpoint(text, u"a socket's path has %1 bytes at most"_s.arg(kMaxSocketPath));
    endpoint.m_path = *path;
    return endpoint;
}

} // namespace lintel
