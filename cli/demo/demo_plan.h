// The building that the demo runs: who is in it, where everybody's files lie, who listens where.
// Values only.
#pragma once

#include "demo/demo_options.h"
#include "domain/spiffe_id.h"

#include <QDir>

namespace lintel::demo {

enum class SensorKind { Hvac, Occupancy, Energy };

struct SensorPlan {
    QString name; // "hvac-001"
    SensorKind kind = SensorKind::Hvac;
    int seed = 1;
    QString space;                                 // "floor-2/zone-a"
    QString equip;                                 // "ahu-2"
    QString recording;                             // CSV to replay; empty = simulated
    QString columnMap;                             // name of the map that explains it
    QString mapText;                               // that map's YAML; empty = a shipped one
    std::chrono::milliseconds rowInterval{60'000}; // between two recorded rows
    QString driverSection;                         // YAML of its own in place of all that; tests
};

struct Ports {
    quint16 cloudBroker = 0;
    quint16 gatewayBroker = 0;
    quint16 wanLink = 0; // the gateway's way to the cloud's broker
    // With IdentityKind::Tpm: for agents, and for the other authority.
    quint16 buildingAuthority = 0;
    quint16 buildingBundles = 0;
    quint16 cloudAuthority = 0;
    quint16 cloudBundles = 0;
};

struct DemoPlan {
    QDir root;
    Ports ports;
    QList<SensorPlan> sensors;
    std::chrono::milliseconds sensorPeriod{1'000};
    QStringList notes; // what is replayed and what is not, a sentence each
    IdentityKind identity = IdentityKind::Files;
    std::chrono::seconds svidTtl{3'600};
    QString runDir; // sockets of authorities and TPMs, whose paths must be short

    [[nodiscard]] bool hasTpms() const { return identity == IdentityKind::Tpm; }
    [[nodiscard]] QString tpmDir(const QString &name) const { return path(QStringLiteral("tpm/") + name); }
    [[nodiscard]] QString tpmSocket(const QString &name) const { return runDir + u'/' + name; }
    /// "building-authority" or "cloud-authority".
    [[nodiscard]] QString authoritySocket(const QString &name) const { return runDir + u'/' + name; }
    /// Whom an agent of this trust domain believes the first time.
    [[nodiscard]] QString bootstrapBundle(QLatin1StringView domain) const
    {
        return path(QStringLiteral("config/%1.json").arg(domain));
    }
    [[nodiscard]] QString joinTokenFile() const { return path(QStringLiteral("config/backend.token")); }

    [[nodiscard]] QString path(const QString &relative) const { return root.absoluteFilePath(relative); }
    [[nodiscard]] QString identityDir(const QString &name) const { return path(QStringLiteral("identity/") + name); }
    [[nodiscard]] QString stateDir(const QString &name) const { return path(QStringLiteral("state/") + name); }
    [[nodiscard]] QString configFile(const QString &name) const { return path(QStringLiteral("config/") + name); }
    [[nodiscard]] QString logFile(const QString &name) const { return path(QStringLiteral("logs/%1.log").arg(name)); }
};

/// Who is who. The names are those of a first building; one root of trust each.
namespace ids {
inline constexpr QLatin1StringView kSite{"building-1"};
inline constexpr QLatin1StringView kBuildingDomain{"building-1.smart.local"};
inline constexpr QLatin1StringView kCloudDomain{"smart-building.cloud"};
inline constexpr QLatin1StringView kGatewayHost{"gateway-1"};
inline constexpr QLatin1StringView kCloudHost{"lintel-cloud"};
inline constexpr QLatin1StringView kGatewayNode{"gateway"};
inline constexpr QLatin1StringView kGateway{"spiffe://building-1.smart.local/agent/gateway"};
inline constexpr QLatin1StringView kGatewayBroker{"spiffe://building-1.smart.local/broker"};
inline constexpr QLatin1StringView kBackend{"spiffe://smart-building.cloud/agent/ingestion"};
inline constexpr QLatin1StringView kCloudBroker{"spiffe://smart-building.cloud/broker"};
inline constexpr QLatin1StringView kOperator{"spiffe://smart-building.cloud/operator/demo"};
/// The demo's own eyes: a client has one connection for each identity, and the console has the operator's.
inline constexpr QLatin1StringView kWatcher{"spiffe://smart-building.cloud/operator/demo-status"};
/// For `lintelctl call` beside a running console.
inline constexpr QLatin1StringView kShell{"spiffe://smart-building.cloud/operator/shell"};
[[nodiscard]] QString sensor(const QString &name);
} // namespace ids

/// HVAC, occupancy and energy in turn, over the floors; recordings take the place of the first ones.
[[nodiscard]] Result<DemoPlan> makePlan(const DemoOptions &options, const QString &root);

} // namespace lintel::demo
