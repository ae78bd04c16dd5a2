#include "grpc/http2.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include <sys/mman.h>

namespace lintel::grpc {

using namespace Qt::StringLiterals;

namespace {

constexpr quint32 kStreamWindow = 256 * 1024;
constexpr qint32 kConnectionWindow = 1024 * 1024;

std::vector<nghttp2_nv> toNghttp2(const QList<QPair<QByteArray, QByteArray>> &headers)
{
    std::vector<nghttp2_nv> list;
    list.reserve(static_cast<size_t>(headers.size()));
    const auto bytes = [](const QByteArray &text) {
        // nghttp2 copies them and writes to nothing.
        return reinterpret_cast<uint8_t *>(const_cast<char *>(text.constData()));
    };
    for (const auto &[name, value] : headers)
        list.push_back({bytes(name), bytes(value), size_t(name.size()), size_t(value.size()), NGHTTP2_NV_FLAG_NONE});
    return list;
}

} // namespace

bool FloodGuard::allow()
{
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - m_last).count();
    m_last = now;
    m_level = std::min(m_level + seconds * m_perSecond, double(m_burst));
    m_level -= 1;
    return m_level >= 0;
}

// nghttp2 keeps a frame buffer of 16 KiB and a table of streams of 4 KiB for each connection. From the
// heap they would be memory that others have used already, and all of it would count; as mappings of
// their own they cost the pages that are touched, and releaseMemory() can give these back.
struct Http2::Memory {
    static constexpr size_t kMapFrom = 4 * 1024;
    static constexpr size_t kSendBufferFrom = 16 * 1024;

    static Http2 &self(void *data) { return *static_cast<Http2 *>(data); }

    static std::vector<Mapping>::iterator find(Http2 &http2, const void *block)
    {
        return std::find_if(http2.m_mappings.begin(), http2.m_mappings.end(),
                            [block](const Mapping &mapping) { return mapping.pages == block; });
    }

    static void *allocate(size_t size, void *data)
    {
        if (size < kMapFrom)
            return std::malloc(size);
        void *pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED)
            return nullptr;
        Http2 &http2 = self(data);
        // The one that nghttp2_session_*_new() makes; later ones may hold what a peer has half sent.
        http2.m_mappings.push_back({pages, size, !http2.m_session && size >= kSendBufferFrom});
        return pages;
    }

    static void release(void *block, void *data)
    {
        Http2 &http2 = self(data);
        const auto mapping = find(http2, block);
        if (!block || mapping == http2.m_mappings.end())
            return std::free(block);
        (void)::munmap(block, mapping->size);
        http2.m_mappings.erase(mapping);
    }

    static void *allocateZeroed(size_t count, size_t size, void *data)
    {
        if (size != 0 && count > std::numeric_limits<size_t>::max() / size)
            return nullptr;
        // Fresh pages are zero, and stay untouched.
        return count * size < kMapFrom ? std::calloc(count, size) : allocate(count * size, data);
    }

    static void *reallocate(void *block, size_t size, void *data)
    {
        if (!block)
            return allocate(size, data);
        Http2 &http2 = self(data);
        const auto mapping = find(http2, block);
        if (mapping == http2.m_mappings.end())
            return std::realloc(block, size);
        const size_t before = mapping->size;
        void *moved = allocate(size, data);
        if (!moved)
            return nullptr;
        std::memcpy(moved, block, std::min(size, before));
        release(block, data);
        return moved;
    }

    static bool isZero(const Mapping &mapping)
    {
        const auto *bytes = static_cast<const char *>(mapping.pages);
        return std::all_of(bytes, bytes + mapping.size, [](char c) { return c == 0; });
    }
};

struct Http2::Callbacks {
    static Http2 &self(void *data) { return *static_cast<Http2 *>(data); }

    static int onBeginHeaders(nghttp2_session *, const nghttp2_frame *frame, void *data)
    {
        Http2 &http2 = self(data);
        http2.m_headerBytes = 0;
        if (frame->hd.type == NGHTTP2_HEADERS
            && (frame->headers.cat == NGHTTP2_HCAT_REQUEST || frame->headers.cat == NGHTTP2_HCAT_RESPONSE))
            http2.onHeadersBegin(frame->hd.stream_id);
        return 0;
    }

    static int onHeader(nghttp2_session *, const nghttp2_frame *frame, const uint8_t *name, size_t nameSize,
                        const uint8_t *value, size_t valueSize, uint8_t, void *data)
    {
        Http2 &http2 = self(data);
        constexpr qsizetype kOverhead = 32; // RFC 9113 section 6.5.2
        http2.m_headerBytes += static_cast<qsizetype>(nameSize + valueSize) + kOverhead;
        const auto text = [](const uint8_t *bytes, size_t size) {
            return QByteArray(reinterpret_cast<const char *>(bytes), static_cast<qsizetype>(size));
        };
        const bool taken = http2.m_headerBytes <= kMaxHeaderListBytes
                           && http2.onHeader(frame->hd.stream_id, text(name, nameSize), text(value, valueSize));
        return taken ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }

    static int onFrame(nghttp2_session *, const nghttp2_frame *frame, void *data)
    {
        Http2 &http2 = self(data);
        const nghttp2_frame_hd &head = frame->hd;
        switch (head.type) {
        case NGHTTP2_HEADERS:
            http2.onHeadersEnd(head.stream_id);
            if (head.flags & NGHTTP2_FLAG_END_STREAM)
                http2.onEndOfStream(head.stream_id);
            return 0;
        case NGHTTP2_DATA:
            if (head.flags & NGHTTP2_FLAG_END_STREAM)
                http2.onEndOfStream(head.stream_id);
            else if (head.length == 0)
                return http2.takeControlFrame(http2.m_control);
            return 0;
        // nghttp2 has a bound of its own, since 1.57 and for what clients send only.
        case NGHTTP2_RST_STREAM: return http2.takeControlFrame(http2.m_resets);
        case NGHTTP2_PING:
            if (head.flags & NGHTTP2_FLAG_ACK) {
                http2.onPingAnswered();
                return 0;
            }
            return http2.takeControlFrame(http2.m_control);
        case NGHTTP2_SETTINGS:
        case NGHTTP2_PRIORITY: return http2.takeControlFrame(http2.m_control);
        case NGHTTP2_GOAWAY:
            http2.onGoAway(frame->goaway.error_code,
                           QByteArray(reinterpret_cast<const char *>(frame->goaway.opaque_data),
                                      static_cast<qsizetype>(frame->goaway.opaque_data_len)));
            return 0;
        default: return 0;
        }
    }

    static int onData(nghttp2_session *session, uint8_t, int32_t stream, const uint8_t *bytes, size_t size, void *data)
    {
        // The connection's window belongs to all streams; one slow stream must not shut it.
        (void)nghttp2_session_consume_connection(session, size);
        self(data).onData(stream, QByteArrayView(bytes, static_cast<qsizetype>(size)));
        return 0;
    }

    static int onStreamClosed(nghttp2_session *, int32_t stream, uint32_t error, void *data)
    {
        self(data).onStreamClosed(stream, error);
        return 0;
    }

    /// A request that never left: the connection takes no new streams, or it was cancelled before.
    static int onFrameNotSent(nghttp2_session *, const nghttp2_frame *frame, int, void *data)
    {
        if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
            self(data).onStreamClosed(frame->hd.stream_id, kRefusedStream);
        return 0;
    }

    static int onFrameSent(nghttp2_session *, const nghttp2_frame *frame, void *data)
    {
        if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            self(data).onLocalEnd(frame->hd.stream_id);
        return 0;
    }

    /// How much of a stream's bytes goes into the next DATA frame; they are copied in writeData().
    static ssize_t readData(nghttp2_session *, int32_t stream, uint8_t *, size_t size, uint32_t *flags,
                            nghttp2_data_source *, void *data)
    {
        Http2 &http2 = self(data);
        const Outgoing outgoing = http2.outgoing(stream);
        if (!outgoing.queue)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        const qsizetype bytes = std::min(outgoing.queue->size(), static_cast<qsizetype>(size));
        const bool ends = outgoing.isLast && bytes == outgoing.queue->size();
        if (bytes == 0 && !ends)
            return NGHTTP2_ERR_DEFERRED;
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        if (ends) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            if (outgoing.trailers) {
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                http2.submitTrailers(stream, *outgoing.trailers);
            }
        }
        return bytes;
    }

    static int writeData(nghttp2_session *, nghttp2_frame *frame, const uint8_t *head, size_t size,
                         nghttp2_data_source *, void *data)
    {
        constexpr qsizetype kFrameHeadBytes = 9;
        Http2 &http2 = self(data);
        const qint32 stream = frame->hd.stream_id;
        const Outgoing outgoing = http2.outgoing(stream);
        if (!outgoing.queue || outgoing.queue->size() < static_cast<qsizetype>(size))
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        http2.m_out->append(reinterpret_cast<const char *>(head), kFrameHeadBytes);
        outgoing.queue->take(static_cast<qsizetype>(size), *http2.m_out);
        http2.onSent(stream, static_cast<qsizetype>(size));
        return http2.m_out->size() < http2.m_enough ? 0 : NGHTTP2_ERR_PAUSE;
    }

    static const nghttp2_session_callbacks *table()
    {
        static nghttp2_session_callbacks *const callbacks = [] {
            nghttp2_session_callbacks *made = nullptr;
            nghttp2_session_callbacks_new(&made);
            nghttp2_session_callbacks_set_on_begin_headers_callback(made, onBeginHeaders);
            nghttp2_session_callbacks_set_on_header_callback(made, onHeader);
            nghttp2_session_callbacks_set_on_frame_recv_callback(made, onFrame);
            nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, onData);
            nghttp2_session_callbacks_set_on_stream_close_callback(made, onStreamClosed);
            nghttp2_session_callbacks_set_on_frame_send_callback(made, onFrameSent);
            nghttp2_session_callbacks_set_on_frame_not_send_callback(made, onFrameNotSent);
            nghttp2_session_callbacks_set_send_data_callback(made, writeData);
            return made;
        }();
        return callbacks;
    }

    static const nghttp2_option *options(Role role)
    {
        static const nghttp2_option *const server = makeOptions(Role::Server);
        static const nghttp2_option *const client = makeOptions(Role::Client);
        return role == Role::Server ? server : client;
    }

    static const nghttp2_option *makeOptions(Role role)
    {
        nghttp2_option *made = nullptr;
        nghttp2_option_new(&made);
        nghttp2_option_set_no_auto_window_update(made, 1);
        nghttp2_option_set_no_closed_streams(made, 1);
        nghttp2_option_set_max_reserved_remote_streams(made, 0);
        nghttp2_option_set_max_outbound_ack(made, 1'000); // what one read can hold, and little more
        nghttp2_option_set_peer_max_concurrent_streams(made, 100);
        // Our responses have two short headers; a table for them would cost each connection more than it saves.
        if (role == Role::Server)
            nghttp2_option_set_max_deflate_dynamic_table_size(made, 0);
        return made;
    }
};

Http2::Http2(Role role, int maxStreams)
{
    const auto make = role == Role::Server ? nghttp2_session_server_new3 : nghttp2_session_client_new3;
    nghttp2_mem memory{this, Memory::allocate, Memory::release, Memory::allocateZeroed, Memory::reallocate};
    nghttp2_session *made = nullptr;
    (void)make(&made, Callbacks::table(), this, Callbacks::options(role), &memory);
    m_session = made;
    if (!m_session)
        return;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, static_cast<quint32>(maxStreams)},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<quint32>(kMaxHeaderListBytes)},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    const size_t count = std::size(settings) - (role == Role::Server ? 1 : 0);
    (void)nghttp2_submit_settings(m_session, NGHTTP2_FLAG_NONE, settings, count);
    (void)nghttp2_session_set_local_window_size(m_session, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

Http2::~Http2()
{
    nghttp2_session_del(m_session);
}

int Http2::takeControlFrame(FloodGuard &guard)
{
    if (guard.allow())
        return 0;
    terminate(kEnhanceYourCalm);
    return 0;
}

bool Http2::receive(QByteArrayView bytes)
{
    if (!m_session)
        return false;
    const auto result = nghttp2_session_mem_recv(m_session, reinterpret_cast<const uint8_t *>(bytes.data()),
                                                 static_cast<size_t>(bytes.size()));
    if (result >= 0)
        return true;
    // Most protocol errors have made a GOAWAY already; garbage instead of the preface has not.
    if (result != NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        (void)nghttp2_session_terminate_session(m_session,
                                                result == NGHTTP2_ERR_FLOODED ? kEnhanceYourCalm : kProtocolError);
    return false;
}

void Http2::collect(QByteArray &out, qsizetype enough)
{
    if (!m_session)
        return;
    m_out = &out;
    m_enough = enough;
    while (out.size() < enough) {
        const uint8_t *bytes = nullptr;
        const qsizetype before = out.size();
        const auto size = nghttp2_session_mem_send(m_session, &bytes);
        if (size < 0 || (size == 0 && out.size() == before))
            break;
        out.append(reinterpret_cast<const char *>(bytes), size);
    }
    m_out = nullptr;
}

void Http2::releaseMemory()
{
    // With nothing to send, what is left in the send buffer has been sent.
    if (!m_session || nghttp2_session_want_write(m_session))
        return;
    for (const Mapping &mapping : m_mappings)
        if (mapping.isSendBuffer || Memory::isZero(mapping))
            (void)::madvise(mapping.pages, mapping.size, MADV_DONTNEED);
}

bool Http2::isOver() const
{
    return !m_session || (!nghttp2_session_want_read(m_session) && !nghttp2_session_want_write(m_session));
}

void Http2::consume(qint32 stream, qsizetype bytes)
{
    (void)nghttp2_session_consume_stream(m_session, stream, static_cast<size_t>(bytes));
}

void Http2::resume(qint32 stream)
{
    (void)nghttp2_session_resume_data(m_session, stream);
}

void Http2::reset(qint32 stream, quint32 error)
{
    (void)nghttp2_submit_rst_stream(m_session, NGHTTP2_FLAG_NONE, stream, error);
}

bool Http2::isRemoteClosed(qint32 stream) const
{
    return nghttp2_session_get_stream_remote_close(m_session, stream) != 0;
}

void Http2::goAway(quint32 error)
{
    if (m_session)
        (void)nghttp2_submit_goaway(m_session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(m_session),
                                    error, nullptr, 0);
}

void Http2::announceGoAway()
{
    if (!m_session)
        return;
    (void)nghttp2_submit_shutdown_notice(m_session);
    (void)nghttp2_submit_ping(m_session, NGHTTP2_FLAG_NONE, nullptr);
}

void Http2::terminate(quint32 error)
{
    if (m_session)
        (void)nghttp2_session_terminate_session(m_session, error);
}

QString Http2::nameOfError(quint32 error)
{
    return QString::fromLatin1(nghttp2_http2_strerror(error));
}

void Http2::submitResponse(qint32 stream, const Headers &headers, bool withBody)
{
    const auto list = toNghttp2(headers);
    nghttp2_data_provider provider{};
    provider.read_callback = Callbacks::readData;
    (void)nghttp2_submit_response(m_session, stream, list.data(), list.size(), withBody ? &provider : nullptr);
}

void Http2::submitTrailers(qint32 stream, const Headers &headers)
{
    const auto list = toNghttp2(headers);
    (void)nghttp2_submit_trailer(m_session, stream, list.data(), list.size());
}

qint32 Http2::submitRequest(const Headers &headers)
{
    if (!m_session)
        return -1;
    const auto list = toNghttp2(headers);
    nghttp2_data_provider provider{};
    provider.read_callback = Callbacks::readData;
    return nghttp2_submit_request(m_session, nullptr, list.data(), list.size(), &provider, nullptr);
}

} // namespace lintel::grpc
