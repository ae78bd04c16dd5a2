// One challenge is good for one answer, and not for ever. Private to this adapter.
#pragma once

#include "domain/result.h"
#include "domain/timestamp.h"

namespace lintel::tpm {

class ChallengeGuard
{
public:
    ChallengeGuard(Timestamp issued, std::chrono::seconds lifetime) : m_issued(issued), m_lifetime(lifetime) {}

    /// Uses the challenge up, whatever comes of the answer.
    [[nodiscard]] Result<void> use(Timestamp now)
    {
        if (m_used)
            return Error{Errc::Conflict,
                         QStringLiteral("This challenge was answered before; begin a new attestation.")};
        m_used = true;
        // A clock that was set back makes a challenge old as well.
        if (now < m_issued || now - m_issued > m_lifetime)
            return Error{Errc::Timeout,
                         QStringLiteral("The answer to the challenge came too late; begin a new attestation.")};
        return {};
    }
    void issueAnother(Timestamp now)
    {
        m_used = false;
        m_issued = now;
    }

private:
    Timestamp m_issued;
    std::chrono::seconds m_lifetime;
    bool m_used = false;
};

} // namespace lintel::tpm
