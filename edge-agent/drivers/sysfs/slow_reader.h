// Runs one slow read on a thread of its own and brings the answer back, or gives up waiting.
//
// A sysfs file can block for as long as its hardware likes. Each read gets a short-lived thread; one
// that never comes back is abandoned with its own copy of what it needs, so that neither the agent
// nor the end of the process waits for it. While it hangs, further reads are refused.
//
// Lives on its owner's thread; `done` is called there.
#pragma once

#include "domain/reading.h"
#include "domain/result.h"

#include <QObject>
#include <QTimer>

#include <functional>
#include <memory>

namespace lintel {

class SlowReader : public QObject
{
    Q_OBJECT
public:
    struct Outcome {
        QList<Reading> readings;
        QStringList problems; // what could not be read, a sentence each
    };
    using Job = std::function<Outcome()>; // runs on the other thread: captures values only
    using Done = std::function<void(Result<Outcome>)>;

    explicit SlowReader(Millis timeout, QObject *parent = nullptr);
    ~SlowReader() override;

    /// `done` is called exactly once, never from inside run(): with the outcome, with Timeout, or
    /// with Unavailable when the thread before still hangs.
    void run(Job job, Done done);

private:
    struct Mailbox;
    void deliver(Result<Outcome> outcome);

    std::shared_ptr<Mailbox> m_mailbox; // shared with the thread that reads
    QTimer m_timer;
    Done m_done;
    bool m_isHanging = false;
};

} // namespace lintel
