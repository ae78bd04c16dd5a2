// Who is what on one broker: which identities are sensors, edge nodes, hosts and readers, and of
// which sites. It lies beside the broker as a small JSON file:
//
//   {"version": 1,
//    "sensors":    [{"trust_domain": "building-1.smart.local", "site": "building-1", "hosts": ["gateway-1"]}],
//    "edge_nodes": [{"id": "spiffe://…/agent/gateway", "site": "building-1", "node": "gateway", "hosts": ["lintel-cloud"]}],
//    "hosts":      [{"id": "spiffe://…/agent/gateway", "host": "gateway-1", "sites": ["building-1"]}],
//    "readers":    [{"id": "spiffe://smart-building.cloud/operator/*", "sites": ["*"]}]}
//
// An identity named by its own ID has exactly that role; "readers" may end in "/*" for everybody
// below a path; members of a sensors' trust domain are sensors when nothing else names them.
// Values and pure functions; any thread.
#pragma once

#include "domain/result.h"
#include "domain/spiffe_id.h"

#include <QByteArray>
#include <QList>
#include <QStringList>

namespace lintel::broker {

/// Sparkplug groups; "*" in the file stands for all of them.
struct Sites {
    bool all = false;
    QStringList names;
    friend bool operator==(const Sites &, const Sites &) = default;
};

/// Every <trust domain>/agent/<name> is edge node <name> of the site.
struct SensorsRole {
    TrustDomain domain;
    QString site;
    QStringList hosts; // whose STATE they follow
    friend bool operator==(const SensorsRole &, const SensorsRole &) = default;
};

/// A gateway on the cloud's broker.
struct EdgeNodeRole {
    SpiffeId id;
    QString site;
    QString node;
    QStringList hosts;
    friend bool operator==(const EdgeNodeRole &, const EdgeNodeRole &) = default;
};

/// A gateway on its own broker (one site), a historian on the cloud's (all of them).
struct HostRole {
    SpiffeId id;
    QString hostId;
    Sites sites;
    friend bool operator==(const HostRole &, const HostRole &) = default;
};

/// An operator or a panel; without sites it may call and be called, and read nothing else.
struct ReaderRole {
    SpiffeId id;
    bool everybodyBelow = false; // members of the path `id` instead of `id` itself
    Sites sites;
    friend bool operator==(const ReaderRole &, const ReaderRole &) = default;
};

struct BrokerRoles {
    QList<SensorsRole> sensors;
    QList<EdgeNodeRole> edgeNodes;
    QList<HostRole> hosts;
    QList<ReaderRole> readers;
    friend bool operator==(const BrokerRoles &, const BrokerRoles &) = default;
};

/// Malformed with the place and what belongs there; unknown keys are refused, because a misspelt
/// one would silently take a right away. At most 1 MiB.
[[nodiscard]] Result<BrokerRoles> parseRoles(const QByteArray &json);
[[nodiscard]] QByteArray printRoles(const BrokerRoles &roles);

} // namespace lintel::broker
