// The short table that a running demo shows on standard output: refreshed in place on a terminal,
// a line now and then otherwise. Thread: its owner's.
#pragma once

#include <QString>

#include <optional>

namespace lintel::demo {

/// The gateway's line to the cloud.
enum class LineState { Unknown, Up, Cut, Reconnecting };

struct BoardState {
    double seconds = 0;
    int sensors = 0;
    int sensorsOnline = 0;
    std::optional<quint64> produced; // ever accepted by the sensors' spools, as far as they tell
    std::optional<quint64> storedGateway;
    std::optional<quint64> storedCloud;
    std::optional<quint64> pendingAtGateway;
    std::optional<double> oldestUnsentSeconds;
    LineState line = LineState::Unknown;
    quint64 waitingBatches = 0; // at sensors and the gateway, as far as they tell
    QString revoked;            // "energy-002, out after 40 ms"; empty: nobody
    int restarts = 0;           // of processes that had died
    std::optional<qint64> latencyP50;
    std::optional<qint64> latencyP99;
    QString note;
};

class StatusBoard
{
public:
    /// Silent: with --json nothing but the final object is written.
    explicit StatusBoard(bool silent);

    /// At most one a second on a terminal, one every five seconds otherwise.
    void show(const BoardState &state);
    /// A line that stays.
    void say(const QString &text);
    /// Takes the table off the terminal: the account that follows has later figures.
    void clear();

    [[nodiscard]] static QString table(const BoardState &state);
    [[nodiscard]] static QString line(const BoardState &state);

private:
    bool m_silent;
    bool m_isTerminal;
    int m_drawnLines = 0;
    double m_lastLine = -1e9;
};

} // namespace lintel::demo
