// A real mosquitto with Lintel's plugin, on a free loopback port: a PKI for each trust domain, the
// files that the plugin reads, and its status. Ends its process in every case.
// Thread: the one that made it.
#pragma once

#include "broker-plugin/broker_status.h"
#include "mqtt/broker_roles.h"
#include "ports/identity_source.h"
#include "ports/key_store.h"
#include "tls/deny_list.h"
#include "tls/pki.h"

#include <QProcess>
#include <QTemporaryDir>

#include <map>
#include <memory>

namespace lintel::test {

class GuardedBroker
{
public:
    struct Options {
        QString brokerId = QStringLiteral("spiffe://building-1.smart.local/broker");
        QStringList domains{QStringLiteral("building-1.smart.local"), QStringLiteral("smart-building.cloud")};
        broker::BrokerRoles roles;
        /// Another certificate for the broker itself; empty: brokerId's.
        QString showsId;
        /// Bundles and the broker's own certificate are kept by somebody else, in the same places.
        bool trustIsKept = false;
        bool hasOwnClock = false; // for shiftClock()
    };

    explicit GuardedBroker(Options options);
    ~GuardedBroker();
    GuardedBroker(const GuardedBroker &) = delete;
    GuardedBroker &operator=(const GuardedBroker &) = delete;

    [[nodiscard]] Result<void> start();
    void stop();
    void hangUp() const; // SIGHUP
    /// Moves the broker's wall clock away from ours, and the time since boot as a suspend does. Before or after
    /// start().
    void shiftClock(std::chrono::seconds wall, std::chrono::seconds sinceBoot = {}) const;
    [[nodiscard]] bool isRunning() const { return m_process && m_process->state() == QProcess::Running; }
    [[nodiscard]] quint16 port() const { return m_port; }
    [[nodiscard]] qint64 pid() const { return m_process ? m_process->processId() : 0; }
    [[nodiscard]] SpiffeId id() const { return m_id; }
    [[nodiscard]] QByteArray log() const;
    [[nodiscard]] Result<broker::BrokerStatus> status() const;
    [[nodiscard]] QString path(const QString &name) const { return m_dir.filePath(name); }
    /// The broker's key and certificates.
    [[nodiscard]] QString identityFile() const { return path(QStringLiteral("broker.pem")); }
    [[nodiscard]] QString trustFile() const { return path(QStringLiteral("trust.pem")); }

    [[nodiscard]] tls::Pki &pki(const QString &domain);
    [[nodiscard]] TrustBundles bundles() const;
    [[nodiscard]] IdentitySnapshot identity(const QString &spiffeId);
    /// svid.pem and svid.key in a folder of their own; the SVID ends `left` from now.
    [[nodiscard]] QString identityDir(const QString &spiffeId, std::chrono::seconds left = std::chrono::seconds{3'000});
    [[nodiscard]] static QString identityDirOf(const tls::Pki &pki, const QString &spiffeId, const QString &dir,
                                               std::chrono::seconds left);

    /// The bundle document of a domain with these roots and the key that signs its deny lists.
    void writeBundle(const QString &domain, const QList<QByteArray> &rootsDer, quint64 sequence);
    void removeBundle(const QString &domain);
    void writeRoles(const broker::BrokerRoles &roles);
    /// Signed by `domain`'s key, or by `signer`.
    void writeDenyList(const QString &domain, quint64 sequence, const QList<tls::DenyEntry> &entries,
                       const SigningKey *signer = nullptr);
    void writeDenyBytes(const QString &domain, const QByteArray &bytes);
    /// A new certificate for the broker, as the gateway's agent writes one.
    void renewCertificate();

    void writeBrokerIdentity();

private:
    [[nodiscard]] Result<void> writeFiles();

    Options m_options;
    SpiffeId m_id;
    QTemporaryDir m_dir;
    std::map<QString, tls::Pki> m_pkis;
    std::map<QString, std::shared_ptr<SigningKey>> m_signers;
    quint16 m_port = 0;
    int m_identities = 0;
    std::unique_ptr<QProcess> m_process;
};

} // namespace lintel::test
