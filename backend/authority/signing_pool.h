// Spreads the same work over all processors and waits for it: verifying and signing 500 requests.
// Belongs to Authority. The caller's thread takes its share.
#pragma once

#include <QSemaphore>
#include <QThread>
#include <QThreadPool>

#include <algorithm>
#include <atomic>
#include <memory>

namespace lintel::authority {

class SigningPool
{
public:
    /// `threads` includes the caller; 0: one for each processor.
    explicit SigningPool(int threads)
        : m_helpers(std::max(0, (threads > 0 ? threads : QThread::idealThreadCount()) - 1))
    {
        m_pool.setMaxThreadCount(std::max(1, m_helpers));
    }

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
    int m_helpers;
    QThreadPool m_pool;
};

} // namespace lintel::authority
