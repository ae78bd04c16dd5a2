// Verifying and signing on all processors: forEach() waits for it and its caller takes a share; start() does not
// wait, so that the caller's event loop runs on. Agents take turns, and so do the jobs of each: none waits for all
// that another has asked for, and nobody may have more than a few jobs there.
// Belongs to Authority, on its thread.
#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QSemaphore>
#include <QString>
#include <QThread>
#include <QThreadPool>

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
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

    /// Says whether it has really signed: what is refused takes no time, and tells nothing of the keys.
    using Work = std::function<bool(qsizetype)>;
    static constexpr int kJobsOfOne = 32;

    /// work(0) … work(count - 1) of `count` > 0 on threads of the pool, then done() on the thread of `home`, which
    /// lives as long as the pool; done is destroyed there, too. False: `agent` has kJobsOfOne jobs there already.
    [[nodiscard]] bool start(QObject *home, const QString &agent, qsizetype count, Work work,
                             std::function<void()> done)
    {
        Lane &lane = m_lanes[agent];
        if (lane.unfinished >= kJobsOfOne)
            return false;
        const auto job = std::make_shared<Job>(agent, std::move(work), std::move(done), count);
        job->next.store(0, std::memory_order_release); // what was written before it is seen by whoever takes one
        ++lane.unfinished;
        lane.jobs.push_back(job);
        feed(home);
        return true;
    }
    /// What was signed last took less than a millisecond each: no reason to leave the thread for a few of them.
    [[nodiscard]] bool isQuick() const { return m_isQuick.load(std::memory_order_relaxed); }

    /// work(0) … work(count - 1), in any order and on any thread.
    template <class Each>
    void forEach(qsizetype count, const Each &work)
    {
        std::atomic<qsizetype> next{0};
        const auto run = [&] {
            Tally tally;
            for (qsizetype i = next++; i < count; i = next++)
                tally.measure(work, i);
            note(tally);
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

    /// How long signatures took.
    struct Tally {
        qint64 ns = 0;
        qint64 count = 0;

        template <class Each>
        void measure(const Each &work, qsizetype i)
        {
            QElapsedTimer watch;
            watch.start();
            const bool hasSigned = work(i);
            const qint64 took = watch.nsecsElapsed();
            if (!hasSigned && took < kQuickNs) // a key store that is slow to fail is slow
                return;
            ns += took;
            ++count;
        }
    };
    struct Job {
        Job(QString whose, Work each, std::function<void()> after, qsizetype size)
            : agent(std::move(whose)), work(std::move(each)), done(std::move(after)), count(size)
        {}
        QString agent;
        Work work;
        std::function<void()> done; // only on the home thread
        qsizetype count;
        qsizetype slices = 0; // that were begun, each of which does at least one
        std::atomic<qsizetype> next{0};
        std::atomic<qsizetype> finished{0};
        bool isTold = false;
    };
    struct Lane {
        std::deque<std::shared_ptr<Job>> jobs; // with something left to begin
        int unfinished = 0;
    };

    void note(const Tally &tally)
    {
        if (tally.count > 0)
            m_isQuick.store(tally.ns / tally.count < kQuickNs, std::memory_order_relaxed);
    }

    /// Of the next agent that has something to begin; null: nobody has.
    std::shared_ptr<Job> nextJob()
    {
        auto lane = m_lanes.upper_bound(m_servedLast);
        for (std::size_t left = m_lanes.size(); left > 0; --left, ++lane) {
            if (lane == m_lanes.end())
                lane = m_lanes.begin();
            std::deque<std::shared_ptr<Job>> &jobs = lane->second.jobs;
            while (!jobs.empty()) {
                const std::shared_ptr<Job> job = jobs.front();
                jobs.pop_front();
                if (job->next.load(std::memory_order_acquire) >= job->count)
                    continue; // others do the rest of it
                if (++job->slices < job->count)
                    jobs.push_back(job);
                m_servedLast = lane->first;
                return job;
            }
        }
        return {};
    }
    void feed(QObject *home)
    {
        while (m_slices <= m_helpers) {
            const std::shared_ptr<Job> job = nextJob();
            if (!job)
                return;
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
        Tally tally;
        qsizetype did = 0;
        do {
            const qsizetype i = job.next.fetch_add(1, std::memory_order_acq_rel);
            if (i >= job.count)
                break;
            tally.measure(job.work, i);
            ++did;
        } while (watch.elapsed() < kSliceMs);
        note(tally);
        job.finished.fetch_add(did, std::memory_order_acq_rel);
    }
    void sliceEnded(QObject *home, Job &job)
    {
        --m_slices;
        if (job.finished.load(std::memory_order_acquire) == job.count && !std::exchange(job.isTold, true)) {
            if (const auto lane = m_lanes.find(job.agent); --lane->second.unfinished == 0)
                m_lanes.erase(lane);
            // Taken out of the job: the thread that did the slice may be the last one to let go of that.
            const auto done = std::exchange(job.done, {});
            done();
        }
        feed(home);
    }

    int m_helpers;
    int m_slices = 0; // that run, or have not been noticed to have ended
    std::atomic<bool> m_isQuick{false};
    std::map<QString, Lane> m_lanes; // of agents with unfinished jobs
    QString m_servedLast;
    QThreadPool m_pool;
};

} // namespace lintel::authority
