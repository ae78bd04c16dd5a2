// The settings with which Lintel runs Mosquitto, as the text of its configuration files: the demo
// and the tests start their brokers with the same ones. Starting a process is somebody else's
// work. Pure functions; any thread.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QString>

namespace lintel::mqtt {

struct MosquittoConfig {
    QString bindAddress; // "127.0.0.1"
    quint16 port = 8883;
    QString certificateFile;         // the broker's SVID, leaf first
    QString keyFile;                 // mode 0600, readable by `user`
    QString trustFile;               // roots of every trust domain whose clients may connect
    QString aclFile;                 // empty: every verified client may do everything
    QString user;                    // empty: whoever starts it; started as root, Mosquitto would otherwise
                                     // become "mosquitto" and not be able to read a key of mode 0600
    int maxInflightMessages = 2'000; // Mosquitto's own 20 stalls QoS 1 at 40 to 200 messages/s
    bool verbose = false;            // also log subscriptions and deliveries
};

/// Mutual TLS 1.3 with a certificate of each client, nothing kept on disk, no delay of small
/// packets, log on standard error. OutOfRange for a path with a line break.
[[nodiscard]] Result<QByteArray> mosquittoConfigText(const MosquittoConfig &config);

/// Access rules that bind calls to the client id: %c may write only requests and responses in its
/// own name and read only those addressed to it; Sparkplug topics are open to every verified
/// client. Mosquitto does not compare the client id with the certificate: what binds both is the
/// broker's plugin.
[[nodiscard]] QByteArray mosquittoAclText();

/// `user` for a broker that this process starts: "root" when it runs as root, else empty.
[[nodiscard]] QString mosquittoUserOfThisProcess();

} // namespace lintel::mqtt
