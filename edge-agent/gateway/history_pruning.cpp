#include "gateway/history_pruning.h"

namespace lintel {

namespace {

constexpr std::chrono::seconds kUntilChecked{1};

} // namespace

HistoryPruning::HistoryPruning(std::function<Result<quint64>()> prune, std::function<bool()> isClockChecked,
                               QObject *parent)
    : QObject(parent), m_prune(std::move(prune)), m_isClockChecked(std::move(isClockChecked))
{
    m_timer.setSingleShot(true);
    connect(&m_timer, &QTimer::timeout, this, &HistoryPruning::step);
}

void HistoryPruning::start(Millis every)
{
    m_every = every;
    m_timer.start(m_every);
}

void HistoryPruning::step()
{
    if (!m_isClockChecked()) {
        m_timer.start(kUntilChecked);
        return;
    }
    if (const auto pruned = m_prune(); !pruned)
        Q_EMIT trouble(pruned.error());
    m_timer.start(m_every);
}

} // namespace lintel
