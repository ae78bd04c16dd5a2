#include "authority/server_identity.h"

namespace lintel::authority {

using namespace Qt::StringLiterals;

Result<std::shared_ptr<const IdentitySnapshot>> ServerIdentity::current() const
{
    const QMutexLocker lock(&m_mutex);
    if (!m_current->svid.key)
        return Error{Errc::Unavailable, u"The authority has not made its own SVID yet."_s};
    return m_current;
}

void ServerIdentity::setSvid(const X509Svid &svid)
{
    {
        const QMutexLocker lock(&m_mutex);
        auto next = std::make_shared<IdentitySnapshot>(*m_current);
        next->svid = svid;
        m_current = std::move(next);
    }
    Q_EMIT svidChanged();
}

void ServerIdentity::setBundles(const TrustBundles &bundles)
{
    {
        const QMutexLocker lock(&m_mutex);
        if (m_current->bundles == bundles)
            return;
        auto next = std::make_shared<IdentitySnapshot>(*m_current);
        next->bundles = bundles;
        m_current = std::move(next);
    }
    Q_EMIT bundlesChanged();
}

Timestamp ServerIdentity::notBefore() const
{
    const QMutexLocker lock(&m_mutex);
    return m_current->svid.notBefore;
}

Timestamp ServerIdentity::notAfter() const
{
    const QMutexLocker lock(&m_mutex);
    return m_current->svid.notAfter;
}

} // namespace lintel::authority
