#include "fakes/mosquitto_client.h"

#include <QElapsedTimer>

#include <csignal>
#include <mosquitto.h>
#include <mutex>
#include <stdexcept>
#include <sys/socket.h>

namespace lintel::test {

namespace {
constexpr int kAnswerMillis = 15'000;

void check(int code)
{
    if (code != MOSQ_ERR_SUCCESS)
        throw std::runtime_error(mosquitto_strerror(code));
}
} // namespace

struct MosquittoClient::Callbacks {
    static MosquittoClient &of(void *object) { return *static_cast<MosquittoClient *>(object); }
    static void answer(void *object, int code)
    {
        of(object).m_answered = true;
        of(object).m_answer = code;
    }
    static void connected(mosquitto *, void *object, int code, int, const mosquitto_property *)
    {
        of(object).m_connected = code == 0;
        answer(object, code);
    }
    static void ended(mosquitto *, void *object, int code, const mosquitto_property *)
    {
        of(object).m_connected = false;
        of(object).m_ended = true;
        of(object).m_endReason = code;
    }
    static void published(mosquitto *, void *object, int, int code, const mosquitto_property *)
    {
        answer(object, code);
    }
    static void subscribed(mosquitto *, void *object, int, int count, const int *granted, const mosquitto_property *)
    {
        answer(object, count > 0 ? granted[0] : kNoAnswer);
    }
    static void message(mosquitto *, void *object, const mosquitto_message *message)
    {
        of(object).m_messages.append({QByteArray(message->topic),
                                      QByteArray(static_cast<const char *>(message->payload), message->payloadlen),
                                      message->retain});
    }
};

MosquittoClient::MosquittoClient(Options options) : m_options(std::move(options))
{
    static std::once_flag once;
    std::call_once(once, [] {
        std::signal(SIGPIPE, SIG_IGN);
        mosquitto_lib_init();
    });
    m_client = mosquitto_new(m_options.clientId.constData(), true, this);
    check(mosquitto_int_option(m_client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5));
    const QByteArray dir = m_options.identityDir.toUtf8();
    const QByteArray certificate = dir + "/svid.pem";
    const QByteArray key = dir + "/svid.key";
    check(mosquitto_tls_set(m_client, m_options.trustFile.toUtf8().constData(), nullptr,
                            dir.isEmpty() ? nullptr : certificate.constData(),
                            dir.isEmpty() ? nullptr : key.constData(), nullptr));
    check(mosquitto_tls_opts_set(m_client, 1, "tlsv1.3", nullptr));
    check(mosquitto_tls_insecure_set(m_client, true)); // SPIFFE certificates name no host
    if (!m_options.userName.isEmpty())
        check(mosquitto_username_pw_set(m_client, m_options.userName.constData(), nullptr));
    if (const auto &will = m_options.will)
        check(mosquitto_will_set(m_client, will->topic.constData(), int(will->payload.size()),
                                 will->payload.constData(), 1, will->retain));
    mosquitto_connect_v5_callback_set(m_client, Callbacks::connected);
    mosquitto_disconnect_v5_callback_set(m_client, Callbacks::ended);
    mosquitto_publish_v5_callback_set(m_client, Callbacks::published);
    mosquitto_subscribe_v5_callback_set(m_client, Callbacks::subscribed);
    mosquitto_message_callback_set(m_client, Callbacks::message);
}

MosquittoClient::~MosquittoClient()
{
    mosquitto_destroy(m_client);
}

void MosquittoClient::turn(int millis)
{
    if (m_ended || mosquitto_loop(m_client, millis, 1) != MOSQ_ERR_SUCCESS) {
        m_connected = false;
        m_ended = true;
    }
}

bool MosquittoClient::turnUntil(const bool &done, int millis)
{
    QElapsedTimer timer;
    timer.start();
    while (!done && !m_ended && timer.elapsed() < millis)
        turn(10);
    return done;
}

int MosquittoClient::connect()
{
    m_answered = m_ended = m_connected = false;
    m_endReason = kNoAnswer;
    if (mosquitto_connect(m_client, "127.0.0.1", m_options.port, 60) != MOSQ_ERR_SUCCESS)
        return kNoAnswer;
    return turnUntil(m_answered, kAnswerMillis) ? m_answer : kNoAnswer;
}

int MosquittoClient::publish(const QByteArray &topic, const QByteArray &payload, bool retain)
{
    m_answered = false;
    if (mosquitto_publish(m_client, nullptr, topic.constData(), int(payload.size()), payload.constData(), 1, retain)
        != MOSQ_ERR_SUCCESS)
        return kNoAnswer;
    return turnUntil(m_answered, kAnswerMillis) ? m_answer : kNoAnswer;
}

int MosquittoClient::subscribe(const QByteArray &filter)
{
    m_answered = false;
    if (mosquitto_subscribe(m_client, nullptr, filter.constData(), 1) != MOSQ_ERR_SUCCESS)
        return kNoAnswer;
    return turnUntil(m_answered, kAnswerMillis) ? m_answer : kNoAnswer;
}

bool MosquittoClient::waitForMessage(const QByteArray &topic, int millis)
{
    QElapsedTimer timer;
    timer.start();
    while (true) {
        for (const Message &message : std::as_const(m_messages))
            if (message.topic == topic)
                return true;
        if (m_ended || timer.elapsed() > millis)
            return false;
        turn(10);
    }
}

bool MosquittoClient::waitForEnd(int millis)
{
    return turnUntil(m_ended, millis) || m_ended;
}

void MosquittoClient::cut()
{
    ::shutdown(mosquitto_socket(m_client), SHUT_RDWR);
    m_connected = false;
    m_ended = true;
}

void MosquittoClient::disconnect()
{
    mosquitto_disconnect(m_client);
    (void)waitForEnd(2'000);
}

} // namespace lintel::test
