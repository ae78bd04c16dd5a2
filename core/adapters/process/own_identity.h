// An identity source that only tells of this agent's own identity: certificates are renewed at run time,
// and a source of files hands over whatever lies there. With another's certificate there is none, and so
// no connection, until the right one is back.
//
// Owns the source behind it. Threads: as IdentitySource. Failure: current() is Denied with a sentence.
#pragma once

#include "ports/identity_source.h"

namespace lintel {

/// Whether the SVID is `self`; Denied with what to do.
[[nodiscard]] Result<void> checkIsOwn(const X509Svid &svid, const SpiffeId &self);

class OwnIdentity final : public IdentitySource
{
    Q_OBJECT
public:
    OwnIdentity(std::unique_ptr<IdentitySource> source, SpiffeId self, QObject *parent = nullptr);

    [[nodiscard]] Result<std::shared_ptr<const IdentitySnapshot>> current() const override;
    [[nodiscard]] IdentityStatus status() const override;
    [[nodiscard]] Timestamp trustedNow() const override { return m_source->trustedNow(); }
    [[nodiscard]] IdentitySource &source() const { return *m_source; }

Q_SIGNALS:
    /// Another's certificate came; a sentence for the log.
    void refused(const lintel::Error &why);

private:
    const std::unique_ptr<IdentitySource> m_source;
    const SpiffeId m_self;
};

} // namespace lintel
