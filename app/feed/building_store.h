// SPDX-License-Identifier: GPL-3.0-only
// Everything the console knows at this moment: devices, their points, last values, the recent
// past, the state of the connection. Knows nothing of networks; BuildingFeed fills it, the page
// models read it. GUI thread. Never fails: what makes no sense is ignored.
#pragma once

#include "domain/point.h"
#include "feed/admission.h"
#include "feed/sample_ring.h"
#include "ports/clock.h"
#include "sparkplug/host_session.h"

#include <QHash>
#include <QObject>

#include <optional>
#include <vector>

namespace lintel {

/// How far a value can be trusted now.
enum class Freshness {
    Never, // nothing was ever received
    Fresh,
    Recorded, // a recording is played back: true of its recorded time, not of now
    Stale,    // older than the point's staleAfter
    Silent,   // its device is offline, or the console has no connection: last known only
    Bad,      // the device itself says that the value is bad
};

struct PointState {
    Point point;
    int device = 0;
    std::optional<Reading> last;
    Timestamp lastAt{};                 // device time, or the time of arrival where the device's clock cannot be right
    std::optional<Timestamp> arrivedAt; // of the latest reading that came while this console listened
    SampleRing samples;
    bool everLate = false;

    /// Its readings are of another time on purpose: a recording that is played back. What lies between
    /// them and now is nothing that is missing.
    [[nodiscard]] bool isRecorded() const;
};

/// How a device stands with those who admit it, as its gateway tells. Nobody tells: Unknown.
struct DeviceIdentity {
    enum class State { Unknown, Valid, Overdue, Expired, Revoked, NotAdmitted, Refused };
    State state = State::Unknown;
    QString reason; // one sentence, or empty
    std::optional<Timestamp> since;

    [[nodiscard]] bool isAbnormal() const { return state != State::Unknown && state != State::Valid; }
    friend bool operator==(const DeviceIdentity &, const DeviceIdentity &) = default;
};

struct DeviceState {
    sparkplug::NodeId node;
    QString device; // Sparkplug device; empty = the node itself
    QString name;   // for people
    bool online = false;
    bool listedOnly = false;          // known from a device list; no birth yet
    bool isOnlyExpected = false;      // only somebody's word about its identity is known
    std::optional<Timestamp> heardAt; // it spoke itself while this console listened
    Timestamp since{};
    QList<int> points; // indices into BuildingStore::point()
    quint64 lostReadings = 0;
    std::optional<Timestamp> lastReading;
    DeviceIdentity identity;
};

struct LinkState {
    enum class Phase {
        Starting, // nothing was tried yet
        Connecting,
        Connected,
        Lost,    // was connected before
        Failed,  // has never been connected, and cannot be now
        Example, // offline mode: no building behind it
    };
    Phase phase = Phase::Starting;
    QString broker;   // "gateway.local:8883"
    QString sentence; // why not, what to do; when connected: what the broker refuses of it, else empty
    Timestamp since{};
    std::optional<Timestamp> nextTry;
};

/// What the called host says of its own buffer; nothing where it does not say.
struct CustodyState {
    std::optional<Timestamp> asOf;
    std::optional<quint64> pendingReadings;
    std::optional<Timestamp> oldestUnsent;
    std::optional<Millis> bufferRunway;
};

/// How long the building's identities hold without its uplink, its authority or a better clock, as
/// its gateway says.
struct BuildingTrust {
    QString gateway; // who says so
    Timestamp toldAt{};
    std::optional<std::chrono::seconds> runway; // from then on; nothing: no credential ends by that
    QString credential;                         // the one that ends first
    QString clock;                              // "trusted", "floor", "never set"; empty = not told
    QString group{};                            // its site; empty = not told

    [[nodiscard]] std::optional<Millis> left(Timestamp now) const;
    friend bool operator==(const BuildingTrust &, const BuildingTrust &) = default;
};

class BuildingStore : public QObject
{
    Q_OBJECT
public:
    explicit BuildingStore(const Clock &clock, QObject *parent = nullptr);

    // Filled by the feed.
    void applyBirth(const sparkplug::Participant &who);
    void applyDeath(const sparkplug::Participant &who);
    void applyBatch(const sparkplug::HostBatch &batch);
    /// What a list says of a device. A device that spoke itself since is believed more; one that is known
    /// only from a birth that somebody recorded may have died, or left without a word. The list's points
    /// are those of a device whose birth was not seen: it is offline, and its history can be charted.
    void applyListed(const sparkplug::NodeId &node, const QString &device, bool online, Timestamp since,
                     const QList<Point> &points = {});
    /// The latest stored reading of a point, told by the host; of a device known by its name in the group.
    void applyStored(const QString &group, const QString &name, const Reading &reading);
    void applyHistory(int point, const std::vector<Sample> &samples);
    void setLink(const LinkState &link);
    void setCustody(const CustodyState &custody);
    /// What a gateway says of the identity of a device in its group. A device that nobody has heard of
    /// appears when there is something wrong with it: somebody waits for it.
    void applyIdentity(const QString &group, const QString &name, const DeviceIdentity &identity);
    /// Of each gateway the latest word counts. One whose site is not told is the only one known of its name;
    /// where sites have gateways of the same name, it is ignored.
    void setTrust(const BuildingTrust &trust);
    /// Nothing: no gateway tells now.
    /// Of each source the latest word counts.
    void setAdmission(const Admission &admission);
    /// It has nothing to tell of admission: it is no gateway.
    void removeAdmission(const QString &source);
    void applyTrust(const sparkplug::Participant &who);
    void setIdentityExpiry(std::optional<Timestamp> notAfter);

    // Read by the models.
    [[nodiscard]] const Clock &clock() const { return m_clock; }
    [[nodiscard]] int deviceCount() const { return int(m_devices.size()); }
    [[nodiscard]] int pointCount() const { return int(m_points.size()); }
    /// Whether anybody plays a recording.
    [[nodiscard]] bool hasRecordings() const;
    [[nodiscard]] const DeviceState &device(int index) const { return m_devices[std::size_t(index)]; }
    [[nodiscard]] const PointState &point(int index) const { return m_points[std::size_t(index)]; }
    [[nodiscard]] Freshness freshness(const PointState &state, Timestamp now) const;
    /// True when the last values shown are not those of the present: no connection.
    [[nodiscard]] bool isCut() const;
    [[nodiscard]] const LinkState &link() const { return m_link; }
    [[nodiscard]] const CustodyState &custody() const { return m_custody; }
    /// The one that ends first, of all gateways that tell; of several ends none, if it says so, the last.
    [[nodiscard]] const BuildingTrust *trust() const;
    /// In the order of their ends.
    [[nodiscard]] const std::vector<BuildingTrust> &trusts() const { return m_trusts; }
    /// What a gateway says of itself; null for everybody else.
    [[nodiscard]] const BuildingTrust *trustOf(const DeviceState &device) const;
    /// Whose it is, where several gateways tell: its site, or site and gateway; else empty.
    [[nodiscard]] QString ownerOf(const BuildingTrust &trust) const;
    /// In the order of their sites.
    [[nodiscard]] const QList<Admission> &admissions() const { return m_admissions; }
    /// What to call a source where there are several: its site, with the gateway where a site has two.
    [[nodiscard]] QString ownerOf(const Admission &admission) const;
    [[nodiscard]] std::optional<Timestamp> identityExpiry() const { return m_identityExpiry; }
    [[nodiscard]] std::optional<Timestamp> lastMessage() const { return m_lastMessage; }
    [[nodiscard]] quint64 readingCount() const { return m_readings; }

    /// A point on a chart keeps a day of one-second samples instead of an hour's.
    void watch(int point);
    void unwatch(int point);

Q_SIGNALS:
    void deviceAdded(int device);
    /// State, place or point list.
    void deviceChanged(int device);
    void pointAdded(int point);
    void valueChanged(int point);
    void samplesChanged(int point);
    void linkChanged();
    void custodyChanged();
    void trustChanged();
    void admissionChanged();

private:
    int deviceIndex(const sparkplug::NodeId &node, const QString &device);
    int pointIndex(int device, const QString &id);
    [[nodiscard]] QStringList sitesWith(const QString &node) const;
    void describe(int device, const QList<Point> &points);
    void applyReading(int device, const Reading &reading, bool fromBirth, Timestamp now);

    const Clock &m_clock;
    std::vector<DeviceState> m_devices;
    std::vector<PointState> m_points;
    QHash<std::pair<sparkplug::NodeId, QString>, int> m_deviceByKey;
    QHash<std::pair<int, QString>, int> m_pointByKey;
    LinkState m_link;
    CustodyState m_custody;
    std::vector<BuildingTrust> m_trusts;
    QList<Admission> m_admissions;
    std::optional<Timestamp> m_identityExpiry;
    std::optional<Timestamp> m_lastMessage;
    quint64 m_readings = 0;
};

} // namespace lintel
