// Whether the wall clock may be believed. A clock that jumps ahead makes keys, roots and denials look as if they
// were over, and what was destroyed because of that does not come back when the clock does.
//
// Seen while it runs, or after a restart without a new start of the machine, a jump is none of time: now() goes on
// from the last good time by what has passed on the monotonic clock. After a new start of the machine nothing
// tells a jump from a long absence, so now() is the wall clock, and not sure. Either way the wall clock is sure
// once it has run as steadily as the monotonic one for an hour, or when somebody accepts it.
//
// A wall clock that agrees with the last good time after a new start of the machine, and that of a new state, is sure
// at once, but on trial for its first hour: a machine without a clock of its own begins with the time at which it
// was switched off, or with that of its image, until the network sets it. now() follows such a step.
//
// Owned by Authority. look(), accept() and begin() on its thread; the rest on any.
#pragma once

#include "ports/clock.h"

#include <QMutex>
#include <QString>

#include <optional>

namespace lintel::authority {

/// A time that was sure, and when it was by the monotonic clock of which start of the machine.
struct ClockMark {
    Timestamp wall{};
    std::optional<std::chrono::nanoseconds> monotonic; // not known: only the time
    QString bootId;

    [[nodiscard]] QString toText() const;
    /// Nothing when it is no such text.
    [[nodiscard]] static std::optional<ClockMark> parse(const QString &text);
};

class ClockWatch final : public Clock
{
public:
    static constexpr std::chrono::minutes kTolerance{15}; // a clock is set by as much every day
    static constexpr std::chrono::hours kSteady{1};

    enum class State {
        Sure,
        Waiting, // since the machine's start, or a step on trial: it may have been off
        Behind,  // the same, and it was later already
        Jumped,  // ahead or back, and now() does not follow
    };
    struct Reading {
        Timestamp now{};
        State state = State::Sure;

        [[nodiscard]] bool isSure() const { return state == State::Sure; }
    };

    /// `clock` outlives this. Its monotonic time begins with the machine, and goes on while it is suspended. It is
    /// taken to be right, on trial, until begin().
    explicit ClockWatch(const Clock &clock);
    /// With what was sure last, before this process began.
    void begin(const ClockMark &last, const QString &bootId);
    /// Call once a minute. `mayBecomeSure`: nothing speaks against taking the wall clock over.
    Reading look(bool mayBecomeSure);
    /// Somebody says that the wall clock is right.
    void accept();
    /// Nobody has anything to lose by the wall clock: it is taken to be right, on trial.
    void startOver();

    [[nodiscard]] Reading reading() const;
    [[nodiscard]] Timestamp now() const override { return reading().now; }
    [[nodiscard]] std::chrono::nanoseconds monotonic() const override { return m_clock.monotonic(); }
    /// Whatever it says.
    [[nodiscard]] Timestamp wall() const { return m_clock.now(); }
    /// What is not sure, and what becomes of it; empty when all is.
    [[nodiscard]] QString sentence(bool mayBecomeSure) const;
    /// What the next process begins with. It names the machine's start only once the clock is no longer on trial.
    [[nodiscard]] ClockMark mark(const QString &bootId) const;
    [[nodiscard]] bool isOnTrial() const;

private:
    struct Anchor {
        Timestamp wall{};
        std::chrono::nanoseconds monotonic{};

        [[nodiscard]] Timestamp at(std::chrono::nanoseconds later) const
        {
            return wall + std::chrono::floor<Millis>(later - monotonic);
        }
        [[nodiscard]] bool agreesWith(const Anchor &other) const;
    };
    [[nodiscard]] Anchor see() const { return {m_clock.now(), m_clock.monotonic()}; }
    [[nodiscard]] Reading judge(const Anchor &seen) const; // with the mutex
    void follow(const Anchor &seen, bool mayBecomeSure);   // with the mutex

    const Clock &m_clock;
    mutable QMutex m_mutex; // guards what follows
    std::optional<Anchor> m_good;
    bool m_isOnTrial = true;       // m_good has not been steady for kSteady yet
    std::optional<Anchor> m_last;  // what was sure before that, put at this process's start
    std::optional<Anchor> m_doubt; // since when the wall clock has been steady without being sure
};

} // namespace lintel::authority
