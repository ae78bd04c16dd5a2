// Counts the historian's rows on a thread of its own, with a connection of its own, so that nobody waits for it
// but those who asked. One count at a time; who asks during one gets the next, which began after the question.
// Owner: BackendCalls; its thread, which also gets the answers. Failure: as Historian's. Its end gives up a
// count that is under way and waits for that, and answers nobody any more.
#pragma once

#include "historian/historian.h"

#include <QObject>
#include <QThread>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace lintel {

class ExactCount : public QObject
{
    Q_OBJECT
public:
    using Done = std::function<void(const Result<historian::Counters> &)>;

    explicit ExactCount(QString database, QObject *parent = nullptr);
    ~ExactCount() override;

    void ask(Done done);

private:
    void startNext();
    void finish(const Result<historian::Counters> &counted);

    const QString m_database;
    std::atomic<bool> m_cancelled = false;
    std::unique_ptr<QThread> m_thread;
    std::vector<Done> m_served; // by the count that is under way
    std::vector<Done> m_waiting;
};

} // namespace lintel
