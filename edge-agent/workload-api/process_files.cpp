#include "workload-api/process_files.h"

#include <array>

#include <fcntl.h>

namespace lintel::workloads {

namespace {
constexpr qsizetype kMaxProcFile = 64 * 1024;
} // namespace

Descriptor openProcess(const QString &procDir, qint64 pid)
{
    const QByteArray path = (procDir + u'/' + QString::number(pid)).toUtf8();
    return Descriptor(::open(path.constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

std::optional<QByteArray> readIn(const Descriptor &process, const char *name)
{
    const Descriptor file(::openat(process.number(), name, O_RDONLY | O_CLOEXEC));
    if (!file.isOpen())
        return std::nullopt;
    QByteArray text;
    std::array<char, 4096> buffer{};
    while (text.size() < kMaxProcFile) {
        const ssize_t got = ::read(file.number(), buffer.data(), buffer.size());
        if (got < 0)
            return std::nullopt;
        if (got == 0)
            break;
        text.append(buffer.data(), got);
    }
    return text;
}

quint64 startOf(const Descriptor &process)
{
    const auto text = readIn(process, "stat");
    if (!text)
        return 0;
    return text->mid(text->lastIndexOf(')') + 1).simplified().split(' ').value(19).toULongLong();
}

QByteArray fingerprintOf(const struct stat &file)
{
    QByteArray text;
    for (const auto value :
         {qint64(file.st_dev), qint64(file.st_ino), qint64(file.st_size), qint64(file.st_mtim.tv_sec),
          qint64(file.st_mtim.tv_nsec), qint64(file.st_ctim.tv_sec), qint64(file.st_ctim.tv_nsec)})
        text += QByteArray::number(value) + ' ';
    return text;
}

} // namespace lintel::workloads
