// SIGTERM and SIGINT as a Qt signal on the event loop, for processes that stop in order.
// One object a process, made by main() on the main thread; its signal comes there.
#pragma once

#include <QObject>
#include <QSocketNotifier>

#include <memory>

namespace lintel {

class StopSignals : public QObject
{
    Q_OBJECT
public:
    explicit StopSignals(QObject *parent = nullptr);
    ~StopSignals() override;

Q_SIGNALS:
    /// Asked to stop; `again` when it is not the first time (a person who is in a hurry).
    void stopRequested(bool again);

private:
    void onReadable();

    std::unique_ptr<QSocketNotifier> m_notifier;
    bool m_seen = false;
};

} // namespace lintel
