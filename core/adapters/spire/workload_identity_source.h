// The identity of a Lintel process that another agent on this host hands out (provider "spiffe"):
// the X.509 profile of the SPIFFE Workload API over its Unix socket, streamed, so that a rotation
// arrives as a push. The key is in memory, not in a chip.
//
// Lives on the thread that made it; current() may be called from any. While the agent is away the
// last SVID serves until its end; attempts go on with back-off (SPIFFE_Workload_Endpoint.md section 6:
// not after InvalidArgument, which only another configuration can mend).
#pragma once

#include "grpc/grpc_channel.h"
#include "ports/backoff.h"
#include "ports/identity_source.h"

#include <QMutex>
#include <QTimer>

#include <memory>
#include <optional>

namespace lintel::spire {

class WorkloadIdentitySource final : public IdentitySource
{
    Q_OBJECT
public:
    /// `endpoint`: "unix:///path". `self`: which of the identities offered is ours.
    WorkloadIdentitySource(const QString &endpoint, SpiffeId self, QObject *parent = nullptr);
    ~WorkloadIdentitySource() override;

    [[nodiscard]] Result<std::shared_ptr<const IdentitySnapshot>> current() const override;
    [[nodiscard]] IdentityStatus status() const override;

Q_SIGNALS:
    void problemFound(const lintel::Error &problem);
    void problemSolved();

private:
    void watch();
    void onMessage(const QByteArray &message);
    void onFinished(const grpc::Status &status);
    void onExpiry();
    /// There is no identity any more: it has ended, or the agent says that it is not ours.
    void renounce(const Error &why);
    void report(const Error &problem);

    QString m_endpoint;
    SpiffeId m_self;
    grpc::Channel m_channel;
    grpc::ClientCall *m_stream = nullptr;
    QTimer m_retry;
    QTimer m_expiry;
    Backoff m_backoff{{Millis{1'000}, Millis{30'000}, 0.5, 1.0}};
    mutable QMutex m_mutex; // guards what follows
    QString m_reported;
    bool m_hadOne = false;
    std::shared_ptr<const IdentitySnapshot> m_current;
    Error m_missing;
    quint64 m_rotations = 0;
};

/// What SPIFFE_ENDPOINT_SOCKET names (SPIFFE_Workload_Endpoint.md section 4); empty when unset.
[[nodiscard]] QString workloadEndpointFromEnvironment();

} // namespace lintel::spire
