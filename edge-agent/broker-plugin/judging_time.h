// The time by which the plugin judges certificates. The wall clock alone will not do: set back, it brings expired
// certificates to life.
//
// A session that was let in ends when as much time has passed as its certificate then had left, on a clock that
// nobody sets and that counts suspends (Moment::running). For who may come in, two floors hold under the wall clock,
// both carried on by that clock:
//  - Signed time: the start of the broker's own certificate and the date of its domain's deny list. The gateway
//    renews the certificate at half its life, so this floor is minutes behind the true time at most once one was
//    renewed, and lies on disk for the next start. A new certificate replaces it, downwards too: the word of an
//    authority whose own clock was wrong goes with the certificate that it gave. A list's date counts only before the
//    end of the broker's certificate: it stays on disk, and one of an authority whose clock was days ahead would lock
//    out everybody, again at each start; while no client would take the broker for good at such a time. Another
//    domain's material does not count, for no domain may lock out another's members.
//  - The wall clock as it was before it went back. It may have gone back because it was wrong before (a year ahead,
//    then NTP), and then this floor locks out everybody who is good. So it is dropped when a new certificate tells the
//    time; as soon as it lies beyond the end of the broker's certificate, since no client would take the broker for
//    good at such a time; and in any case after kBelieveBefore. By then, signed time holds alone.
// A clock that is ahead ends sessions early and refuses, until it is right again: that is the safe side.
//
// A broker without `certificate` in its options has no signed time: against a clock that was set back for
// longer than kBelieveBefore, it is only safe for sessions that were let in before.
//
// Owned by PluginService; one thread. Cannot fail.
#pragma once

#include "domain/timestamp.h"
#include "ports/clock.h"

#include <QString>

#include <chrono>
#include <functional>
#include <optional>

namespace lintel::broker {

struct Moment {
    Timestamp time{};  // what certificates are judged by
    Millis running{0}; // since the machine started; never jumps and counts suspends
};

class JudgingTime
{
public:
    static constexpr Millis kBelieveBefore = std::chrono::hours{1};

    /// `clock.monotonic()` counts suspends (BootClock). `clock` outlives this.
    JudgingTime(const Clock &clock, std::function<void(const QString &sentence)> log);

    /// To be asked often: what the wall clock said in between is not known.
    [[nodiscard]] Moment now();

    /// The life of the certificate that the broker shows from now on.
    void takeCertificate(Timestamp notBefore, Timestamp notAfter);
    /// Something else that the broker's own authority signed at `time`.
    void takeSigned(Timestamp time);

private:
    using Running = std::chrono::nanoseconds; // rounded, a mark would run ahead of the clock by a millisecond
    struct Mark {
        Timestamp time{};
        Running running{};
        [[nodiscard]] Timestamp at(Running later) const { return time + std::chrono::floor<Millis>(later - running); }
    };

    [[nodiscard]] bool isAfterTheCertificate(Timestamp time) const;
    [[nodiscard]] bool mayHaveBeenAhead(Running running) const;
    void believe(Mark wall);

    const Clock &m_clock;
    std::function<void(const QString &sentence)> m_log;
    std::optional<Mark> m_wall; // the latest that the wall clock was
    std::optional<Running> m_backSince;
    std::optional<Mark> m_start;  // of the certificate
    std::optional<Mark> m_listed; // the latest of what else was signed
    std::optional<std::pair<Timestamp, Timestamp>> m_certificate;
    bool m_isTold = false;
};

} // namespace lintel::broker
