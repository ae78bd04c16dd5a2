// What a host knows of one node: its births, the order of its messages, and how a DATA message is
// read with them. Values and pure functions, without I/O; HostSession owns them.
#pragma once

#include "domain/topic.h"
#include "sparkplug/host_session.h"

#include <chrono>
#include <deque>
#include <map>

namespace lintel::sparkplug {

using Nanos = std::chrono::nanoseconds;

struct MetricDefinition {
    QString name;
    DataType type = DataType::Unknown;
    int point = -1; // index in Participant::points; -1 = no measurement
};

/// A node or a device, as its last birth describes it.
struct HostEntity {
    Participant who;
    bool hasBirth = false;
    QList<MetricDefinition> metrics;
    QHash<quint64, int> byAlias; // index in metrics
    QHash<QString, int> byName;
    RecordedBirth birth;
    std::optional<Timestamp> birthTime;
    std::optional<Nanos> birthDue; // after a new NBIRTH: the device is gone unless its DBIRTH comes by then
};

/// A message that waits for those before it.
struct HeldMessage {
    SparkplugVerb verb = SparkplugVerb::NData;
    QString device;
    Payload payload;
    QString topic;
    QByteArray bytes;
};

struct HostNode {
    HostEntity self;
    std::map<QString, HostEntity> devices;
    std::optional<quint64> bdSeq;
    std::optional<quint8> expected;     // next seq; nothing = whatever comes
    std::map<quint8, HeldMessage> held; // by seq
    Nanos heldSince{};
    std::deque<std::pair<quint8, size_t>> recent; // seq and hash of what was delivered: repetitions are dropped
    std::optional<Nanos> diesAt;                  // death certificate came; a birth until then makes it a reconnection
    std::optional<Nanos> lastRequest;             // for a rebirth
    bool rebirthWanted = false;
    std::optional<Nanos> verifyBy; // we were away, or it is silent: it has to show itself until then
    bool asked = false;
    bool isSilent = false; // verifyBy stands for that reason; then any word of it will do
    Nanos lastHeard{};

    [[nodiscard]] HostEntity *entity(const QString &device);
};

struct LearnedBirth {
    QList<Reading> values;
    std::optional<Error> error; // the spool's offer could not be used; the rest was
};

/// Fills points, metrics and the spool's offer from a birth.
[[nodiscard]] LearnedBirth learn(HostEntity &entity, const Payload &birth, Timestamp now);

/// Marks the message as seen; false when exactly it was seen a moment ago.
[[nodiscard]] bool isNew(HostNode &node, quint8 seq, const QByteArray &bytes);

struct DecodedData {
    ReadingBatch batch;
    std::optional<Msn> msn;
    std::optional<Msn> tail;
    bool trustChanged = false;    // in HostNode::self.who
    int unexplained = 0;          // metrics that no birth explains
    std::optional<Error> error;   // the last value that could not be used; its loss stands in the batch
    std::optional<Error> refusal; // numbers that no store can take: the whole message must be refused
};

/// Reads DATA with the births of its device and of its node. Metrics by name are understood even
/// without a birth, as far as they carry their data type.
[[nodiscard]] DecodedData decodeData(HostNode &node, const QString &device, const Payload &payload, Timestamp now);

} // namespace lintel::sparkplug
