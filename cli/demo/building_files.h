// Writes what the demo's processes read: identities, broker settings, YAML files with comments that
// explain them. Every key of a demo configuration is written here. Free functions; the main thread.
#pragma once

#include "demo/demo_plan.h"

#include <QMap>

namespace lintel::tls {
struct BundleDocument;
}

namespace lintel::demo {

/// How long the certificates hold; the demo renews them when half of it is over.
inline constexpr std::chrono::hours kIdentityLife{24};

/// A root for the building and one for the cloud, and a certificate for everybody in the plan. Where
/// the roots exist already, new certificates under them.
[[nodiscard]] Result<void> makeIdentities(const DemoPlan &plan);
/// What a broker's plugin reads besides its certificate: who is what there, and whom it trusts at first.
[[nodiscard]] Result<void> writeBrokerTrust(const DemoPlan &plan, const QString &name,
                                            const QMap<QString, tls::BundleDocument> &bundles);
/// Where a broker's plugin finds the operators' and agents' domains: the agent beside it keeps it.
/// Key and certificate of a broker whose agent keeps them.
[[nodiscard]] QString brokerIdentityFile(const DemoPlan &plan, const QString &name);
[[nodiscard]] QString brokerBundlesDir(const DemoPlan &plan, const QString &name);
/// "cloud-broker" or "gateway-broker".
[[nodiscard]] Result<void> writeBrokerConfig(const DemoPlan &plan, const QString &name);
/// Backend, gateway and every sensor.
[[nodiscard]] Result<void> writeAgentConfigs(const DemoPlan &plan);
[[nodiscard]] QStringList consoleArguments(const DemoPlan &plan, int windowMinutes);

/// "building-authority" or "cloud-authority".
[[nodiscard]] Result<void> writeAuthorityConfig(const DemoPlan &plan, const QString &name);

[[nodiscard]] QString gatewayYaml(const DemoPlan &plan);
[[nodiscard]] QString backendYaml(const DemoPlan &plan);
[[nodiscard]] QString sensorYaml(const DemoPlan &plan, const SensorPlan &sensor);

} // namespace lintel::demo
