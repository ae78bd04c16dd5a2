// The library's side of a PahoLink: what it is given to call, and how a call finds its link. Private
// to PahoLink. The callbacks run on the library's threads and never block.
#pragma once

#include "mqtt/paho_link.h"

#include <MQTTAsync.h>

namespace lintel {

/// What the library is given as context is a number and never an address: a callback that comes
/// late finds nothing, and does nothing.
struct PahoCallbacks {
    [[nodiscard]] static quintptr enrol(const std::shared_ptr<PahoLink> &link);
    static void strike(quintptr key);
    [[nodiscard]] static void *contextOf(quintptr key) { return reinterpret_cast<void *>(key); }

    // Of a connection; the context is the link's own number.
    static void connected(void *context, MQTTAsync_successData5 *data);
    static void connectFailed(void *context, MQTTAsync_failureData5 *data);
    static void connectionLost(void *context, char *cause);
    static void serverDisconnected(void *context, MQTTProperties *properties, MQTTReasonCodes reason);
    static int messageArrived(void *context, char *topic, int topicLength, MQTTAsync_message *message);
    static void disconnected(void *context, MQTTAsync_successData5 *data);
    static void disconnectFailed(void *context, MQTTAsync_failureData5 *data);

    // Of a message or a subscription; the context is its number.
    static void delivered(void *context, MQTTAsync_successData5 *data);
    static void notDelivered(void *context, MQTTAsync_failureData5 *data);
    static void subscribeFailed(void *context, MQTTAsync_failureData5 *data);

private:
    [[nodiscard]] static std::shared_ptr<PahoLink> find(void *context);
    static void finishDelivery(void *context);
};

/// A reason code of MQTT 5 in words.
[[nodiscard]] QString pahoReasonText(int reasonCode);

} // namespace lintel
