#include "domain/spiffe_id.h"

#include <QList>

namespace lintel {

namespace {

constexpr qsizetype maxIdBytes = 2048;         // section 2.3
constexpr qsizetype maxTrustDomainBytes = 255; // section 2.3, from RFC 3986's host
constexpr QStringView scheme = u"spiffe://";   // section 2

constexpr bool isLower(char16_t c)
{
    return c >= u'a' && c <= u'z';
}
constexpr bool isUpper(char16_t c)
{
    return c >= u'A' && c <= u'Z';
}
constexpr bool isDigit(char16_t c)
{
    return c >= u'0' && c <= u'9';
}
constexpr bool isMark(char16_t c)
{
    return c == u'.' || c == u'-' || c == u'_';
}

Error malformed(const QString &rule)
{
    return Error{Errc::Malformed, rule};
}

/// For messages: what was given, short enough for one line and without control characters.
QString shown(QStringView text)
{
    QString safe = text.left(80).toString();
    for (QChar &c : safe) {
        if (!c.isPrint())
            c = u'?';
    }
    return safe;
}

Result<void> checkSegment(QStringView segment, QStringView id)
{
    if (segment.isEmpty())
        return malformed(
            QStringLiteral("SPIFFE ID \"%1\": the path has an empty segment or ends in '/'.").arg(shown(id)));
    if (segment == u"." || segment == u"..")
        return malformed(
            QStringLiteral("SPIFFE ID \"%1\": the path must not have the segments \".\" and \"..\".").arg(shown(id)));
    for (const QChar c : segment) {
        const char16_t u = c.unicode();
        if (!isLower(u) && !isUpper(u) && !isDigit(u) && !isMark(u)) {
            return malformed(
                QStringLiteral(
                    "SPIFFE ID \"%1\": the path may have letters, digits, '.', '-' and '_' only (no query, no fragment, no %-encoding).")
                    .arg(shown(id)));
        }
    }
    return {};
}

} // namespace

Result<TrustDomain> TrustDomain::parse(QStringView name)
{
    if (name.isEmpty())
        return malformed(QStringLiteral("The trust domain is empty."));
    for (const QChar c : name) {
        const char16_t u = c.unicode();
        if (isUpper(u))
            return malformed(
                QStringLiteral("Trust domain \"%1\": only lower-case letters are allowed.").arg(shown(name)));
        if (!isLower(u) && !isDigit(u) && !isMark(u)) {
            return malformed(
                QStringLiteral(
                    "Trust domain \"%1\": only lower-case letters, digits, '.', '-' and '_' are allowed (no user, no port, no %-encoding).")
                    .arg(shown(name)));
        }
    }
    if (name.size() > maxTrustDomainBytes)
        return malformed(QStringLiteral("Trust domain \"%1…\": at most 255 characters are allowed.").arg(shown(name)));
    TrustDomain domain;
    domain.m_name = name.toString();
    return domain;
}

Result<SpiffeId> SpiffeId::parse(QStringView text)
{
    if (text.isEmpty())
        return malformed(QStringLiteral("The SPIFFE ID is empty."));
    if (text.size() > maxIdBytes)
        return malformed(QStringLiteral("SPIFFE ID \"%1…\": at most 2048 bytes are allowed.").arg(shown(text)));
    // Section 2.4 calls the scheme case-insensitive; like the trust domain it is asked for in its
    // one canonical spelling, so that equal IDs are equal texts.
    if (!text.startsWith(scheme))
        return malformed(QStringLiteral("\"%1\" is not a SPIFFE ID: it must begin with spiffe://.").arg(shown(text)));

    const QStringView rest = text.sliced(scheme.size());
    const qsizetype slash = rest.indexOf(u'/');
    const auto domain = TrustDomain::parse(slash < 0 ? rest : rest.first(slash));
    if (!domain)
        return domain.error();
    const QStringView path = slash < 0 ? QStringView{} : rest.sliced(slash);
    if (!path.isEmpty()) {
        for (const QStringView segment : path.sliced(1).split(u'/')) {
            if (const auto checked = checkSegment(segment, text); !checked)
                return checked.error();
        }
    }
    SpiffeId id;
    id.m_trustDomain = *domain;
    id.m_path = path.toString();
    return id;
}

QString SpiffeId::toString() const
{
    return isEmpty() ? QString() : scheme.toString() + m_trustDomain.name() + m_path;
}

} // namespace lintel
