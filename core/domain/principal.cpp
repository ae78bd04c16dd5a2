#include "domain/principal.h"

namespace lintel {

Result<Principal> Principal::parse(QStringView text)
{
    if (text.contains(u'/') || text.contains(u'.')) {
        return Error{Errc::Malformed,
                     QStringLiteral("\"%1\" is not a principal: write '/' as ':' and '.' as '~', without spiffe://.")
                         .arg(text.left(80))};
    }
    QString id = text.toString();
    id.replace(u':', u'/');
    id.replace(u'~', u'.');
    const auto parsed = SpiffeId::parse(QStringLiteral("spiffe://") + id);
    if (!parsed)
        return parsed.error();
    return Principal(*parsed);
}

QString Principal::toString() const
{
    QString text = m_id.trustDomain().name() + m_id.path();
    text.replace(u'/', u':');
    text.replace(u'.', u'~');
    return text;
}

} // namespace lintel
