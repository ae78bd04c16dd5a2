// Mosquitto's side of the plugin: its C interface (version 5), and nothing else. Everything runs on
// the broker's one thread.
#include "broker-plugin/plugin_service.h"
#include "mqtt/broker_tls_gate.h"
#include "ports/boot_clock.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#include <exception>
#include <memory>

namespace {

using namespace lintel;
using namespace lintel::broker;
using namespace Qt::StringLiterals;
using mqtt::BrokerTlsGate;

void logLine(int level, const QString &sentence)
{
    mosquitto_log_printf(level, "lintel: %s", sentence.toUtf8().constData());
}

struct Plugin {
    explicit Plugin(PluginOptions options)
        : service(
            std::move(options), clock, [](const QString &line) { logLine(MOSQ_LOG_NOTICE, line); },
            BrokerTlsGate::useIdentity)
    {}

    BootClock clock;
    PluginService service;
};

std::unique_ptr<Plugin> thePlugin;

QString addressOf(const mosquitto *client)
{
    const char *address = mosquitto_client_address(client);
    return address ? QString::fromLatin1(address) : u"a client"_s;
}

Result<std::any> verifyInHandshake(const QList<QByteArray> &chainDer, const QString &from)
{
    if (!thePlugin)
        return Error{Errc::Unavailable, u"The plugin is not ready."_s};
    auto peer = thePlugin->service.guard().verifyChain(chainDer, from, thePlugin->service.now().time);
    if (!peer)
        return peer.error();
    return std::any(*peer);
}

int onConnect(int, void *data, void *)
{
    const auto *event = static_cast<mosquitto_evt_basic_auth *>(data);
    const std::any verified = BrokerTlsGate::takeVerified(mosquitto_client_certificate(event->client));
    const auto *peer = std::any_cast<Peer>(&verified);
    const char *clientId = mosquitto_client_id(event->client);
    const auto admitted = thePlugin->service.guard().connect(event->client, peer ? std::optional(*peer) : std::nullopt,
                                                             clientId ? clientId : "", addressOf(event->client),
                                                             thePlugin->service.now());
    if (!admitted)
        return MOSQ_ERR_AUTH;
    const int named = mosquitto_set_username(event->client, peer->id.toString().toUtf8().constData());
    if (named != MOSQ_ERR_SUCCESS)
        thePlugin->service.guard().disconnected(event->client);
    return named == MOSQ_ERR_SUCCESS ? MOSQ_ERR_SUCCESS : MOSQ_ERR_AUTH;
}

int onTopic(int, void *data, void *)
{
    const auto *event = static_cast<mosquitto_evt_acl_check *>(data);
    Action action = Action::Publish;
    switch (event->access) {
    case MOSQ_ACL_WRITE: break;
    case MOSQ_ACL_READ: action = Action::Receive; break;
    case MOSQ_ACL_SUBSCRIBE: action = Action::Subscribe; break;
    case MOSQ_ACL_UNSUBSCRIBE: return MOSQ_ERR_SUCCESS; // gives nobody anything
    default: return MOSQ_ERR_ACL_DENIED;
    }
    const bool allowed =
        event->topic
        && thePlugin->service.guard().mayAct(event->client, mosquitto_client_username(event->client), action,
                                             event->topic, thePlugin->service.now(), event->retain);
    return allowed ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
}

int onDisconnect(int, void *data, void *)
{
    thePlugin->service.guard().disconnected(static_cast<mosquitto_evt_disconnect *>(data)->client);
    return MOSQ_ERR_SUCCESS;
}

int onTick(int, void *, void *)
{
    const QList<Kick> kicks = thePlugin->service.tick();
    for (const Kick &kick : kicks) {
        // With its will: the others must see that it is gone.
        (void)mosquitto_kick_client_by_clientid(kick.clientId.c_str(), true);
        thePlugin->service.guard().kicked(kick);
    }
    return MOSQ_ERR_SUCCESS;
}

int onReload(int, void *, void *)
{
    thePlugin->service.reload();
    return MOSQ_ERR_SUCCESS;
}

/// Mosquitto is C: no exception may reach it, and one here refuses what was asked.
template <auto Callback>
int guarded(int event, void *data, void *user)
{
    try {
        return thePlugin ? Callback(event, data, user) : int(MOSQ_ERR_ACL_DENIED);
    } catch (const std::exception &problem) {
        logLine(MOSQ_LOG_ERR, u"Refused after an internal error: %1"_s.arg(QString::fromUtf8(problem.what())));
        return MOSQ_ERR_ACL_DENIED;
    }
}

Result<void> startPlugin(mosquitto_plugin_id_t *id, const mosquitto_opt *options, int count)
{
    QList<std::pair<QString, QString>> given;
    for (int i = 0; i < count; ++i)
        given.append({QString::fromUtf8(options[i].key), QString::fromUtf8(options[i].value)});
    auto parsed = parsePluginOptions(given);
    if (!parsed)
        return parsed.error();
    if (auto hooked = BrokerTlsGate::install(verifyInHandshake); !hooked)
        return hooked;
    auto plugin = std::make_unique<Plugin>(std::move(*parsed));
    if (auto started = plugin->service.start(); !started)
        return started;
    struct Registration {
        int event;
        MOSQ_FUNC_generic_callback callback;
    };
    constexpr Registration registrations[] = {{MOSQ_EVT_BASIC_AUTH, guarded<onConnect>},
                                              {MOSQ_EVT_ACL_CHECK, guarded<onTopic>},
                                              {MOSQ_EVT_DISCONNECT, guarded<onDisconnect>},
                                              {MOSQ_EVT_TICK, guarded<onTick>},
                                              {MOSQ_EVT_RELOAD, guarded<onReload>}};
    for (const auto &[event, callback] : registrations)
        if (mosquitto_callback_register(id, event, callback, nullptr, nullptr) != MOSQ_ERR_SUCCESS)
            return Error{Errc::Unsupported,
                         u"Mosquitto does not offer event %1; use version 2.0.11 or newer."_s.arg(event)};
    thePlugin = std::move(plugin);
    return {};
}
} // namespace

extern "C" {

Q_DECL_EXPORT int mosquitto_plugin_version(int count, const int *versions)
{
    for (int i = 0; i < count; ++i)
        if (versions[i] == MOSQ_PLUGIN_VERSION)
            return MOSQ_PLUGIN_VERSION;
    return -1;
}

Q_DECL_EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **, mosquitto_opt *options, int count)
{
    try {
        const auto started = startPlugin(id, options, count);
        if (started)
            return MOSQ_ERR_SUCCESS;
        logLine(MOSQ_LOG_ERR, u"The broker does not start: %1"_s.arg(started.error().message));
    } catch (const std::exception &problem) {
        logLine(MOSQ_LOG_ERR, u"The broker does not start: %1"_s.arg(QString::fromUtf8(problem.what())));
    }
    return MOSQ_ERR_INVAL;
}

Q_DECL_EXPORT int mosquitto_plugin_cleanup(void *, mosquitto_opt *, int)
{
    BrokerTlsGate::removeVerifier(); // OpenSSL may still call the gate
    if (thePlugin)
        thePlugin->service.stop();
    thePlugin.reset();
    return MOSQ_ERR_SUCCESS;
}

} // extern "C"
