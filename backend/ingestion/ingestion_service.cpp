#include "ingestion/ingestion_service.h"

#include "custody/answers.h"

namespace lintel {

using namespace Qt::StringLiterals;
using sparkplug::HostBatch;
using sparkplug::HostSession;
using sparkplug::Participant;

namespace {

constexpr Millis kTick{100};

} // namespace

IngestionService::IngestionService(HostSession &host, historian::Historian &historian, CustodyStore &store,
                                   const Clock &clock, QObject *parent)
    : QObject(parent), m_host(host), m_historian(historian), m_clock(clock), m_intake(store, clock)
{
    connect(&m_host, &HostSession::born, this, &IngestionService::onBorn);
    connect(&m_host, &HostSession::died, this, &IngestionService::onDied);
    connect(&m_host, &HostSession::tailMoved, &m_intake, &CustodyIntake::tailMoved);
    connect(&m_host, &HostSession::batchReceived, this, &IngestionService::onBatch);
    connect(&m_host, &HostSession::trouble, this, &IngestionService::trouble);
    connect(&m_host, &HostSession::stopped, this, [this] {
        m_tick.stop();
        Q_EMIT stopped();
    });
    connect(&m_intake, &CustodyIntake::acknowledge, &m_host, &HostSession::acknowledge);
    connect(&m_intake, &CustodyIntake::trouble, this, &IngestionService::trouble);
    connect(&m_intake, &CustodyIntake::storageFailed, this, [this](const Error &why) {
        Q_EMIT trouble({why.code, u"Readings cannot be stored, so gateways keep theirs until this is mended: %1"_s.arg(
                                      why.message)});
    });
    connect(&m_intake, &CustodyIntake::storageRecovered, this,
            [this] { Q_EMIT notice(u"Readings are stored again; the gateways send what they kept."_s); });
    connect(&m_tick, &QTimer::timeout, &m_host, &HostSession::tick);
}

void IngestionService::start()
{
    tellIfFailed(m_historian.markAllOffline());
    m_tick.start(kTick);
    m_host.start();
}

void IngestionService::stop()
{
    m_intake.flush(); // so that what was taken can still be acknowledged
    m_host.stop();
    m_intake.flush();
}

std::optional<Error> IngestionService::refusal(const sparkplug::NodeId &node, const QString &name) const
{
    const auto allowed = m_historian.mayUse(node, name);
    if (allowed || allowed.error().code != Errc::Denied)
        return std::nullopt; // a database that cannot answer says so when it is to store
    return allowed.error();
}

bool IngestionService::mayUse(const sparkplug::NodeId &node, const QString &name)
{
    const auto refused = refusal(node, name);
    if (refused && m_refusals.isNews(node, name, m_clock.monotonic()))
        Q_EMIT trouble(*refused);
    return !refused;
}

void IngestionService::onDied(const Participant &who)
{
    if (mayUse(who.node, answers::deviceName(who)))
        tellIfFailed(m_historian.noteDied(who));
}

void IngestionService::onBorn(const Participant &who)
{
    if (!mayUse(who.node, answers::deviceName(who)))
        return;
    tellIfFailed(m_historian.noteBorn(who));
    m_intake.nodeBorn(who);
}

void IngestionService::onBatch(const HostBatch &batch)
{
    if (!mayUse(batch.node, batch.batch.device))
        return;
    const Participant *node = m_host.participant(batch.node);
    const bool keepsBooks = node && node->spool;
    if (batch.fromBirth && keepsBooks)
        return; // its readings come numbered; a plain node's birth is all that is known of its values
    m_intake.take(batch);
}

void IngestionService::tellIfFailed(const Result<void> &result)
{
    if (!result)
        Q_EMIT trouble(result.error());
}

} // namespace lintel
