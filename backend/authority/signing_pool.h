// Verifying and signing on all processors: forEach() waits for it and its caller takes a share; start() does not
// wait, so that the caller's event loop runs on, and jobs take turns, so that none waits for all of another.
// Belongs to Authority, on its thread.
#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QSemaphore>
#include <QThread>
#include <QThreadPool>

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

namespace lintel::authority {

class SigningPool
{
public:
    /// `threads` includes the caller; 0: one for each processor.
    explicit SigningPool(int threads)
        : m_helpers(std::max(0, (threads > 0 ? threads : QThread::idealThreadCount()) - 1))
    {
        m_pool.setMaxThreadCount(m_helpers + 1);
    }
    SigningPool(const SigningPool &) = delete;
    SigningPool &operator=(const SigningPool &) = delete;
    ~SigningPool() { m_pool.waitForDone(); }

    using Work = std::function<void(qsizetype)>;

    /// work(0) … work(count - 1) on threads of the pool, then done() on the thread of `home`, which lives as long as
    /// the pool.
    void start(QObject *home, qsizetype count, Work work, std::function<void()> done)
    {
        const auto job = std::make_shared<Job>(std::move(work), std::move(done), count);
        job->next.store(0, std::memory_order_release); // what was written before it is seen by whoever takes one
        m_jobs.push_back(job);
        feed(home);
    }
    /// What start() did last took less than a millisecond each: no reason to leave the thread for a few of them.
    [[nodiscard]] bool isQuick() const { return m_isQuick.load(std::memory_order_relaxed); }

    /// work(0) … work(count - 1), in any order and on any thread.
    template <class Work>
    void forEach(qsizetype count, const Work &work)
    {
        std::atomic<qsizetype> next{0};
        const auto run = [&] {
            for (qsizetype i = next++; i < count; i = next++)
                work(i);
        };
        // Waking a thread costs about as much as one signature.
        const int helpers = int(std::min<qsizetype>(m_helpers, count / 4));
        const auto done = std::make_shared<QSemaphore>(); // outlives the release() that wakes us
        for (int i = 0; i < helpers; ++i)
            m_pool.start([&run, done] {
                run();
                done->release();
            });
        run();
        done->acquire(helpers);
    }

private:
    static constexpr qint64 kSliceMs = 20; // then it is the turn of another job
    static constexpr qint64 kQuickNs = 1'000'000;

    struct Job {
        Job(Work job, std::function<void()> after, qsizetype size)
            : work(std::move(job)), done(std::move(after)), count(size)
        {}
        Work work;
        std::function<void()> done;
        qsizetype count;
        std::atomic<qsizetype> next{0};
        std::atomic<qsizetype> finished{0};
        bool isTold = false;
    };

    void feed(QObject *home)
    {
        while (m_slices <= m_helpers && !m_jobs.empty()) {
            const std::shared_ptr<Job> job = m_jobs.front();
            m_jobs.pop_front();
            if (job->next.load(std::memory_order_acquire) >= job->count)
                continue; // others do the rest of it
            m_jobs.push_back(job);
            ++m_slices;
            m_pool.start([this, home, job] {
                runSlice(*job);
                QMetaObject::invokeMethod(
                    home, [this, home, job] { sliceEnded(home, *job); }, Qt::QueuedConnection);
            });
        }
    }
    void runSlice(Job &job)
    {
        QElapsedTimer watch;
        watch.start();
        qsizetype did = 0;
        while (watch.elapsed() < kSliceMs) {
            const qsizetype i = job.next.fetch_add(1, std::memory_order_acq_rel);
            if (i >= job.count)
                break;
            job.work(i);
            ++did;
        }
        if (did > 0)
            m_isQuick.store(watch.nsecsElapsed() / did < kQuickNs, std::memory_order_relaxed);
        job.finished.fetch_add(did, std::memory_order_acq_rel);
    }
    void sliceEnded(QObject *home, Job &job)
    {
        --m_slices;
        if (job.finished.load(std::memory_order_acquire) == job.count && !std::exchange(job.isTold, true))
            job.done();
        feed(home);
    }

    int m_helpers;
    int m_slices = 0; // that run, or have not been noticed to have ended
    std::atomic<bool> m_isQuick{false};
    std::deque<std::shared_ptr<Job>> m_jobs; // with something left to begin
    QThreadPool m_pool;
};

} // namespace lintel::authority
