#include "drivers/sysfs/slow_reader.h"

#include <mutex>
#include <thread>

namespace lintel {

using namespace Qt::StringLiterals;

/// Outlives the reader when a thread hangs. The mutex guards `owner`, which the destructor clears.
struct SlowReader::Mailbox {
    std::mutex mutex;
    SlowReader *owner = nullptr;
};

SlowReader::SlowReader(Millis timeout, QObject *parent) : QObject(parent), m_mailbox(std::make_shared<Mailbox>())
{
    m_mailbox->owner = this;
    m_timer.setSingleShot(true);
    m_timer.setInterval(timeout);
    connect(&m_timer, &QTimer::timeout, this, [this] {
        deliver(Error{Errc::Timeout, u"The hardware did not answer within %1 ms."_s.arg(m_timer.interval())});
    });
}

SlowReader::~SlowReader()
{
    const std::lock_guard lock(m_mailbox->mutex);
    m_mailbox->owner = nullptr;
}

void SlowReader::run(Job job, Done done)
{
    m_done = std::move(done);
    if (m_isHanging) {
        QMetaObject::invokeMethod(
            this,
            [this] {
                deliver(Error{Errc::Unavailable, u"The hardware still has not answered the read before."_s});
            },
            Qt::QueuedConnection);
        return;
    }
    m_isHanging = true;
    m_timer.start();
    std::thread([mailbox = m_mailbox, job = std::move(job)] {
        Outcome outcome = job();
        const std::lock_guard lock(mailbox->mutex);
        if (mailbox->owner == nullptr)
            return;
        QMetaObject::invokeMethod(
            mailbox->owner,
            [owner = mailbox->owner, outcome = std::move(outcome)] {
                owner->m_isHanging = false;
                owner->deliver(outcome);
            },
            Qt::QueuedConnection);
    }).detach();
}

void SlowReader::deliver(Result<Outcome> outcome)
{
    m_timer.stop();
    if (const Done done = std::exchange(m_done, nullptr))
        done(std::move(outcome));
}

} // namespace lintel
