// SPDX-License-Identifier: GPL-3.0-only
// What the console asks of a gateway or the cloud by capability calls, and how it reads the
// answers; the keys stand here and nowhere else in the console. What does not fit is left out,
// never guessed. Values only; any thread.
#pragma once

#include "feed/building_store.h"

#include <QCborMap>

#include <deque>
#include <optional>
#include <vector>

namespace lintel {

namespace method {
[[nodiscard]] QString readBirths();
[[nodiscard]] QString listDevices();
[[nodiscard]] QString lastValues();
[[nodiscard]] QString status();
[[nodiscard]] QString queryHistory();
} // namespace method

[[nodiscard]] QList<sparkplug::RecordedBirth> birthsFrom(const QCborMap &answer);

struct ListedDevice {
    sparkplug::NodeId node;
    QString device; // Sparkplug device; empty = the node itself
    bool online = false;
    Timestamp since{};
    QList<Point> points;
    std::optional<DeviceIdentity> identity; // "identity": {state, sentence, since}, where the host tells
};
[[nodiscard]] QList<ListedDevice> devicesFrom(const QCborMap &answer, Timestamp now);

/// The latest reading of a point, of devices that are offline, too.
struct ListedValue {
    QString group;
    QString device; // its name, whichever node it is behind
    Reading reading;
};
[[nodiscard]] QList<ListedValue> valuesFrom(const QCborMap &answer);

/// What a gateway's `status` says of identities. "refused": [{group, device, state, sentence, since}], whom
/// its broker or its authority refuses; "agent_identities": {name: {connected, expires, last_accepted}},
/// what its broker saw: who is gone and has a certificate that has ended since waits for a new one.
struct ToldIdentity {
    QString group; // empty: the gateway's own
    QString device;
    DeviceIdentity identity;
};
[[nodiscard]] QList<ToldIdentity> identitiesFrom(const QCborMap &status, Timestamp now);
/// The gateway's own identity report; nothing where it gives none. `gateway` is its name.
[[nodiscard]] std::optional<BuildingTrust> trustFrom(const QCborMap &status, const QString &gateway, Timestamp now);
[[nodiscard]] std::optional<DeviceIdentity> ownIdentityFrom(const QCborMap &status);

/// "waiting": {as_of, total, devices: [{ek_hash, maker, first_seen, last_seen, address, attempts}], problem}
/// and "refused_certificates": [{who, proved, from, cause, sentence, first, last, count}] of a gateway's
/// `status`, kMostListed of each; nothing where it has neither.
inline constexpr int kMostListed = 100;
/// "site": which one a gateway reports for; empty where it does not say.
[[nodiscard]] QString siteFrom(const QCborMap &status);
[[nodiscard]] std::optional<Admission> admissionFrom(const QCborMap &status, const QString &gateway);

struct HistoryQuestion {
    QString group;
    QString device;
    QString point;
    Timestamp from{};
    Timestamp to{};

    /// Seconds a bucket; 0 = every reading, for windows up to an hour.
    [[nodiscard]] int bucketSeconds() const;
    [[nodiscard]] QCborMap arguments() const;
};
/// Readings as samples, buckets as two samples each: the smallest and the largest; late
/// when one reading of the bucket was.
[[nodiscard]] std::vector<Sample> samplesFrom(const QCborMap &answer, const HistoryQuestion &question);

/// Reads `status` answers and says how long the buffer lasts if nothing is acknowledged any more: free
/// room by what was written in the last minutes. Known as soon as two answers saw something written
/// between them, whether or not anything waits.
class BufferEstimate
{
public:
    CustodyState update(const QCborMap &status, Timestamp now);

private:
    struct Sample {
        Timestamp at{};
        qint64 written = 0;
    };
    void note(Sample sample);
    /// Bytes a millisecond; nothing while nothing was seen.
    [[nodiscard]] std::optional<double> rate() const;

    std::deque<Sample> m_samples; // of the last minutes
};

} // namespace lintel
