#include "spire/waiting_devices.h"

#include "domain/ek_hash.h"
#include "spire/server_methods.h"
#include "spire/wire.h"

#include "lintel_authority.pb.h"

#include <algorithm>

namespace lintel::spire {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace authority = ::lintel::authority::v1;

namespace {

constexpr auto kAskEvery = 5s;
constexpr auto kAskASpireServerEvery = 10min; // it has no such method; it may be replaced by ours
constexpr auto kCallTime = 10s;
constexpr qsizetype kMostText = 200;
} // namespace

Result<WaitingDevices> readWaitingDevices(const QByteArray &message, Timestamp asOf)
{
    const auto response = parse<authority::ListWaitingResponse>(message);
    if (!response)
        return response.error();
    WaitingDevices waiting;
    waiting.asOf = asOf;
    for (const auto &device : response->devices()) {
        const QString hash = textOf(device.ek_hash());
        if (!isEkHash(hash) || waiting.latest.size() >= WaitingDevices::kMost)
            continue;
        WaitingDevice one;
        one.ekHash = hash;
        one.maker = textOf(device.ek_issuer()).left(kMostText).simplified();
        one.firstSeen = fromEpochMillis(device.first_seen_at_ms());
        if (device.last_seen_at_ms() > 0)
            one.lastSeen = fromEpochMillis(device.last_seen_at_ms());
        one.address = textOf(device.address()).left(kMostText).simplified();
        one.attempts = quint64(std::max<qint64>(0, device.attempts()));
        waiting.latest.append(one);
    }
    waiting.total = std::max(quint64(std::max<qint64>(0, response->total())), quint64(waiting.latest.size()));
    return waiting;
}

WaitingDevicesWatch::WaitingDevicesWatch(grpc::Channel &channel, EmbeddedIdentitySource &identity, QObject *parent)
    : QObject(parent), m_channel(channel), m_identity(identity)
{
    connect(&m_timer, &QTimer::timeout, this, &WaitingDevicesWatch::ask);
    m_timer.start(kAskEvery);
}

void WaitingDevicesWatch::ask()
{
    if (m_isAsking || !m_identity.agentSvid())
        return;
    m_isAsking = true;
    // The request has no fields.
    m_channel.unary(method::trust("ListWaiting"), {}, kCallTime, this,
                    [this](const grpc::Status &status, const QByteArray &message) { take(status, message); });
}

void WaitingDevicesWatch::take(const grpc::Status &status, const QByteArray &message)
{
    m_isAsking = false;
    const bool isSpire = status.code == grpc::StatusCode::Unimplemented;
    m_timer.start(isSpire ? std::chrono::milliseconds{kAskASpireServerEvery} : std::chrono::milliseconds{kAskEvery});
    if (!status.isOk()) {
        m_problem = isSpire ? u"The authority does not tell who waits for approval; ask there."_s
                            : errorOf(status, u"Asking who waits for approval"_s).message;
        return;
    }
    auto waiting = readWaitingDevices(message, m_identity.trustedNow());
    m_problem = waiting ? QString() : waiting.error().message;
    if (waiting)
        m_latest = *std::move(waiting);
}

} // namespace lintel::spire
