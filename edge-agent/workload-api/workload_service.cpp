#include "workload-api/workload_service.h"

#include <QFile>

#include <array>
#include <cerrno>
#include <grp.h>
#include <unistd.h>
#include <utility>

namespace lintel::workloads {

using namespace Qt::StringLiterals;

namespace {

SpireIssuerOptions issuerOptions(const WorkloadServiceOptions &options, const spire::EmbeddedIdentitySource &identity)
{
    SpireIssuerOptions issuer;
    issuer.authority = options.authority;
    issuer.domain = options.authorityId.trustDomain();
    issuer.tls = [&identity, authority = options.authorityId] { return spire::tlsAsAgent(identity, authority); };
    return issuer;
}

WorkloadServerOptions serverOptions(const WorkloadServiceOptions &options)
{
    WorkloadServerOptions server;
    server.excluded = options.excluded;
    return server;
}

Result<void> giveToGroup(const QString &path, const QString &group)
{
    std::array<char, 16 * 1024> space{};
    struct group entry {
    };
    struct group *found = nullptr;
    if (::getgrnam_r(group.toLocal8Bit().constData(), &entry, space.data(), space.size(), &found) != 0 || !found)
        return Error{Errc::NotFound,
                     u"There is no group \"%1\" (workload_api.group); make it, or name another."_s.arg(group)};
    if (::chown(QFile::encodeName(path).constData(), uid_t(-1), entry.gr_gid) == 0)
        return {};
    return Error{Errc::Denied,
                 u"The socket %1 cannot be given to the group \"%2\" (%3); make this process's user a "
                 "member of it (SupplementaryGroups= in its unit)."_s.arg(path, group, qt_error_string(errno))};
}

} // namespace

WorkloadService::WorkloadService(WorkloadServiceOptions options, spire::EmbeddedIdentitySource &identity,
                                 const Clock &clock, const spire::DenyListWatch *denyLists, QObject *parent)
    : QObject(parent), m_options(std::move(options)), m_identity(identity),
      m_issuer(issuerOptions(m_options, identity)), m_server(m_issuer, serverOptions(m_options), clock),
      m_denyLists(denyLists)
{
    if (m_denyLists == nullptr) {
        m_channel = std::make_unique<grpc::Channel>(grpc::ChannelTarget{
            m_options.authority, [this] { return spire::tlsAsAgent(m_identity, m_options.authorityId); }});
        m_ownWatch = std::make_unique<spire::DenyListWatch>(*m_channel, identity, m_options.authorityId.trustDomain());
        m_denyLists = m_ownWatch.get();
        connect(m_denyLists, &spire::DenyListWatch::refused, this,
                [this](const Error &why) { troubled(Part::DenyList, why); });
        connect(m_denyLists, &spire::DenyListWatch::accepted, this, [this] { fine(Part::DenyList); });
        connect(m_denyLists, &spire::DenyListWatch::interrupted, this,
                [this](const Error &why) { troubled(Part::Watch, why); });
        connect(m_denyLists, &spire::DenyListWatch::restored, this, [this] { fine(Part::Watch); });
    }
    connect(m_denyLists, &spire::DenyListWatch::accepted, &m_server, &WorkloadServer::setDenyList);
    connect(&m_issuer, &SpireWorkloadIssuer::problemFound, this,
            [this](const Error &problem) { troubled(Part::Entries, problem); });
    connect(&m_issuer, &SpireWorkloadIssuer::problemSolved, this, [this] {
        fine(Part::Entries);
        Q_EMIT notice(u"the authority tells the entries of this host again"_s);
    });
    connect(&m_server, &WorkloadServer::noticed, this, &WorkloadService::trouble);
    connect(&m_server, &WorkloadServer::handedOut, this, [this](const QString &caller, const QStringList &ids) {
        Q_EMIT notice(u"%1 was given %2"_s.arg(caller, ids.join(u", "_s)));
    });
    connect(&m_identity, &IdentitySource::svidChanged, this, &WorkloadService::onIdentity);
    connect(&m_identity, &IdentitySource::bundlesChanged, this, [this] {
        if (m_ownWatch)
            m_ownWatch->judgeAgain();
    });
}

WorkloadService::~WorkloadService() = default;

Result<void> WorkloadService::start()
{
    if (const auto listening = m_server.listen(m_options.socket, m_options.mode); !listening)
        return listening;
    if (!m_options.group.isEmpty()) {
        if (const auto given = giveToGroup(m_options.socket, m_options.group); !given)
            return given;
    }
    for (const auto &[domain, list] : m_denyLists->lists())
        m_server.setDenyList(list);
    if (m_identity.agentSvid())
        onIdentity();
    return {};
}

void WorkloadService::onIdentity()
{
    if (!m_identity.agentSvid())
        return;
    m_issuer.reconnect();
    if (m_ownWatch) {
        m_ownWatch->judgeAgain();
        m_ownWatch->begin();
    }
}

void WorkloadService::close(std::chrono::milliseconds grace)
{
    m_server.close(grace);
}

QCborMap WorkloadService::report() const
{
    const WorkloadServer::Counts counts = m_server.counts();
    QCborMap report{
        {"socket"_L1, m_options.socket},        {"ready"_L1, bool(m_issuer.ready())},
        {"entries"_L1, qint64(counts.entries)}, {"svids"_L1, qint64(counts.svids)},
        {"streams"_L1, counts.streams},         {"refused"_L1, qint64(counts.refused)},
    };
    if (!m_problems.isEmpty())
        report.insert("problem"_L1, QStringList(m_problems.values()).join(u' '));
    return report;
}

void WorkloadService::troubled(Part part, const Error &what)
{
    if (std::exchange(m_problems[part], what.message) != what.message)
        Q_EMIT trouble(what);
}

void WorkloadService::fine(Part part)
{
    m_problems.remove(part);
}

} // namespace lintel::workloads
