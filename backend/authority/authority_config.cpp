#include "authority/authority_config.h"

#include <QDir>

namespace lintel::authority {

using namespace Qt::StringLiterals;

QStringList AuthorityConfig::allAttestationTypes()
{
    return {QString::fromLatin1(kTpm), QString::fromLatin1(kLintelTpm), QString::fromLatin1(kJoinToken)};
}

QString AuthorityConfig::keysDir() const
{
    return QDir(stateDir).filePath(u"keys"_s);
}

Result<void> AuthorityConfig::check() const
{
    const auto malformed = [](const QString &message) { return Error{Errc::Malformed, message}; };
    if (domain.isEmpty() || stateDir.isEmpty())
        return malformed(u"An authority needs a trust domain and a directory for its state."_s);
    if (x509Ttl < std::chrono::seconds{10} || jwtTtl < std::chrono::seconds{10} || refreshHint.count() < 1)
        return malformed(u"SVIDs live 10 seconds at least, and the refresh hint is 1 second at least."_s);
    if (x509Ttl * 4 > issuingLifetime || jwtTtl * 4 > jwtKeyLifetime)
        return malformed(
            u"An SVID may live a quarter of its issuer's life at most, so that it never is cut short: make "
            "the issuing CA's (or the JWT key's) life longer."_s);
    if (issuingLifetime > rootOverlap)
        return malformed(u"The overlap of two roots must be as long as the life of an issuing CA at least."_s);
    if (rootOverlap * 2 > rootLifetime)
        return malformed(u"The overlap of two roots may be half of a root's life at most."_s);
    if (refreshHint * 8 > jwtKeyLifetime)
        return malformed(
            u"The refresh hint must be short against the life of a JWT key, which others have to learn in time."_s);
    return {};
}

} // namespace lintel::authority
