// A host session that is fed with arbitrary messages, its own STATE among them. The first bytes of each
// chunk choose the verb, the device, the length and how much time passes; the rest is the payload.
#include "domain/topic.h"
#include "fakes/fake_clock.h"
#include "fakes/scripted_transport.h"
#include "sparkplug/host_session.h"

using namespace lintel;
using namespace lintel::sparkplug;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FakeClock clock;
    ScriptedTransport transport;
    HostConfig config;
    config.hostId = QStringLiteral("host");
    HostSession host(config, clock, transport);
    host.start();
    transport.accept();
    constexpr SparkplugVerb verbs[] = {SparkplugVerb::NBirth, SparkplugVerb::DBirth, SparkplugVerb::NData,
                                       SparkplugVerb::DData,  SparkplugVerb::NDeath, SparkplugVerb::DDeath};
    while (size >= 3) {
        const uint8_t control = data[0];
        const size_t length = std::min<size_t>(size_t(data[1]) * 4, size - 3);
        const auto verb = verbs[control % std::size(verbs)];
        const bool ofDevice =
            verb == SparkplugVerb::DBirth || verb == SparkplugVerb::DData || verb == SparkplugVerb::DDeath;
        const QString device = ofDevice ? QStringLiteral("d%1").arg(control & 1) : QString();
        const SparkplugTopic topic{QStringLiteral("g"), verb, QStringLiteral("n"), device};
        const QString name = control % 16 == 15 ? lintel::toString(StateTopic{config.hostId}) : lintel::toString(topic);
        transport.bring(
            {name, QByteArray(reinterpret_cast<const char *>(data + 3), qsizetype(length)), 0, control % 16 == 15});
        clock.advance(Millis(data[2] * 100));
        host.tick();
        if (control == 0xFF) {
            transport.drop();
            transport.accept();
        }
        data += 3 + length;
        size -= 3 + length;
    }
    (void)host.participants();
    (void)host.births();
    return 0;
}
