#include "spire/workload_identity_source.h"

#include "ports/system_clock.h"
#include "spire/server_methods.h"
#include "spire/wire.h"
#include "tls/issuer_end.h"
#include "tls/x509.h"

#include "workload.pb.h"

#include <QMutexLocker>

#include <algorithm>

namespace lintel::spire {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

// QTimer counts milliseconds in an int.
constexpr Millis kLongestTimer{24h};

const grpc::Metadata &workloadMetadata()
{
    static const grpc::Metadata metadata{{"workload.spiffe.io", "true"}};
    return metadata;
}

/// SPIFFE_Workload_API.md section 4.5: a message in which something mandatory is missing is none.
Result<void> checkIsComplete(const workload::X509SVIDResponse &response)
{
    const auto incomplete = [](const QString &what) {
        return Error{Errc::Malformed,
                     u"A message of the Workload API %1, which it must have, and is not used."_s.arg(what)};
    };
    if (response.svids().empty())
        return incomplete(u"has no SVID"_s);
    for (const workload::X509SVID &one : response.svids()) {
        if (one.spiffe_id().empty())
            return incomplete(u"has an SVID without a SPIFFE ID"_s);
        const QString id = textOf(one.spiffe_id());
        if (one.x509_svid().empty())
            return incomplete(u"has no certificate of %1"_s.arg(id));
        if (one.x509_svid_key().empty())
            return incomplete(u"has no private key of %1"_s.arg(id));
        if (one.bundle().empty())
            return incomplete(u"has no bundle for %1"_s.arg(id));
    }
    return {};
}

/// Of several SVIDs with this ID the first: clients that choose among equal ones take that (section 5.2.1).
Result<IdentitySnapshot> snapshotOf(const workload::X509SVIDResponse &response, const SpiffeId &self)
{
    if (const auto complete = checkIsComplete(response); !complete)
        return complete.error();
    QStringList offered;
    for (const workload::X509SVID &one : response.svids()) {
        const QString id = textOf(one.spiffe_id());
        if (id != self.toString()) {
            offered << id;
            continue;
        }
        const auto chain = tls::certificatesFromDer(bytesOf(one.x509_svid()));
        if (!chain)
            return chain.error();
        auto key = tls::privateKeyFromDer(bytesOf(one.x509_svid_key()));
        if (!key)
            return key.error();
        auto svid = tls::makeSvid(*chain, *key);
        if (!svid)
            return svid.error();
        if (svid->id != self)
            return Error{Errc::Denied, u"The Workload API calls a certificate of %1 that of %2."_s.arg(
                                           svid->id.toString(), self.toString())};
        IdentitySnapshot snapshot{*svid, {}};
        const auto own = tls::certificatesFromDer(bytesOf(one.bundle()));
        if (!own)
            return own.error();
        snapshot.bundles.insert(self.trustDomain(), *own);
        for (const auto &[name, der] : response.federated_bundles()) {
            const auto id2 = SpiffeId::parse(textOf(name));
            const auto roots = tls::certificatesFromDer(bytesOf(der));
            if (id2 && id2->path().isEmpty() && roots && id2->trustDomain() != self.trustDomain())
                snapshot.bundles.insert(id2->trustDomain(), *roots);
        }
        return snapshot;
    }
    return Error{Errc::NotFound,
                 u"The Workload API offers %1, not %2: correct agent.spiffe_id or the registration entry."_s.arg(
                     offered.join(u", "_s), self.toString())};
}

} // namespace

QString workloadEndpointFromEnvironment()
{
    return qEnvironmentVariable("SPIFFE_ENDPOINT_SOCKET");
}

WorkloadIdentitySource::WorkloadIdentitySource(const QString &endpoint, SpiffeId self, QObject *parent)
    : IdentitySource(parent), m_endpoint(endpoint), m_self(std::move(self)),
      m_channel({endpoint, {}}), m_missing{
                                     Errc::Unavailable,
                                     u"no identity yet, buffering: waiting for the Workload API at %1"_s.arg(endpoint)}
{
    m_retry.setSingleShot(true);
    m_expiry.setSingleShot(true);
    connect(&m_retry, &QTimer::timeout, this, &WorkloadIdentitySource::watch);
    connect(&m_expiry, &QTimer::timeout, this, &WorkloadIdentitySource::onExpiry);
    watch();
}

WorkloadIdentitySource::~WorkloadIdentitySource() = default;

Result<std::shared_ptr<const IdentitySnapshot>> WorkloadIdentitySource::current() const
{
    const QMutexLocker lock(&m_mutex);
    if (m_current)
        return m_current;
    return m_missing;
}

IdentityStatus WorkloadIdentitySource::status() const
{
    IdentityStatus status = IdentitySource::status();
    status.attestation = u"workload api"_s;
    status.proof = u"whatever the agent behind the Workload API attests; the key is in memory"_s;
    const QMutexLocker lock(&m_mutex);
    status.rotations = m_rotations;
    if (!m_current) {
        if (m_hadOne)
            status.state = IdentityStatus::State::Expired;
        return status;
    }
    status.issuerExpiresAt = tls::issuerEnd(*m_current);
    if (!m_reported.isEmpty() && status.state == IdentityStatus::State::Valid) {
        status.state = IdentityStatus::State::Overdue;
        status.sentence += u", but: %1"_s.arg(m_reported);
    }
    return status;
}

void WorkloadIdentitySource::watch()
{
    m_stream = m_channel.start(method::workload("FetchX509SVID"), workloadMetadata());
    connect(m_stream, &grpc::ClientCall::messageReceived, this, &WorkloadIdentitySource::onMessage);
    connect(m_stream, &grpc::ClientCall::finished, this, &WorkloadIdentitySource::onFinished);
    m_stream->send({}); // X509SVIDRequest has no fields
    m_stream->closeSending();
}

void WorkloadIdentitySource::onMessage(const QByteArray &message)
{
    const auto response = parse<workload::X509SVIDResponse>(message);
    auto snapshot = response ? snapshotOf(*response, m_self) : Result<IdentitySnapshot>(response.error());
    if (!snapshot) {
        // Each message has all identities of ours (section 5.2.1): what is missing was taken away.
        if (snapshot.error().code == Errc::NotFound)
            renounce(snapshot.error());
        return report(snapshot.error());
    }
    m_backoff.reset();
    const Timestamp notAfter = snapshot->svid.notAfter;
    bool isNewSvid = true;
    bool isNewBundle = true;
    bool wasTroubled = false;
    {
        const QMutexLocker lock(&m_mutex);
        wasTroubled = !std::exchange(m_reported, QString()).isEmpty();
        isNewSvid = !m_current || m_current->svid.chainDer != snapshot->svid.chainDer;
        isNewBundle = !m_current || m_current->bundles != snapshot->bundles;
        if (m_hadOne && isNewSvid)
            ++m_rotations;
        m_hadOne = true;
        m_current = std::make_shared<const IdentitySnapshot>(std::move(*snapshot));
    }
    m_expiry.start(std::clamp(notAfter - SystemClock().now(), Millis{1}, kLongestTimer));
    if (wasTroubled)
        Q_EMIT problemSolved();
    if (isNewSvid)
        Q_EMIT svidChanged();
    else if (isNewBundle)
        Q_EMIT bundlesChanged();
}

void WorkloadIdentitySource::onFinished(const grpc::Status &status)
{
    m_stream = nullptr;
    if (status.code == grpc::StatusCode::PermissionDenied)
        renounce(
            {Errc::Denied,
             u"no identity, buffering: the agent at %1 has no registration entry for this process"_s.arg(m_endpoint)});
    report(errorOf(status, u"Watching the Workload API at %1"_s.arg(m_endpoint)));
    if (status.code == grpc::StatusCode::InvalidArgument)
        return;
    m_retry.start(m_backoff.next());
}

void WorkloadIdentitySource::onExpiry()
{
    const auto snapshot = current();
    if (!snapshot)
        return;
    const Millis left = (*snapshot)->svid.notAfter - SystemClock().now();
    if (left > 0ms)
        m_expiry.start(std::clamp(left, Millis{1}, kLongestTimer));
    else
        renounce({Errc::Unavailable,
                  u"identity expired, buffering: the Workload API at %1 sends no new one"_s.arg(m_endpoint)});
}

void WorkloadIdentitySource::renounce(const Error &why)
{
    m_expiry.stop();
    bool hadOne = false;
    {
        const QMutexLocker lock(&m_mutex);
        hadOne = std::exchange(m_current, nullptr) != nullptr;
        m_missing = why;
    }
    if (hadOne)
        Q_EMIT svidChanged();
}

void WorkloadIdentitySource::report(const Error &problem)
{
    bool isNew = false;
    {
        const QMutexLocker lock(&m_mutex);
        isNew = std::exchange(m_reported, problem.message) != problem.message;
    }
    if (isNew)
        Q_EMIT problemFound(problem);
}

} // namespace lintel::spire
