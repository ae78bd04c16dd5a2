// The methods of an authority that Lintel calls and serves, by their paths. SPIRE's server API and
// Lintel's own part beside it; the messages are in proto/. And what an authority is called.
#pragma once

#include <QByteArray>

namespace lintel::spire {

/// The path of an authority's own SPIFFE ID, as SPIRE has it.
inline constexpr char16_t kServerPath[] = u"/spire/server";
/// A member of the bundle document that an authority of Lintel's serves: the port, on the host of its
/// bundle endpoint, where authorities of federated domains hear of its deny list (Trust.WatchDenyList).
inline constexpr char16_t kDenyListPort[] = u"lintel_deny_list_port";

} // namespace lintel::spire

namespace lintel::spire::method {

inline QByteArray agent(const char *name)
{
    return QByteArray("/spire.api.server.agent.v1.Agent/") + name;
}
inline QByteArray entry(const char *name)
{
    return QByteArray("/spire.api.server.entry.v1.Entry/") + name;
}
inline QByteArray svid(const char *name)
{
    return QByteArray("/spire.api.server.svid.v1.SVID/") + name;
}
inline QByteArray bundle(const char *name)
{
    return QByteArray("/spire.api.server.bundle.v1.Bundle/") + name;
}
inline QByteArray trustDomain(const char *name)
{
    return QByteArray("/spire.api.server.trustdomain.v1.TrustDomain/") + name;
}
inline QByteArray debug(const char *name)
{
    return QByteArray("/spire.api.server.debug.v1.Debug/") + name;
}
inline QByteArray health(const char *name)
{
    return QByteArray("/grpc.health.v1.Health/") + name;
}
inline QByteArray workload(const char *name)
{
    return QByteArray("/SpiffeWorkloadAPI/") + name;
}
/// Lintel's own, on the administration socket.
inline QByteArray admin(const char *name)
{
    return QByteArray("/lintel.authority.v1.Admin/") + name;
}
/// Lintel's own, for agents.
inline QByteArray trust(const char *name)
{
    return QByteArray("/lintel.authority.v1.Trust/") + name;
}

} // namespace lintel::spire::method
