// SPDX-License-Identifier: GPL-3.0-only
// Who asks to come in and is not let in, as a gateway tells: devices that wait for a person's approval at its
// authority, and clients whose certificates its broker refused. Values only; any thread.
#pragma once

#include "domain/timestamp.h"

#include <QList>
#include <QString>

#include <optional>

namespace lintel {

/// Nobody has enrolled it. All that is known is what its chip proves.
struct WaitingDevice {
    QString ekHash; // lower-case hexadecimal SHA-256 of its endorsement key
    QString maker;  // of its chip, by a verified certificate; empty: not known
    std::optional<Timestamp> firstSeen;
    std::optional<Timestamp> lastSeen; // with address and attempts since the authority started
    QString address;
    quint64 attempts = 0;
    friend bool operator==(const WaitingDevice &, const WaitingDevice &) = default;
};

struct RefusedCertificate {
    QString who;           // SPIFFE ID as far as known, else client id or address
    bool isProved = false; // by a verified certificate; otherwise only the client says so
    QString from;          // address
    QString reason;        // one sentence
    std::optional<Timestamp> first;
    std::optional<Timestamp> last;
    quint64 count = 0;
    friend bool operator==(const RefusedCertificate &, const RefusedCertificate &) = default;
};

struct Admission {
    QString source;                       // whom the console asked: one answer counts for each
    QString gateway;                      // its name
    QString site;                         // that it reports for; empty: not told
    bool answers = true;                  // now; if not, nothing else stands here but since when
    std::optional<Timestamp> answeredAt;  // when it answered last; nothing: never
    bool tellsOfWaiting = false;          // its authority is asked at all
    std::optional<Timestamp> waitingAsOf; // when the authority answered last; nothing: never
    QString waitingProblem;               // why it does not answer now, a sentence
    QList<WaitingDevice> waiting;         // those that came last first
    quint64 waitingTotal = 0;             // also those that have no room in the list
    bool tellsOfRefused = false;          // its broker has the plugin
    QList<RefusedCertificate> refused;    // those of now first
    friend bool operator==(const Admission &, const Admission &) = default;
};

} // namespace lintel
