#include "mqtt/reconnecting_transport.h"

#include "mqtt/topic_rules.h"
#include "ports/system_clock.h"

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

QString clockSays(Timestamp now)
{
    // The day only, so that the sentence stays the same from attempt to attempt.
    return u"This machine's clock says %1"_s.arg(toIso8601(now).left(10));
}

constexpr QLatin1StringView kSetTheClock{"set it, for example with timedatectl or NTP."};

/// What makes the broker's certificate look wrong, too, when the clock is so far behind that ours does.
std::optional<Error> doubtOfClock(const X509Svid &svid, Timestamp now)
{
    if (now >= svid.notBefore)
        return std::nullopt;
    return Error{Errc::Denied, u"%1 and is before %2, when our certificate (%3) begins; %4"_s.arg(
                                   clockSays(now), toIso8601(svid.notBefore), svid.id.toString(), kSetTheClock)};
}

} // namespace

ReconnectingTransport::ReconnectingTransport(MqttEndpoint endpoint, const IdentitySource &identity, QObject *parent)
    : MqttTransport(parent), m_endpoint(std::move(endpoint)), m_identity(identity), m_backoff(m_endpoint.backoff)
{
    m_retryTimer.setSingleShot(true);
    m_deadlineTimer.setSingleShot(true);
    connect(&m_retryTimer, &QTimer::timeout, this, &ReconnectingTransport::attempt);
    connect(&m_deadlineTimer, &QTimer::timeout, this, [this] {
        linkFailed({Errc::Timeout, u"The broker at %1:%2 did not answer within %3 s."_s.arg(m_endpoint.host)
                                       .arg(m_endpoint.port)
                                       .arg(m_endpoint.connectTimeout.count() / 1'000)});
    });
    connect(&m_watchTimer, &QTimer::timeout, this, [this] {
        if (m_state == State::Connected)
            watchLink();
    });
}

Error ReconnectingTransport::notConnected()
{
    return {Errc::Unavailable, u"There is no connection to the broker; try again when there is one."_s};
}

Error ReconnectingTransport::queueFull()
{
    return {Errc::Full, u"The queue to the broker is full; try again later."_s};
}

void ReconnectingTransport::start(std::function<MqttConnect()> connectPacket)
{
    m_connectPacket = std::move(connectPacket);
    if (m_state != State::Stopped)
        return; // already at it; the next attempt asks the new function
    m_backoff.reset();
    enterLater(State::Connecting);
    m_retryTimer.start(0);
}

void ReconnectingTransport::stop(Goodbye goodbye)
{
    if (m_state == State::Stopped)
        return;
    leave(goodbye, {Errc::Unavailable, u"The connection was closed on request."_s}, false);
    enterLater(State::Stopped);
}

void ReconnectingTransport::reconnect(Goodbye goodbye)
{
    if (m_state == State::Stopped)
        return;
    m_backoff.reset();
    leave(goodbye, {Errc::Unavailable, u"The connection was closed to open a new one."_s}, true);
    enterLater(State::Connecting);
}

Result<void> ReconnectingTransport::subscribe(const QString &filter, int qos)
{
    if (m_state != State::Connected)
        return notConnected();
    if (auto valid = mqtt::validateTopicFilter(filter); !valid)
        return valid;
    return sendSubscription(filter, qos);
}

Result<void> ReconnectingTransport::publish(const MqttMessage &message)
{
    if (m_state != State::Connected)
        return notConnected();
    if (auto valid = mqtt::validateTopicName(message.topic); !valid)
        return valid;
    return sendMessage(message);
}

void ReconnectingTransport::attempt()
{
    ++m_generation;
    if (m_state != State::Connecting && !enter(State::Connecting))
        return;
    if (const auto opened = open(); !opened)
        linkFailed(opened.error());
}

Result<void> ReconnectingTransport::open()
{
    m_clockDoubt.reset();
    const MqttConnect packet = m_connectPacket();
    m_keepAlive = packet.keepAlive;
    const auto current = m_identity.current();
    if (!current)
        return current.error();
    const X509Svid &svid = (*current)->svid;
    const Timestamp now = m_identity.trustedNow();
    if (!isPlausible(now))
        return Error{Errc::Denied, u"%1, so no certificate can be judged; %2"_s.arg(clockSays(now), kSetTheClock)};
    m_clockDoubt = doubtOfClock(svid, now);
    if (svid.notAfter <= now)
        return Error{Errc::Denied,
                     u"Our certificate (%1) expired at %2; a new one is needed, or the clock is wrong."_s.arg(
                         svid.id.toString(), toIso8601(svid.notAfter))};
    m_deadlineTimer.start(m_endpoint.connectTimeout);
    return openLink(packet, svid);
}

void ReconnectingTransport::linkUp(bool sessionPresent)
{
    if (m_state != State::Connecting)
        return;
    m_deadlineTimer.stop();
    m_backoff.reset();
    if (m_keepAlive.count() > 0)
        m_watchTimer.start(std::chrono::milliseconds(m_keepAlive) / 8);
    if (enter(State::Connected))
        Q_EMIT connected(sessionPresent);
}

void ReconnectingTransport::linkFailed(const Error &reason)
{
    letGo();
    const auto retryIn = m_backoff.next();
    m_retryTimer.start(retryIn);
    ++m_generation;
    if (enter(State::WaitingToRetry))
        Q_EMIT connectFailed(reason.code == Errc::Denied ? m_clockDoubt.value_or(reason) : reason, retryIn);
}

void ReconnectingTransport::linkLost(const Error &reason)
{
    if (m_state == State::Connecting)
        return linkFailed(reason);
    if (m_state != State::Connected)
        return;
    letGo();
    m_retryTimer.start(m_backoff.next());
    ++m_generation;
    if (enter(State::WaitingToRetry))
        Q_EMIT disconnected(reason);
}

void ReconnectingTransport::attemptAgain()
{
    letGo();
    m_retryTimer.start(0);
}

void ReconnectingTransport::leave(Goodbye goodbye, const Error &reason, bool thenAttempt)
{
    const quint64 mine = ++m_generation; // whatever else that link says is void
    m_retryTimer.stop();
    if (m_state != State::Connected) {
        letGo();
        if (thenAttempt)
            m_retryTimer.start(0);
        return;
    }
    m_watchTimer.stop();
    closeLink(goodbye, [this, reason, mine, thenAttempt] {
        Q_EMIT disconnected(reason);
        if (thenAttempt && mine == m_generation)
            attempt();
    });
}

void ReconnectingTransport::letGo()
{
    m_deadlineTimer.stop();
    m_watchTimer.stop();
    dropLink();
}

bool ReconnectingTransport::enter(State next)
{
    const quint64 mine = m_generation;
    m_state = next;
    Q_EMIT stateChanged(next);
    return mine == m_generation;
}

void ReconnectingTransport::enterLater(State next)
{
    if (next == m_state)
        return;
    m_state = next;
    QMetaObject::invokeMethod(
        this, [this, next] { Q_EMIT stateChanged(next); }, Qt::QueuedConnection);
}

} // namespace lintel
