// A real mosquitto for tests: mutual TLS 1.3 on a free loopback port, with the settings of
// mosquittoConfigText() and a PKI of its own in a temporary directory that goes with it. Its
// process ends with this object in every case, and with the test when that is killed.
// Thread: the one that made it.
#pragma once

#include "domain/result.h"
#include "domain/spiffe_id.h"
#include "mqtt/mqtt_endpoint.h"
#include "ports/identity_source.h"
#include "tls/pki.h"

#include <QByteArray>
#include <QMutex>
#include <QProcess>
#include <QTemporaryDir>

#include <memory>
#include <vector>

namespace lintel::test {

/// An identity that a test sets by hand.
class MemoryIdentitySource final : public IdentitySource
{
    Q_OBJECT
public:
    MemoryIdentitySource() = default;
    explicit MemoryIdentitySource(IdentitySnapshot snapshot) { set(std::move(snapshot)); }

    [[nodiscard]] Result<std::shared_ptr<const IdentitySnapshot>> current() const override;
    void set(IdentitySnapshot snapshot);
    void setBundles(const TrustBundles &bundles);

private:
    mutable QMutex m_mutex;
    std::shared_ptr<const IdentitySnapshot> m_current;
};

class MosquittoBroker
{
public:
    struct Options {
        QString brokerId = QStringLiteral("spiffe://building-1.smart.local/broker");
        QStringList domains{QStringLiteral("building-1.smart.local")}; // whose clients may connect
        bool acl = false;
        int maxInflightMessages = 2'000;
        bool verbose = false;
    };

    MosquittoBroker() : MosquittoBroker(Options{}) {}
    explicit MosquittoBroker(Options options);
    ~MosquittoBroker();
    MosquittoBroker(const MosquittoBroker &) = delete;
    MosquittoBroker &operator=(const MosquittoBroker &) = delete;

    /// Starts it and waits until it listens; the port stays the same over restarts.
    [[nodiscard]] Result<void> start();
    /// SIGTERM, and waits.
    void stop();
    /// SIGKILL, and waits: connections are reset, nothing is said.
    void kill();
    [[nodiscard]] bool isRunning() const { return m_process && m_process->state() == QProcess::Running; }

    [[nodiscard]] quint16 port() const { return m_port; }
    [[nodiscard]] SpiffeId id() const { return m_id; }
    [[nodiscard]] MqttEndpoint endpoint() const;

    /// An identity of one of the domains, with the bundles of all.
    [[nodiscard]] IdentitySnapshot identity(const QString &spiffeId,
                                            std::chrono::seconds ttl = std::chrono::hours{1}) const;
    [[nodiscard]] TrustBundles bundles() const;
    /// The same as files, for programs: svid.pem, svid.key, <trust domain>.pem; returns the directory.
    [[nodiscard]] QString identityDir(const QString &spiffeId);
    [[nodiscard]] const tls::Pki &pki(const QString &domain) const;

    /// Gives the broker an SVID of another root (of the same domain) at the next start().
    void replaceRoot(const QString &domain);

    /// Everything it has written so far.
    [[nodiscard]] QByteArray log() const;

private:
    [[nodiscard]] Result<void> writeFiles();

    Options m_options;
    SpiffeId m_id;
    QTemporaryDir m_dir;
    std::vector<tls::Pki> m_pkis;
    quint16 m_port = 0;
    std::unique_ptr<QProcess> m_process;
};

/// A loopback port that was free a moment ago.
[[nodiscard]] quint16 freePort();

} // namespace lintel::test
