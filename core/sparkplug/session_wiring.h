// What both kinds of session hear from their transport, in one place. Private to the sessions.
#pragma once

#include "ports/mqtt_transport.h"

namespace lintel::sparkplug {

/// `d` is the session's private part and lives as long as it.
template <class Session, class Private>
void listenTo(MqttTransport &transport, Session *session, Private *d)
{
    QObject::connect(&transport, &MqttTransport::connected, session, [d] { d->onConnected(); });
    QObject::connect(&transport, &MqttTransport::disconnected, session, [d] { d->onDisconnected(); });
    QObject::connect(&transport, &MqttTransport::stateChanged, session,
                     [d](MqttTransport::State state) { d->onTransportState(state); });
    QObject::connect(&transport, &MqttTransport::messageReceived, session,
                     [d](const MqttMessage &message) { d->onMessage(message); });
    QObject::connect(&transport, &MqttTransport::subscriptionRefused, session,
                     [d](const QString &filter, const Error &why) {
                         d->refused.insert(filter, why.message);
                         d->report(why);
                     });
}

} // namespace lintel::sparkplug
