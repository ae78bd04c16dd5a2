// An edge node session with readings to give that hears arbitrary commands and STATE messages. The
// first bytes of each chunk choose what it is, its length and how much time passes; the rest is the
// payload. Whatever comes: nothing is acknowledged that was not sent.
#include "domain/topic.h"
#include "fakes/fake_clock.h"
#include "fakes/memory_spool.h"
#include "fakes/memory_state_store.h"
#include "fakes/scripted_transport.h"
#include "sparkplug/edge_node_session.h"
#include "sparkplug/state_message.h"

#include <cstdlib>

using namespace lintel;
using namespace lintel::sparkplug;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

void append(MemorySpool &spool, const FakeClock &clock)
{
    Reading reading;
    reading.point = QStringLiteral("t");
    reading.value = 1.0;
    reading.deviceTime = clock.now();
    const IncomingBatch incoming{{QStringLiteral("n"), {reading}, {}}, std::nullopt};
    require(bool(spool.append({&incoming, 1})));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FakeClock clock;
    ScriptedTransport transport;
    // The stream that the corpus acknowledges.
    MemorySpool spool({}, QUuid::fromString(QStringLiteral("12345678-1234-4234-8234-123456789abc")));
    MemoryStateStore state;
    EdgeNodeConfig config;
    config.group = QStringLiteral("g");
    config.node = QStringLiteral("n");
    config.primaryHost = QStringLiteral("host");
    EdgeNodeSession session(config, clock, transport, spool, state);
    Point point;
    point.id = QStringLiteral("t");
    session.setNodePoints({point});
    session.start();
    transport.accept();
    while (size >= 3) {
        const uint8_t control = data[0];
        const size_t length = std::min<size_t>(size_t(data[1]) * 4, size - 3);
        const QByteArray payload(reinterpret_cast<const char *>(data + 3), qsizetype(length));
        const QString device = QStringLiteral("d");
        switch (control % 4) {
        case 0: transport.bring({toString(StateTopic{config.primaryHost}), payload, 1, (control & 4) != 0}); break;
        case 1:
            transport.bring(
                {toString(SparkplugTopic{config.group, SparkplugVerb::NCmd, config.node, {}}), payload, 0, false});
            break;
        case 2:
            transport.bring(
                {toString(SparkplugTopic{config.group, SparkplugVerb::DCmd, config.node, device}), payload, 0, false});
            break;
        case 3:
            transport.bring({toString(StateTopic{config.primaryHost}), encodeState({true, clock.now()}), 1, true});
            append(spool, clock);
            session.pump();
            break;
        }
        clock.advance(Millis(data[2] * 100));
        session.tick();
        const SpoolStatus status = spool.status();
        require(status.acknowledged <= status.head);
        if (control == 0xFF) {
            transport.drop();
            transport.accept();
        }
        data += 3 + length;
        size -= 3 + length;
    }
    (void)session.status();
    return 0;
}
