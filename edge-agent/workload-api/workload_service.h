// The Workload API as a part of a process: server, issuer and deny list put together, for a host whose
// agent is this process (provider embedded). The socket is there from start() to the end; its entries,
// SVIDs and bundles come from the authority, and whom the deny list names loses its streams at once.
//
// Owned by the gateway's main, on its thread. What goes wrong later is trouble(), once and again when it
// is something else, and never ends the process.
#pragma once

#include "spire/deny_list_watch.h"
#include "spire/embedded_identity_source.h"
#include "workload-api/spire_workload_issuer.h"
#include "workload-api/workload_server.h"

#include <QCborMap>
#include <QMap>
#include <QObject>

#include <memory>

namespace lintel::workloads {

struct WorkloadServiceOptions {
    QString socket;
    uint mode = 0777;
    QString group; // of the socket file; empty: the process's own
    QString authority;
    SpiffeId authorityId;
    QSet<SpiffeId> excluded; // Lintel's own processes
};

class WorkloadService final : public QObject
{
    Q_OBJECT
public:
    /// Both outlive it. `denyLists`: one that is heard anyway (the broker's keeper's); null: its own is.
    WorkloadService(WorkloadServiceOptions options, spire::EmbeddedIdentitySource &identity, const Clock &clock,
                    const spire::DenyListWatch *denyLists, QObject *parent = nullptr);
    ~WorkloadService() override;

    /// Conflict: somebody listens there already. NotFound: no such group; Denied: not a member of it.
    [[nodiscard]] Result<void> start();
    /// Ends every stream with a status that makes clients come back.
    void close(std::chrono::milliseconds grace);

    /// {socket, ready, entries, svids, streams, refused, problem}: for the call "status".
    [[nodiscard]] QCborMap report() const;

Q_SIGNALS:
    void trouble(const lintel::Error &what);
    void notice(const QString &what);

private:
    void onIdentity();
    // what is wrong: one sentence for each part, said when it is another one
    enum class Part { Watch, DenyList, Entries };
    void troubled(Part part, const Error &what);
    void fine(Part part);

    WorkloadServiceOptions m_options;
    spire::EmbeddedIdentitySource &m_identity;
    SpireWorkloadIssuer m_issuer;
    WorkloadServer m_server;
    std::unique_ptr<grpc::Channel> m_channel; // with a watch of its own
    std::unique_ptr<spire::DenyListWatch> m_ownWatch;
    const spire::DenyListWatch *m_denyLists;
    QMap<Part, QString> m_problems;
};

} // namespace lintel::workloads
