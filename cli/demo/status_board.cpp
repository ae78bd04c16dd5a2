#include "demo/status_board.h"

#include "output.h"

#include <unistd.h>

namespace lintel::demo {

using namespace Qt::StringLiterals;

namespace {

constexpr double kLineEvery = 5.0; // seconds

QString number(std::optional<quint64> value)
{
    return value ? QString::number(*value) : u"…"_s;
}

QString oldest(const BoardState &state)
{
    if (!state.oldestUnsentSeconds)
        return u"nothing waits"_s;
    const QString waiting = state.pendingAtGateway
                                ? cli::counted(*state.pendingAtGateway, u"reading waits"_s, u"readings wait"_s)
                                : u"… readings wait"_s;
    return u"%1 s, %2"_s.arg(*state.oldestUnsentSeconds, 0, 'f', 0).arg(waiting);
}

QString lineText(const BoardState &state)
{
    switch (state.line) {
    case LineState::Up: return u"up"_s;
    case LineState::Cut: return u"CUT"_s;
    case LineState::Reconnecting: return u"reconnecting"_s;
    case LineState::Unknown: break;
    }
    return u"unknown, the gateway does not answer"_s;
}

QString latency(const BoardState &state)
{
    if (!state.latencyP50)
        return u"…"_s;
    return u"%1 ms median, %2 ms 99 %"_s.arg(*state.latencyP50).arg(*state.latencyP99);
}

} // namespace

StatusBoard::StatusBoard(bool silent) : m_silent(silent), m_isTerminal(isatty(STDOUT_FILENO) == 1) {}

QString StatusBoard::table(const BoardState &state)
{
    const auto row = [](const QString &label, const QString &value) {
        return u"  "_s + label.leftJustified(22) + value + u'\n';
    };
    return row(u"running"_s, u"%1 s"_s.arg(state.seconds, 0, 'f', 0))
           + row(u"sensors online"_s, u"%1 of %2"_s.arg(state.sensorsOnline).arg(state.sensors))
           + row(u"readings produced"_s, number(state.produced))
           + row(u"stored by the gateway"_s, number(state.storedGateway))
           + row(u"stored by the cloud"_s, number(state.storedCloud)) + row(u"line to the cloud"_s, lineText(state))
           + row(u"oldest unsent"_s, oldest(state)) + row(u"batches waiting"_s, QString::number(state.waitingBatches))
           + row(u"sensor to cloud"_s, latency(state))
           + (state.revoked.isEmpty() ? QString() : row(u"revoked"_s, state.revoked))
           + (state.restarts == 0 ? QString() : row(u"started again"_s, QString::number(state.restarts)))
           + row(u""_s, state.note);
}

QString StatusBoard::line(const BoardState &state)
{
    return u"%1 s: %2 of %3 online; readings: %4 produced, %5 at the gateway, %6 in the cloud; line to the cloud %7; oldest unsent: %8"_s
               .arg(state.seconds, 0, 'f', 0)
               .arg(state.sensorsOnline)
               .arg(cli::counted(quint64(state.sensors), u"sensor"_s, u"sensors"_s))
               .arg(number(state.produced), number(state.storedGateway), number(state.storedCloud), lineText(state),
                    oldest(state))
           + (state.revoked.isEmpty() ? QString() : u"; revoked: %1"_s.arg(state.revoked))
           + (state.restarts == 0 ? QString() : u"; started again: %1"_s.arg(state.restarts)) + u'\n';
}

void StatusBoard::show(const BoardState &state)
{
    if (m_silent)
        return;
    if (m_isTerminal) {
        clear();
        const QString text = table(state);
        cli::printOut(text);
        m_drawnLines = int(text.count(u'\n'));
    } else if (state.seconds - m_lastLine >= kLineEvery) {
        m_lastLine = state.seconds;
        cli::printOut(line(state));
    }
}

void StatusBoard::say(const QString &text)
{
    if (m_silent)
        return;
    clear();
    cli::printOut(text + u'\n');
}

void StatusBoard::clear()
{
    if (m_drawnLines == 0)
        return;
    cli::printOut(u"\x1b[%1A\x1b[J"_s.arg(m_drawnLines)); // up, and clear to the end
    m_drawnLines = 0;
}

} // namespace lintel::demo
