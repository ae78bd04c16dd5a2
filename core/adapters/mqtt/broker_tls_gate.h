// Puts the verification of client certificates inside Mosquitto into our hands: Mosquitto verifies
// against one file of roots in which the domains are merged, and reads that file only once. The
// gate catches each TLS context that the broker makes and asks a verifier of ours instead.
//
// One in a process, installed before the broker makes its listeners (when a plugin is loaded).
// Thread: the broker's only one. Without a verifier every client is refused.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QList>
#include <QString>

#include <any>
#include <functional>

namespace lintel::mqtt {

class BrokerTlsGate
{
public:
    /// Chain as the client sent it, leaf first, and the client's address. What it returns stays attached to this connection's
    /// certificate; an error ends the handshake.
    using Verifier = std::function<Result<std::any>(const QList<QByteArray> &chainDer, const QString &from)>;

    /// Io when OpenSSL has no room for the hook.
    [[nodiscard]] static Result<void> install(Verifier verifier);
    static void removeVerifier();

    /// What the verifier returned for this X509, which the caller hands over (it is freed). Empty
    /// for null and for a certificate that went round the verifier, as after a resumed session.
    [[nodiscard]] static std::any takeVerified(void *x509);

    /// TLS contexts caught so far and still alive.
    [[nodiscard]] static qsizetype contexts();
    /// Gives every listener this certificate chain and key from now on; live connections stay.
    /// Malformed or Conflict, and nothing changes.
    [[nodiscard]] static Result<void> useIdentity(const QByteArray &chainPem, const QByteArray &keyPem);
};

} // namespace lintel::mqtt
