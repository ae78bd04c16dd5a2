#include "demo/revocation.h"

#include "domain/topic.h"
#include "output.h"

#include <algorithm>

namespace lintel::demo {

using namespace Qt::StringLiterals;

Revocation::Revocation(const QString &site, const QString &sensor, MqttTransport &transport, const Clock &clock,
                       QObject *parent)
    : QObject(parent), m_site(site), m_sensor(sensor), m_transport(transport), m_clock(clock)
{
    connect(&m_transport, &MqttTransport::connected, this, &Revocation::subscribe);
    connect(&m_transport, &MqttTransport::messageReceived, this, &Revocation::onMessage);
    if (m_transport.state() == MqttTransport::State::Connected)
        subscribe();
}

void Revocation::subscribe()
{
    // Refused only when the connection is gone again; the next one comes here once more.
    (void)m_transport.subscribe(filter::group(m_site), 1);
}

void Revocation::accepted(Timestamp at)
{
    m_acceptedAt = at;
    if (m_closedAt && *m_closedAt < at)
        m_closedAt.reset(); // an end of before: a new certificate, a restart
}

void Revocation::onMessage(const MqttMessage &message)
{
    const auto topic = parseTopic(message.topic);
    const auto *of = topic ? std::get_if<SparkplugTopic>(&*topic) : nullptr;
    if (!of || of->node != m_sensor || of->verb == SparkplugVerb::NCmd || of->verb == SparkplugVerb::DCmd)
        return;
    const Timestamp now = m_clock.now();
    if (of->verb == SparkplugVerb::NDeath) {
        m_closedAt = now;
        return;
    }
    if (of->verb == SparkplugVerb::NBirth)
        m_closedAt.reset(); // it is back
    if (m_acceptedAt && now > *m_acceptedAt + kGrace)
        ++m_heardAfter;
}

std::optional<qint64> Revocation::closedAfterMs() const
{
    if (!m_acceptedAt || !m_closedAt)
        return {};
    return std::max<qint64>(0, (*m_closedAt - *m_acceptedAt).count());
}

bool Revocation::isProven() const
{
    return m_acceptedAt && m_clock.now() > *m_acceptedAt + kGrace + kGrace;
}

void Revocation::takeAuthoritysWord(const RevokedDevice &device)
{
    m_brokerHeardAfter =
        m_acceptedAt && device.lastAccepted && *device.lastAccepted > *m_acceptedAt + kGrace && m_heardAfter == 0;
}

RevocationReport Revocation::report() const
{
    RevocationReport report;
    report.device = m_sensor;
    if (const auto after = closedAfterMs())
        report.closedAfterMs << *after;
    report.acceptedAfter = m_heardAfter + (m_brokerHeardAfter ? 1 : 0);
    return report;
}

QStringList Revocation::problems() const
{
    if (!m_acceptedAt)
        return {u"%1 was not revoked, because the run ended before its time or the authority refused."_s.arg(m_sensor)};
    QStringList problems;
    if (!m_closedAt)
        problems << u"%1 was revoked, but its session at the gateway's broker did not end."_s.arg(m_sensor);
    if (const quint64 count = report().acceptedAfter; count > 0)
        problems << u"%1 accepted later than %3 s after %2 was revoked."_s
                        .arg(cli::counted(count, u"message was"_s, u"messages were"_s), m_sensor)
                        .arg(kGrace.count());
    return problems;
}

} // namespace lintel::demo
