// The keeper of a broker's files in a service: made by its configuration, heard in the log, told of in
// the call "status". The main thread.
#pragma once

#include "identity/trust_runway.h"
#include "process/open_identity.h"
#include "spire/broker_trust_keeper.h"

#include <QCborMap>

namespace lintel::service {

/// Null when the configuration has no section broker. `identity` (from openIdentity()) and `clock`
/// outlive it.
[[nodiscard]] std::unique_ptr<spire::BrokerTrustKeeper> openBrokerTrust(
    const Program &program, const CommonConfig &config, const BrokerFilesConfig &broker, IdentitySource &identity,
    spire::ReadPrincipals readPrincipals, const Clock &clock);

/// {certificate, certificate_expires, certificate_rotations, watching, deny_list, denied, bundles,
/// reports, problem}
[[nodiscard]] QCborMap brokerTrustReport(const spire::BrokerTrustKeeper &keeper);
/// {as_of, total, devices: [{ek_hash, maker, first_seen, last_seen, address, attempts}], problem}: who waits
/// for approval, of more than kMostWaiting those that came last.
[[nodiscard]] QCborMap waitingReport(const spire::WaitingDevicesWatch &waiting);
inline constexpr int kMostWaiting = 50;
/// The broker's certificate, for the trust runway; nothing of null.
[[nodiscard]] QList<Credential> credentialsOf(const spire::BrokerTrustKeeper *keeper);

} // namespace lintel::service
