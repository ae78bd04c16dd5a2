// A TCP port of 127.0.0.1 for a server that is about to start. Taken from below the range from which the
// system gives ports to outgoing connections, as one of those could take it in between, and from a stretch
// of its own for each process.
//
// Any thread. Failure: Errc::Io when none is free.
#pragma once

#include "domain/result.h"

#include <arpa/inet.h>
#include <atomic>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lintel {

[[nodiscard]] inline Result<quint16> freeLoopbackPort()
{
    constexpr unsigned kFirst = 20'000;
    constexpr unsigned kCount = 12'000;
    constexpr unsigned kStretch = 40;
    static std::atomic<unsigned> asked{0};
    for (unsigned attempt = 0; attempt < kCount; ++attempt) {
        const auto port = static_cast<quint16>(kFirst + (unsigned(::getpid()) * kStretch + asked++) % kCount);
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const bool isFree = ::bind(socket, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
        ::close(socket);
        if (isFree)
            return port;
    }
    return Error{Errc::Io, QStringLiteral("There is no free TCP port on 127.0.0.1 from 20000 to 31999.")};
}

} // namespace lintel
