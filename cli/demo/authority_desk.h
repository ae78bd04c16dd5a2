// Whoever manages one of the demo's authorities: asks over its administration socket, as lintelctl's
// other commands do, and waits for the answer. One per authority; needs an event loop, which runs
// while an answer is waited for. Thread: its owner's. Failure: what the authority says.
#pragma once

#include "demo/demo_plan.h"
#include "ports/identity_source.h"

#include <memory>
#include <optional>

namespace lintel::cli {
class AdminClient;
}
namespace lintel::tls {
struct BundleDocument;
}

namespace lintel::demo {

/// What to enrol.
struct DeviceFacts {
    QString name;
    QString kind;
    QString space;
};

/// Of one whose identity was ended.
struct RevokedDevice {
    std::optional<Timestamp> revokedAt;    // nothing: it is not revoked
    std::optional<Timestamp> lastAccepted; // its last message, as far as a broker has told
};

class AuthorityDesk
{
public:
    AuthorityDesk(const QString &socket, QLatin1StringView domain);
    ~AuthorityDesk();
    AuthorityDesk(const AuthorityDesk &) = delete;
    AuthorityDesk &operator=(const AuthorityDesk &) = delete;

    /// Whether it answers.
    [[nodiscard]] Result<void> check();
    [[nodiscard]] Result<tls::BundleDocument> bundle();
    /// From now on it fetches the other's bundle from that port of this machine.
    [[nodiscard]] Result<void> federate(QLatin1StringView with, quint16 port, const tls::BundleDocument &firstBundle);
    [[nodiscard]] Result<void> enroll(const QString &endorsementHash, const DeviceFacts &facts);
    /// For a device without a TPM; into `file`, mode 0600.
    [[nodiscard]] Result<void> createToken(const DeviceFacts &facts, const QString &file);
    /// A new key and its certificate.
    [[nodiscard]] Result<X509Svid> mint(QLatin1StringView id, std::chrono::seconds ttl);
    /// By its name, as `lintelctl device revoke` and `device show` do.
    [[nodiscard]] Result<RevokedDevice> revoke(const QString &device, const QString &reason);
    [[nodiscard]] Result<RevokedDevice> device(const QString &device);
    /// Devices whose chip was verified.
    [[nodiscard]] Result<int> attestedDevices();

private:
    [[nodiscard]] Result<RevokedDevice> askAbout(const QString &device, const char *method, const QString &reason);

    std::unique_ptr<cli::AdminClient> m_client;
    QLatin1StringView m_domain;
};

} // namespace lintel::demo
