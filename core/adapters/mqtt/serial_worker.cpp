#include "mqtt/serial_worker.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace lintel {

struct SerialWorker::Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> jobs;
    bool closing = false;   // no new jobs; end when the queue is empty
    bool abandoned = false; // end after the running job
    bool done = false;
    std::thread thread;

    void post(std::function<void()> job)
    {
        const std::lock_guard lock(mutex);
        if (closing)
            return;
        jobs.push_back(std::move(job));
        changed.notify_all();
    }

    void run()
    {
        std::unique_lock lock(mutex);
        for (;;) {
            changed.wait(lock, [this] { return closing || !jobs.empty(); });
            if (abandoned || jobs.empty())
                break;
            auto job = std::move(jobs.front());
            jobs.pop_front();
            lock.unlock();
            job();
            job = nullptr; // what it holds goes here, not under the lock
            lock.lock();
        }
        done = true;
        changed.notify_all();
    }
};

SerialWorker::SerialWorker() : m_shared(std::make_shared<Shared>())
{
    m_shared->thread = std::thread([shared = m_shared] { shared->run(); });
}

SerialWorker::~SerialWorker()
{
    bool done = false;
    {
        std::unique_lock lock(m_shared->mutex);
        m_shared->closing = true;
        m_shared->changed.notify_all();
        done = m_shared->changed.wait_for(lock, kPatience, [this] { return m_shared->done; });
        m_shared->abandoned = true;
    }
    if (done)
        m_shared->thread.join();
    else
        m_shared->thread.detach();
}

void SerialWorker::post(std::function<void()> job)
{
    m_shared->post(std::move(job));
}

std::function<void(std::function<void()>)> SerialWorker::poster() const
{
    return [weak = std::weak_ptr<Shared>(m_shared)](std::function<void()> job) {
        if (const auto shared = weak.lock())
            shared->post(std::move(job));
    };
}

} // namespace lintel
