// The settings with which Lintel runs Mosquitto, as the text of its configuration files: the demo
// and the tests start their brokers with the same ones. Starting a process is somebody else's
// work. Pure functions; any thread.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QString>

#include <optional>

namespace lintel::mqtt {

/// Lintel's broker plugin and what stands behind its options; the files are described in
/// edge-agent/broker-plugin and docs/configuration.md.
struct MosquittoPlugin {
    QString library;            // liblintel_mosquitto.so
    QString bundlesDir;         // <trust domain>.json or .pem
    QString rolesFile;          // who is what on this broker
    QString denyListsDir;       // <trust domain>.jws; empty: no list is obeyed
    QString stateDir;           // the plugin's own folder, writable by `user`; empty: nothing outlives a restart
    QString statusFile;         // what the gateway reads, on a RAM disk; empty: none
    bool renewsIdentity = true; // takes over new certificate files by itself, without SIGHUP
};

struct MosquittoConfig {
    QString bindAddress; // "127.0.0.1"
    quint16 port = 8883;
    QString certificateFile;               // the broker's SVID, leaf first; may be the same file as its key's
    QString keyFile;                       // mode 0600, readable by `user`
    QString trustFile;                     // roots of every trust domain whose clients may connect
    QString aclFile;                       // empty, without a plugin: every verified client may do everything
    std::optional<MosquittoPlugin> plugin; // instead of aclFile: identity, topics, revocation
    QString user;                          // empty: whoever starts it; started as root, Mosquitto would otherwise
                                           // become "mosquitto" and not be able to read a key of mode 0600
    int maxInflightMessages = 2'000;       // Mosquitto's own 20 stalls QoS 1 at 40 to 200 messages/s
    bool verbose = false;                  // also log subscriptions and deliveries
};

/// Mutual TLS 1.3 with a certificate of each client, nothing kept on disk, no delay of small
/// packets, log on standard error. OutOfRange for a path with a line break, and for a plugin beside
/// an ACL file or without library, bundles or roles.
[[nodiscard]] Result<QByteArray> mosquittoConfigText(const MosquittoConfig &config);

/// Access rules that bind calls to the client id: %c may write only requests and responses in its
/// own name and read only those addressed to it; Sparkplug topics are open to every verified
/// client. Mosquitto does not compare the client id with the certificate: what binds both is the
/// broker's plugin.
[[nodiscard]] QByteArray mosquittoAclText();

/// `user` for a broker that this process starts: "root" when it runs as root, else empty.
[[nodiscard]] QString mosquittoUserOfThisProcess();

} // namespace lintel::mqtt
