// What both ends of a gRPC call share: status, metadata, who the other side is. gRPC over HTTP/2 as
// in its public protocol description ("PROTOCOL-HTTP2"), by nghttp2 and OpenSSL: the C++ library of
// gRPC costs a device 8 MB that it does not have (docs/decisions/0005).
//
// Values; any thread. Messages are serialized Protobuf, which this folder never looks into.
#pragma once

#include "domain/result.h"
#include "ports/identity_source.h"

#include <QByteArray>
#include <QList>
#include <QPair>
#include <QString>

#include <optional>

namespace lintel::grpc {

/// The status codes of gRPC, by their numbers.
enum class StatusCode {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
};

struct Status {
    StatusCode code = StatusCode::Ok;
    QString message;
    QByteArray details; // a serialized google.rpc.Status for grpc-status-details-bin; mostly empty

    [[nodiscard]] bool isOk() const { return code == StatusCode::Ok; }
};

/// Lower-case names; "-bin" values are raw here and base64 on the wire.
using Metadata = QList<QPair<QByteArray, QByteArray>>;

/// The process at the other end of a Unix socket, as the kernel tells it (SO_PEERCRED).
struct UnixPeer {
    qint64 pid = 0;
    quint32 uid = 0;
    quint32 gid = 0;
    /// When the process began, in the kernel's ticks since boot, as seen when the connection was
    /// accepted: a process of the same pid with another beginning is another one. 0: it had ended.
    quint64 startedAt = 0;
};

struct Peer {
    QString address;            // "192.0.2.7:41234"; empty for a Unix socket
    QByteArray network;         // who counts as one: the bytes of an IPv4 address or of an IPv6 /64
    QList<QByteArray> chainDer; // certificates that it showed, leaf first; empty = none
    std::optional<SpiffeId> id; // of a chain that was verified against the bundles
    std::optional<UnixPeer> process;

    /// Came over the network and has not shown who it is.
    [[nodiscard]] bool isStranger() const { return !process && !id; }
};

} // namespace lintel::grpc
