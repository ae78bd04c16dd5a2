#include "fakes/faulty_vfs.h"

#include <QFile>
#include <QString>

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <vector>

namespace lintel {

namespace {

constexpr qint64 kSector = 512;

/// What was done to a file since its last sync.
struct Change {
    qint64 offset = 0;
    QByteArray bytes;
    bool truncate = false; // to offset
};

struct FileState {
    QByteArray durable; // content at the last sync
    std::vector<Change> pending;

    void apply(const Change &change)
    {
        if (change.truncate) {
            durable.truncate(std::min<qsizetype>(durable.size(), change.offset));
            return;
        }
        const qsizetype end = change.offset + change.bytes.size();
        if (durable.size() < end)
            durable.append(end - durable.size(), '\0');
        std::memcpy(durable.data() + change.offset, change.bytes.constData(), size_t(change.bytes.size()));
    }
};

} // namespace

struct FaultyVfs::Private {
    sqlite3_vfs vfs{};
    sqlite3_vfs *system = nullptr;
    std::string name;
    std::map<std::string, FileState> files;
    std::optional<qint64> room;
    std::optional<int> operationsLeft;
    bool power = true;
    int operations = 0;

    /// One operation that changes the disk; false when there is no power for it.
    [[nodiscard]] bool spend()
    {
        if (operationsLeft && *operationsLeft <= 0)
            power = false;
        if (!power)
            return false;
        ++operations;
        if (operationsLeft)
            --*operationsLeft;
        return true;
    }
};

namespace {

/// SQLite allocates it; the system's own file object follows right behind.
struct FaultyFile {
    sqlite3_file base;
    FaultyVfs::Private *disk;
    FileState *state;

    [[nodiscard]] sqlite3_file *real() { return reinterpret_cast<sqlite3_file *>(this + 1); }
};

[[nodiscard]] FaultyFile &self(sqlite3_file *file)
{
    return *reinterpret_cast<FaultyFile *>(file);
}

int closeFile(sqlite3_file *file)
{
    sqlite3_file *real = self(file).real();
    return real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;
}

int readFile(sqlite3_file *file, void *into, int amount, sqlite3_int64 offset)
{
    if (!self(file).disk->power)
        return SQLITE_IOERR_READ;
    sqlite3_file *real = self(file).real();
    return real->pMethods->xRead(real, into, amount, offset);
}

int writeFile(sqlite3_file *file, const void *from, int amount, sqlite3_int64 offset)
{
    FaultyFile &me = self(file);
    sqlite3_file *real = me.real();
    if (!me.disk->spend())
        return SQLITE_IOERR_WRITE;
    if (me.disk->room) {
        sqlite3_int64 size = 0;
        real->pMethods->xFileSize(real, &size);
        const qint64 growth = std::max<qint64>(0, offset + amount - size);
        if (growth > *me.disk->room)
            return SQLITE_FULL;
        *me.disk->room -= growth;
    }
    me.state->pending.push_back({offset, QByteArray(static_cast<const char *>(from), amount), false});
    return real->pMethods->xWrite(real, from, amount, offset);
}

int truncateFile(sqlite3_file *file, sqlite3_int64 size)
{
    FaultyFile &me = self(file);
    if (!me.disk->spend())
        return SQLITE_IOERR_TRUNCATE;
    if (me.disk->room) {
        sqlite3_int64 before = 0;
        me.real()->pMethods->xFileSize(me.real(), &before);
        *me.disk->room += std::max<qint64>(0, before - size);
    }
    me.state->pending.push_back({size, {}, true});
    return me.real()->pMethods->xTruncate(me.real(), size);
}

int syncFile(sqlite3_file *file, int)
{
    FaultyFile &me = self(file);
    if (!me.disk->spend())
        return SQLITE_IOERR_FSYNC;
    for (const Change &change : me.state->pending)
        me.state->apply(change);
    me.state->pending.clear();
    return SQLITE_OK; // the real disk has better things to do
}

int fileSize(sqlite3_file *file, sqlite3_int64 *size)
{
    sqlite3_file *real = self(file).real();
    return real->pMethods->xFileSize(real, size);
}

int lockFile(sqlite3_file *file, int level)
{
    sqlite3_file *real = self(file).real();
    return real->pMethods->xLock(real, level);
}

int unlockFile(sqlite3_file *file, int level)
{
    sqlite3_file *real = self(file).real();
    return real->pMethods->xUnlock(real, level);
}

int checkReserved(sqlite3_file *file, int *reserved)
{
    sqlite3_file *real = self(file).real();
    return real->pMethods->xCheckReservedLock(real, reserved);
}

int control(sqlite3_file *, int, void *)
{
    return SQLITE_NOTFOUND;
}

int sectorSize(sqlite3_file *)
{
    return int(kSector);
}

int characteristics(sqlite3_file *)
{
    return 0; // promises nothing
}

constexpr sqlite3_io_methods kMethods{
    1,        closeFile,  readFile,      writeFile, truncateFile, syncFile,        fileSize,
    lockFile, unlockFile, checkReserved, control,   sectorSize,   characteristics, nullptr,
    nullptr,  nullptr,    nullptr,       nullptr,   nullptr,
};

int openFile(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *outFlags)
{
    auto *disk = static_cast<FaultyVfs::Private *>(vfs->pAppData);
    auto *me = new (file) FaultyFile{};
    if (!disk->power)
        return SQLITE_CANTOPEN;
    const int code = disk->system->xOpen(disk->system, name, me->real(), flags, outFlags);
    if (code != SQLITE_OK)
        return code;
    me->disk = disk;
    const auto [state, isNew] = disk->files.try_emplace(name ? name : "");
    if (isNew && name) {
        QFile content(QString::fromLocal8Bit(name));
        if (content.open(QIODevice::ReadOnly))
            state->second.durable = content.readAll();
    }
    me->state = &state->second;
    me->base.pMethods = &kMethods;
    return SQLITE_OK;
}

int deleteFile(sqlite3_vfs *vfs, const char *name, int)
{
    auto *disk = static_cast<FaultyVfs::Private *>(vfs->pAppData);
    if (!disk->spend())
        return SQLITE_IOERR_DELETE;
    disk->files.erase(name);
    return disk->system->xDelete(disk->system, name, 0);
}

} // namespace

FaultyVfs::FaultyVfs() : d(std::make_unique<Private>())
{
    static std::atomic<int> number{0};
    d->name = "faulty-" + std::to_string(++number);
    d->system = sqlite3_vfs_find(nullptr);
    d->vfs = *d->system;
    d->vfs.iVersion = 1;
    d->vfs.szOsFile = int(sizeof(FaultyFile)) + d->system->szOsFile;
    d->vfs.pNext = nullptr;
    d->vfs.zName = d->name.c_str();
    d->vfs.pAppData = d.get();
    d->vfs.xOpen = openFile;
    d->vfs.xDelete = deleteFile;
    // What is left as it was calls the system's functions, which look at their own pAppData only
    // when a file is opened.
    sqlite3_vfs_register(&d->vfs, 0);
}

FaultyVfs::~FaultyVfs()
{
    sqlite3_vfs_unregister(&d->vfs);
}

QByteArray FaultyVfs::name() const
{
    return QByteArray::fromStdString(d->name);
}

void FaultyVfs::setRoom(std::optional<qint64> bytes)
{
    d->room = bytes;
}

void FaultyVfs::cutPowerAfter(int operations)
{
    d->operationsLeft = operations;
}

bool FaultyVfs::hasPower() const
{
    return d->power;
}

int FaultyVfs::operations() const
{
    return d->operations;
}

void FaultyVfs::restart(std::mt19937 &random)
{
    std::bernoulli_distribution reached(0.5);
    for (auto &[name, state] : d->files) {
        for (const Change &change : state.pending) {
            if (change.truncate) {
                if (reached(random))
                    state.apply(change);
                continue;
            }
            for (qint64 at = 0; at < change.bytes.size(); at += kSector) {
                if (reached(random))
                    state.apply({change.offset + at, change.bytes.mid(at, kSector), false});
            }
        }
        state.pending.clear();
        QFile file(QString::fromStdString(name));
        if (file.open(QIODevice::WriteOnly | QIODevice::Truncate))
            file.write(state.durable);
    }
    d->files.clear();
    d->operationsLeft.reset();
    d->power = true;
}

} // namespace lintel
