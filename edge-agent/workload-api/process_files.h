// What /proc tells of one process, read so that it stays that process. Private to this folder; any thread.
#pragma once

#include "grpc/grpc_types.h"

#include <QByteArray>
#include <QString>

#include <optional>

#include <sys/stat.h>
#include <unistd.h>

namespace lintel::workloads {

class Descriptor
{
public:
    explicit Descriptor(int number) : m_number(number) {}
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    ~Descriptor()
    {
        if (m_number >= 0)
            ::close(m_number);
    }
    [[nodiscard]] int number() const { return m_number; }
    [[nodiscard]] bool isOpen() const { return m_number >= 0; }

private:
    int m_number;
};

/// The folder of one process: it stays that process's, whoever gets the pid after it.
[[nodiscard]] Descriptor openProcess(const QString &procDir, qint64 pid);

[[nodiscard]] std::optional<QByteArray> readIn(const Descriptor &process, const char *name);

/// As grpc::UnixPeer::startedAt; 0 when the process has ended.
[[nodiscard]] quint64 startOf(const Descriptor &process);

/// Which file that is: device, inode, size and times.
[[nodiscard]] QByteArray fingerprintOf(const struct stat &file);

} // namespace lintel::workloads
