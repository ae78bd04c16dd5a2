#include "process/stop_signals.h"

#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace lintel {

namespace {

int g_pipe[2] = {-1, -1}; // a signal handler can reach nothing but globals

void onSignal(int)
{
    const std::uint8_t byte = 1;
    [[maybe_unused]] const auto written = write(g_pipe[1], &byte, 1);
}

void handle(int signal, void (*handler)(int))
{
    struct sigaction action = {};
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(signal, &action, nullptr);
}

} // namespace

StopSignals::StopSignals(QObject *parent) : QObject(parent)
{
    if (pipe2(g_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return; // then the signals keep their default: the process ends at once
    m_notifier = std::make_unique<QSocketNotifier>(g_pipe[0], QSocketNotifier::Read);
    connect(m_notifier.get(), &QSocketNotifier::activated, this, &StopSignals::onReadable);
    handle(SIGTERM, onSignal);
    handle(SIGINT, onSignal);
    handle(SIGHUP, onSignal);
}

StopSignals::~StopSignals()
{
    if (!m_notifier)
        return;
    handle(SIGTERM, SIG_DFL);
    handle(SIGINT, SIG_DFL);
    handle(SIGHUP, SIG_DFL);
    m_notifier.reset();
    close(g_pipe[0]);
    close(g_pipe[1]);
}

void StopSignals::onReadable()
{
    std::uint8_t bytes[16];
    while (read(g_pipe[0], bytes, sizeof bytes) > 0) {
    }
    Q_EMIT stopRequested(std::exchange(m_seen, true));
}

} // namespace lintel
