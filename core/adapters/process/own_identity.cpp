#include "process/own_identity.h"

namespace lintel {

Result<void> checkIsOwn(const X509Svid &svid, const SpiffeId &self)
{
    if (svid.id == self)
        return {};
    return Error{
        Errc::Denied,
        QStringLiteral(
            "The certificate in identity.directory belongs to %1, but this agent is %2 (agent.spiffe_id); correct one of them.")
            .arg(svid.id.toString(), self.toString())};
}

OwnIdentity::OwnIdentity(std::unique_ptr<IdentitySource> source, SpiffeId self, QObject *parent)
    : IdentitySource(parent), m_source(std::move(source)), m_self(std::move(self))
{
    connect(m_source.get(), &IdentitySource::svidChanged, this, [this] {
        const auto now = m_source->current();
        const auto isOwn = now ? checkIsOwn((*now)->svid, m_self) : Result<void>();
        if (!isOwn)
            Q_EMIT refused(isOwn.error());
        Q_EMIT svidChanged(); // the connection with the old one ends, too: it may be no longer ours
    });
    connect(m_source.get(), &IdentitySource::bundlesChanged, this, &IdentitySource::bundlesChanged);
}

Result<std::shared_ptr<const IdentitySnapshot>> OwnIdentity::current() const
{
    auto now = m_source->current();
    if (!now)
        return now;
    if (const auto isOwn = checkIsOwn((*now)->svid, m_self); !isOwn)
        return isOwn.error();
    return now;
}

IdentityStatus OwnIdentity::status() const
{
    const auto now = m_source->current();
    if (now && (*now)->svid.id != m_self)
        return IdentitySource::status(); // as if there were none, and why
    return m_source->status();
}

} // namespace lintel
