#include "ingestion/exact_count.h"

#include <utility>

namespace lintel {

ExactCount::ExactCount(QString database, QObject *parent) : QObject(parent), m_database(std::move(database)) {}

ExactCount::~ExactCount()
{
    m_cancelled = true;
    if (m_thread)
        m_thread->wait();
}

void ExactCount::ask(Done done)
{
    m_waiting.push_back(std::move(done));
    if (!m_thread)
        startNext();
}

void ExactCount::startNext()
{
    if (m_waiting.empty())
        return;
    m_served = std::exchange(m_waiting, {});
    m_thread.reset(QThread::create([this, database = m_database] {
        const auto counted = historian::Historian::countExactly(database, m_cancelled);
        QMetaObject::invokeMethod(
            this, [this, counted] { finish(counted); }, Qt::QueuedConnection);
    }));
    m_thread->start();
}

void ExactCount::finish(const Result<historian::Counters> &counted)
{
    m_thread->wait();
    m_thread.reset();
    const std::vector<Done> served = std::exchange(m_served, {});
    startNext();
    for (const Done &done : served)
        done(counted);
}

} // namespace lintel
