// lintel-authority as one thing that starts and stops: the Authority, its services on the network, the
// federation client and the clock that drives them.
//
// Owned by main, on the main thread.
#pragma once

#include "authority/federation_client.h"
#include "authority/program_config.h"
#include "authority/service/authority_service.h"
#include "authority/state_lock.h"

#include <QTimer>

#include <memory>

namespace lintel::authority {

class AuthorityProcess final : public QObject
{
    Q_OBJECT
public:
    /// Opens the state, the keys and every port; what fails says which of them. `clock` as ClockWatch wants it.
    [[nodiscard]] static Result<std::unique_ptr<AuthorityProcess>> open(const ProgramConfig &config, const Clock &clock,
                                                                        const QString &version);
    ~AuthorityProcess() override;

    void start();
    /// In order: running calls get some seconds; then stopped().
    void stop();

    [[nodiscard]] quint16 port() const { return m_port; }
    [[nodiscard]] std::optional<quint16> bundlePort() const { return m_bundlePort; }

Q_SIGNALS:
    void trouble(const lintel::Error &what);
    void notice(const QString &what);
    void stopped();

private:
    AuthorityProcess(std::unique_ptr<StateLock> lock, std::unique_ptr<Authority> authority, AttestationTerms terms,
                     const QString &version);
    [[nodiscard]] Result<void> listen(const ProgramConfig &config);
    void tick();

    std::unique_ptr<StateLock> m_lock;
    std::unique_ptr<Authority> m_authority;
    AuthorityService m_service;
    FederationClient m_federation;
    QTimer m_timer;
    quint16 m_port = 0;
    std::optional<quint16> m_bundlePort;
    bool m_isTroubled = false; // since the last tick
};

} // namespace lintel::authority
