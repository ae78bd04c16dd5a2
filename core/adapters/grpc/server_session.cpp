#include "grpc/server_session.h"

#include <algorithm>

namespace lintel::grpc {

namespace {

constexpr qsizetype kCallBytes = 2 * 1024; // of a call without anything, here and in nghttp2
// Longer ones are of no method and no content type of ours, and say so as well when they are cut.
constexpr qsizetype kMaxPath = 512;
constexpr qsizetype kMaxWord = 128;

int streamsOf(const Peer &peer, const ServerLimits &limits)
{
    if (peer.process)
        return std::min(limits.streamsOfUser, limits.maxStreamsPerConnection);
    return peer.isStranger() ? std::min(limits.streamsOfStranger, limits.maxStreamsPerConnection)
                             : limits.maxStreamsPerConnection;
}

} // namespace

ServerSession::ServerSession(ServerHost &host, ServerLink &link, std::shared_ptr<const Peer> peer)
    : Http2(Role::Server, streamsOf(*peer, host.limits())), m_host(host), m_link(link), m_peer(std::move(peer))
{}

ServerSession::~ServerSession()
{
    for (const auto &call : m_calls) {
        detach(*call);
        m_touched.push_back(call);
    }
    // Nobody is told any more; but a handler may hold a call inside of the call's own connections.
    for (const auto &call : m_touched)
        call->disconnect();
}

void ServerSession::detach(ServerCallImpl &call)
{
    m_host.release(*m_peer, std::exchange(call.m_reserved, 0));
    call.m_session = nullptr;
}

void ServerSession::touch(const std::shared_ptr<ServerCallImpl> &call)
{
    if (std::exchange(call->m_isTouched, true))
        return;
    m_touched.push_back(call);
}

void ServerSession::dispatch()
{
    while (!m_touched.empty()) {
        const auto touched = std::exchange(m_touched, {});
        for (const auto &call : touched) {
            call->m_isTouched = false;
            call->dispatch();
        }
    }
}

void ServerSession::rest()
{
    if (m_calls.isEmpty())
        m_calls = {}; // whose room for calls is larger than a call
    if (m_touched.empty())
        m_touched = {};
    releaseMemory();
}

void ServerSession::abandon()
{
    for (const auto &call : std::exchange(m_calls, {})) {
        detach(*call);
        touch(call);
    }
}

void ServerSession::onHeadersBegin(qint32 stream)
{
    const auto call = std::make_shared<ServerCallImpl>(*this, stream);
    call->m_headBytes = kCallBytes;
    m_calls.insert(stream, call);
    earnControlFrames(2);
}

bool ServerSession::onHeader(qint32 stream, const QByteArray &name, const QByteArray &value)
{
    const auto call = m_calls.value(stream);
    if (!call || call->m_headersComplete)
        return true; // trailers of a request mean nothing in gRPC
    if (name == ":method")
        call->m_method = value.left(kMaxWord);
    else if (name == ":path")
        call->m_path = value.left(kMaxPath);
    else if (name == "content-type")
        call->m_contentType = value.left(kMaxWord);
    else if (name == "grpc-timeout")
        call->m_timeout = value.left(kMaxWord);
    else if (m_host.keepsMetadata(name)) {
        call->m_metadata.append({name, value});
        call->m_headBytes += name.size() + value.size();
    }
    return true;
}

void ServerSession::onHeadersEnd(qint32 stream)
{
    if (const auto call = m_calls.value(stream)) {
        call->m_headersComplete = true;
        touch(call);
    }
}

void ServerSession::onData(qint32 stream, QByteArrayView bytes)
{
    const auto call = m_calls.value(stream);
    if (!call)
        return;
    call->m_unconsumed += bytes.size();
    if (!call->m_isOver)
        call->m_reader.append(bytes);
    touch(call);
}

void ServerSession::onEndOfStream(qint32 stream)
{
    if (const auto call = m_calls.value(stream)) {
        call->m_remoteEnded = true;
        touch(call);
    }
}

void ServerSession::onStreamClosed(qint32 stream, quint32)
{
    const auto call = m_calls.take(stream);
    if (!call)
        return;
    detach(*call);
    if (call->m_isOver)
        earnReset();
    touch(call);
}

void ServerSession::onLocalEnd(qint32 stream)
{
    // The caller may still be sending; it need not.
    if (!isRemoteClosed(stream))
        reset(stream, kNoError);
}

Http2::Outgoing ServerSession::outgoing(qint32 stream)
{
    const auto call = m_calls.value(stream);
    if (!call)
        return {};
    return {&call->m_out, !call->m_trailers.isEmpty(), &call->m_trailers};
}

void ServerSession::onSent(qint32 stream, qsizetype)
{
    earnControlFrames(1);
    const auto call = m_calls.value(stream);
    if (call && call->m_out.isEmpty() && !call->m_isOver) {
        call->m_wasDrained = true;
        touch(call);
    }
}

} // namespace lintel::grpc
