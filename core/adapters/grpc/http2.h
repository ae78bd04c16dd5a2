// One HTTP/2 connection without a socket: bytes in, bytes out, and hooks for what gRPC needs of it.
// A thin layer over nghttp2 with its limits set for small machines: no push, header lists of
// 16 KiB, floods of control frames end the connection.
//
// Belongs to one connection and its thread. Hooks run inside of receive() and collect() and only
// take notes; whoever owns the connection acts on them afterwards.
#pragma once

#include "grpc/grpc_types.h"
#include "grpc/wire.h"

#include <QByteArrayView>

#include <chrono>
#include <vector>

using nghttp2_session = struct nghttp2_session;

namespace lintel::grpc {

/// Allows a burst, then a rate; work that was done earns more.
class FloodGuard
{
public:
    FloodGuard(int burst, int perSecond) : m_level(burst), m_burst(burst), m_perSecond(perSecond) {}

    [[nodiscard]] bool allow();
    void earn(int amount) { m_level = std::min(m_level + amount, double(m_burst)); }

private:
    double m_level;
    int m_burst;
    int m_perSecond;
    std::chrono::steady_clock::time_point m_last = std::chrono::steady_clock::now();
};

class Http2
{
public:
    static constexpr quint32 kNoError = 0x0;
    static constexpr quint32 kProtocolError = 0x1;
    static constexpr quint32 kRefusedStream = 0x7;
    static constexpr quint32 kCancel = 0x8;
    static constexpr quint32 kEnhanceYourCalm = 0xb;
    static constexpr qsizetype kMaxHeaderListBytes = 16 * 1024;

    Http2(const Http2 &) = delete;
    Http2 &operator=(const Http2 &) = delete;
    virtual ~Http2();

    /// False: the other side broke the protocol and gets a GOAWAY with the next collect().
    bool receive(QByteArrayView bytes);
    /// Appends frames until `out` holds `enough` bytes or nothing is left.
    void collect(QByteArray &out, qsizetype enough);
    /// Nothing has happened for a while: gives memory back that the next frame gets anew.
    void releaseMemory();
    /// Neither side has anything more to say.
    [[nodiscard]] bool isOver() const;

    /// Bytes of a stream's messages were taken; opens its window.
    void consume(qint32 stream, qsizetype bytes);
    void resume(qint32 stream);
    void reset(qint32 stream, quint32 error);
    [[nodiscard]] bool isRemoteClosed(qint32 stream) const;

    /// No new streams; those that run may finish.
    void goAway(quint32 error);
    /// "A GOAWAY will come": new streams are still taken, so that none is lost on its way.
    void announceGoAway();
    /// Everything ends, now.
    void terminate(quint32 error);

    /// RFC 9113 section 7: "REFUSED_STREAM".
    [[nodiscard]] static QString nameOfError(quint32 error);

protected:
    enum class Role { Client, Server };

    /// `maxStreams` that the other side may open.
    Http2(Role role, int maxStreams);

    using Headers = QList<QPair<QByteArray, QByteArray>>;

    /// Response headers; without a body they end the stream.
    void submitResponse(qint32 stream, const Headers &headers, bool withBody);
    void submitTrailers(qint32 stream, const Headers &headers);
    /// A new stream's number, negative when the connection takes none any more.
    [[nodiscard]] qint32 submitRequest(const Headers &headers);

    virtual void onHeadersBegin(qint32 stream) = 0;
    /// False refuses the stream: the list is too long or not to be understood.
    virtual bool onHeader(qint32 stream, const QByteArray &name, const QByteArray &value) = 0;
    virtual void onHeadersEnd(qint32 stream) = 0;
    virtual void onData(qint32 stream, QByteArrayView bytes) = 0;
    virtual void onEndOfStream(qint32 stream) = 0;
    virtual void onStreamClosed(qint32 stream, quint32 error) = 0;
    virtual void onGoAway(quint32 error, const QByteArray &words) = 0;
    virtual void onPingAnswered() {}
    /// Trailers or a response without body have left.
    virtual void onLocalEnd(qint32) {}

    /// What a stream has to send; null when it is gone.
    struct Outgoing {
        SendQueue *queue = nullptr;
        bool isLast = false;               // nothing follows what is queued …
        const Headers *trailers = nullptr; // … but these
    };
    virtual Outgoing outgoing(qint32 stream) = 0;
    virtual void onSent(qint32 stream, qsizetype bytes) = 0;

    void earnControlFrames(int amount) { m_control.earn(amount); }
    void earnReset() { m_resets.earn(1); }

private:
    struct Callbacks; // nghttp2's view of us
    struct Memory;

    struct Mapping {
        void *pages = nullptr;
        size_t size = 0;
        bool isSendBuffer = false;
    };
    std::vector<Mapping> m_mappings; // large blocks of nghttp2's; outlive the session
    nghttp2_session *m_session = nullptr;
    QByteArray *m_out = nullptr; // during collect()
    qsizetype m_enough = 0;      // during collect()
    qsizetype m_headerBytes = 0; // of the list that is being read
    [[nodiscard]] int takeControlFrame(FloodGuard &guard);

    FloodGuard m_control{1'000, 100};
    FloodGuard m_resets{500, 50};
};

} // namespace lintel::grpc
