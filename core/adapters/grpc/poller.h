// Many sockets on one event loop: an epoll set behind one QSocketNotifier. A thousand idle
// connections cost no notifier each, and waking up costs what is ready, not what is open.
//
// Belongs to one Channel or Server and its thread.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QHash>
#include <QObject>

namespace lintel::grpc {

class Poller final : public QObject
{
    Q_OBJECT
public:
    class Watcher
    {
    public:
        virtual void socketReady(bool readable, bool writable) = 0;

    protected:
        ~Watcher() = default;
    };

    explicit Poller(QObject *parent = nullptr);
    ~Poller() override;

    /// A number for change() and remove(); 0 when the system refuses.
    [[nodiscard]] quint64 add(int socket, bool read, bool write, Watcher &watcher);
    void change(quint64 number, int socket, bool read, bool write);
    void remove(quint64 number, int socket);

    /// Room that all connections share, since only one of them works at a time.
    [[nodiscard]] QByteArray &readBuffer() { return m_readBuffer; }
    [[nodiscard]] QByteArray &writeBuffer() { return m_writeBuffer; }

private:
    void dispatch();

    int m_epoll = -1;
    quint64 m_lastNumber = 0;
    QHash<quint64, Watcher *> m_watchers; // by number, so that a late event finds nobody instead of a dead one
    QByteArray m_readBuffer;
    QByteArray m_writeBuffer;
};

} // namespace lintel::grpc
