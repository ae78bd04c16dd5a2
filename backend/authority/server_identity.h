// The authority's own identity (spiffe://td/spire/server) as an IdentitySource, for the TLS of its
// server: a software key, made anew at each renewal. Fed by Authority; lives on its thread.
#pragma once

#include "ports/identity_source.h"

#include <QMutex>

namespace lintel::authority {

class ServerIdentity final : public IdentitySource
{
    Q_OBJECT
public:
    [[nodiscard]] Result<std::shared_ptr<const IdentitySnapshot>> current() const override;

    void setSvid(const X509Svid &svid);
    void setBundles(const TrustBundles &bundles);
    [[nodiscard]] Timestamp notBefore() const;
    [[nodiscard]] Timestamp notAfter() const;

private:
    mutable QMutex m_mutex; // current() may be called by any thread
    std::shared_ptr<const IdentitySnapshot> m_current = std::make_shared<IdentitySnapshot>();
};

} // namespace lintel::authority
