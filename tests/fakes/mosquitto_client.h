// A client that does what it is told, right or wrong: libmosquitto with any certificate, client id
// and will, and the broker's answers as numbers. For tests of what a broker refuses.
// Blocking; the thread that made it.
#pragma once

#include <QByteArray>
#include <QList>
#include <QString>

#include <optional>

struct mosquitto;

namespace lintel::test {

class MosquittoClient
{
public:
    struct Message {
        QByteArray topic;
        QByteArray payload;
        bool retain = false;
    };
    struct Options {
        quint16 port = 0;
        QString identityDir; // svid.pem, svid.key; empty: no certificate
        QString trustFile;   // roots of the broker
        QByteArray clientId;
        std::optional<Message> will;
        QByteArray userName{}; // a lie: the certificate says who it is
    };

    explicit MosquittoClient(Options options);
    ~MosquittoClient();
    MosquittoClient(const MosquittoClient &) = delete;
    MosquittoClient &operator=(const MosquittoClient &) = delete;

    static constexpr int kNoAnswer = -1;

    /// The reason code of CONNACK; kNoAnswer when the connection ended before it.
    int connect();
    /// The reason code of PUBACK (QoS 1).
    int publish(const QByteArray &topic, const QByteArray &payload = "x", bool retain = false);
    /// The reason code of SUBACK: the granted QoS, or 0x87.
    int subscribe(const QByteArray &filter);
    [[nodiscard]] bool isConnected() const { return m_connected; }
    [[nodiscard]] const QList<Message> &messages() const { return m_messages; }
    /// Works the connection until a message with this topic is there.
    bool waitForMessage(const QByteArray &topic, int millis = 10'000);
    bool waitForEnd(int millis = 10'000);
    /// Reason code of the broker's DISCONNECT, if it said one.
    [[nodiscard]] int endReason() const { return m_endReason; }
    void turn(int millis);
    /// Cuts the connection without a word, so that the will is published.
    void cut();
    void disconnect();

private:
    bool turnUntil(const bool &done, int millis);
    struct Callbacks;

    mosquitto *m_client = nullptr;
    Options m_options;
    bool m_connected = false;
    bool m_ended = false;
    bool m_answered = false;
    int m_answer = kNoAnswer;
    int m_endReason = kNoAnswer;
    QList<Message> m_messages;
};

} // namespace lintel::test
