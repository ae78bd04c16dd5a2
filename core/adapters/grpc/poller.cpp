#include "grpc/poller.h"

#include <QPointer>
#include <QSocketNotifier>

#include <array>

#include <sys/epoll.h>
#include <unistd.h>

namespace lintel::grpc {

namespace {

constexpr qsizetype kTlsRecordBytes = 16 * 1024;

epoll_event eventFor(quint64 number, bool read, bool write)
{
    epoll_event event{};
    event.events = (read ? EPOLLIN : 0U) | (write ? EPOLLOUT : 0U);
    event.data.u64 = number;
    return event;
}

} // namespace

Poller::Poller(QObject *parent) : QObject(parent), m_epoll(::epoll_create1(EPOLL_CLOEXEC))
{
    m_readBuffer.resize(kTlsRecordBytes);
    // A full record, and the frame that may not be cut in two.
    m_writeBuffer.reserve(2 * kTlsRecordBytes + 64);
    if (m_epoll < 0)
        return;
    auto *notifier = new QSocketNotifier(m_epoll, QSocketNotifier::Read, this);
    connect(notifier, &QSocketNotifier::activated, this, [this] { dispatch(); });
}

Poller::~Poller()
{
    if (m_epoll >= 0)
        ::close(m_epoll);
}

quint64 Poller::add(int socket, bool read, bool write, Watcher &watcher)
{
    const quint64 number = ++m_lastNumber;
    epoll_event event = eventFor(number, read, write);
    if (m_epoll < 0 || ::epoll_ctl(m_epoll, EPOLL_CTL_ADD, socket, &event) != 0)
        return 0;
    m_watchers.insert(number, &watcher);
    return number;
}

void Poller::change(quint64 number, int socket, bool read, bool write)
{
    epoll_event event = eventFor(number, read, write);
    (void)::epoll_ctl(m_epoll, EPOLL_CTL_MOD, socket, &event);
}

void Poller::remove(quint64 number, int socket)
{
    if (m_watchers.remove(number))
        (void)::epoll_ctl(m_epoll, EPOLL_CTL_DEL, socket, nullptr);
}

void Poller::dispatch()
{
    std::array<epoll_event, 64> events{};
    const int count = ::epoll_wait(m_epoll, events.data(), static_cast<int>(events.size()), 0);
    const QPointer<Poller> self(this); // what a watcher does may end us
    for (int i = 0; i < count && self; ++i) {
        const epoll_event &event = events[static_cast<size_t>(i)];
        const bool broken = event.events & (EPOLLERR | EPOLLHUP);
        if (Watcher *watcher = m_watchers.value(event.data.u64))
            watcher->socketReady(broken || (event.events & EPOLLIN), broken || (event.events & EPOLLOUT));
    }
}

} // namespace lintel::grpc
