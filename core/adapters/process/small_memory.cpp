#include "process/small_memory.h"

#include <QByteArray>
#include <QFile>
#include <QList>
#include <QTimer>

#include <chrono>
#include <malloc.h>
#include <sys/mman.h>

namespace lintel::process {
namespace {

using namespace std::chrono_literals;

constexpr auto kSettled = 8s; // after which what was begun has come to rest

/// Mappings of program text only ("r-xp" with a file behind): nothing was ever written to them, so
/// the kernel may forget them. Read-only data is left alone, since relocations have written to some.
void forgetProgramText()
{
    QFile maps(QStringLiteral("/proc/self/maps"));
    if (!maps.open(QIODevice::ReadOnly))
        return;
    const QList<QByteArray> lines = maps.readAll().split('\n');
    for (const QByteArray &line : lines) {
        const QList<QByteArray> fields = line.simplified().split(' ');
        if (fields.size() < 6 || fields[1] != "r-xp" || fields[4] == "0")
            continue;
        const QList<QByteArray> range = fields[0].split('-');
        bool isFirst = false;
        bool isLast = false;
        const quintptr first = range.value(0).toULongLong(&isFirst, 16);
        const quintptr last = range.value(1).toULongLong(&isLast, 16);
        if (isFirst && isLast && last > first)
            ::madvise(reinterpret_cast<void *>(first), last - first, MADV_DONTNEED);
    }
}

} // namespace

void keepMemorySmall()
{
    ::mallopt(M_ARENA_MAX, 1);
    ::mallopt(M_TRIM_THRESHOLD, 64 * 1024);
    ::mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    qputenv("QT_NO_GLIB", "1");
}

std::function<void()> returnIdleMemory(QObject *owner)
{
    auto *timer = new QTimer(owner);
    timer->setTimerType(Qt::VeryCoarseTimer);
    QObject::connect(timer, &QTimer::timeout, timer, [timer] {
        ::malloc_trim(0);
        forgetProgramText();
        timer->setInterval(10min);
    });
    timer->start(kSettled);
    return [timer] { timer->start(kSettled); };
}

} // namespace lintel::process
