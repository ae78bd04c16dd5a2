#include "adapters/sqlite/loss_note.h"

#include <QCryptographicHash>
#include <QFile>
#include <QFileInfo>
#include <QtEndian>

#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lintel::sqlite {

namespace {

constexpr int kSlots = 2;
constexpr QByteArrayView kMagic("LntlNote1");
constexpr qsizetype kHashBytes = 32;
constexpr qsizetype kNumbers = 5; // generation, base, noted, from, to
constexpr qsizetype kRecordBytes = kMagic.size() + kNumbers * 8 + kHashBytes;

struct Record {
    quint64 generation = 0;
    LossNote::Content content;
};

[[nodiscard]] QByteArray encode(const Record &record)
{
    QByteArray bytes = kMagic.toByteArray();
    for (const quint64 number :
         {record.generation, record.content.base, record.content.noted, quint64(toEpochMillis(record.content.from)),
          quint64(toEpochMillis(record.content.to))}) {
        std::array<char, 8> raw{};
        qToBigEndian(number, raw.data());
        bytes.append(raw.data(), raw.size());
    }
    return bytes + QCryptographicHash::hash(bytes, QCryptographicHash::Sha256);
}

/// Nothing for a slot that was never written, or not to its end.
[[nodiscard]] std::optional<Record> decode(const QByteArray &bytes)
{
    const QByteArray body = bytes.left(kRecordBytes - kHashBytes);
    if (bytes.size() != kRecordBytes || !body.startsWith(kMagic)
        || QCryptographicHash::hash(body, QCryptographicHash::Sha256) != bytes.right(kHashBytes))
        return std::nullopt;
    const auto number = [&body](qsizetype index) {
        return qFromBigEndian<quint64>(body.constData() + kMagic.size() + index * 8);
    };
    Record record{number(0),
                  {number(1), number(2), fromEpochMillis(qint64(number(3))), fromEpochMillis(qint64(number(4)))}};
    if (record.content.noted < record.content.base)
        return std::nullopt;
    return record;
}

} // namespace

Result<LossNote> LossNote::open(const QString &path)
{
    const int file = ::open(QFile::encodeName(path).constData(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    LossNote note(file, path);
    if (file < 0)
        return note.failure("opened", errno);
    if (const auto loaded = note.load(); !loaded)
        return loaded.error();
    if (const auto reserved = note.reserve(); !reserved)
        return reserved.error();
    return note;
}

LossNote::LossNote(LossNote &&other) noexcept
    : m_file(std::exchange(other.m_file, -1)), m_path(std::move(other.m_path)), m_generation(other.m_generation),
      m_content(other.m_content)
{}

LossNote &LossNote::operator=(LossNote &&other) noexcept
{
    std::swap(m_file, other.m_file);
    std::swap(m_path, other.m_path);
    std::swap(m_generation, other.m_generation);
    std::swap(m_content, other.m_content);
    return *this;
}

LossNote::~LossNote()
{
    if (m_file >= 0)
        ::close(m_file);
}

/// By writing: a file with holes, or one that was merely promised its blocks, may find no room later.
Result<void> LossNote::reserve()
{
    struct stat state {
    };
    if (::fstat(m_file, &state) != 0)
        return failure("read", errno);
    if (state.st_size >= kSlots * kSlotBytes)
        return {};
    const QByteArray zeros(int(kSlotBytes), '\0');
    for (qint64 slot = state.st_size / kSlotBytes; slot < kSlots; ++slot) {
        if (const auto written = put(zeros, slot * kSlotBytes); !written)
            return written.error();
    }
    if (::fsync(m_file) != 0)
        return failure("written", errno);
    const QByteArray folder = QFile::encodeName(QFileInfo(m_path).absolutePath());
    const int directory = ::open(folder.constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        ::fsync(directory);
        ::close(directory);
    }
    return {};
}

Result<void> LossNote::load()
{
    for (qint64 slot = 0; slot < kSlots; ++slot) {
        QByteArray bytes(kRecordBytes, '\0');
        const ssize_t count = ::pread(m_file, bytes.data(), size_t(bytes.size()), slot * kSlotBytes);
        if (count < 0)
            return failure("read", errno);
        bytes.truncate(count);
        const auto record = decode(bytes);
        if (!record || record->generation <= m_generation)
            continue;
        m_generation = record->generation;
        m_content = record->content;
    }
    return {};
}

Result<void> LossNote::write(const Content &content)
{
    // Generation n stands in slot n % 2, so the one before stays whole.
    const quint64 next = m_generation + 1;
    if (const auto written = put(encode({next, content}), qint64(next % kSlots) * kSlotBytes); !written)
        return written.error();
    if (::fdatasync(m_file) != 0)
        return failure("written", errno);
    m_generation = next;
    m_content = content;
    return {};
}

Result<void> LossNote::put(const QByteArray &bytes, qint64 offset)
{
    qsizetype done = 0;
    while (done < bytes.size()) {
        const ssize_t count = ::pwrite(m_file, bytes.constData() + done, size_t(bytes.size() - done), offset + done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return failure("written", count < 0 ? errno : ENOSPC);
        done += count;
    }
    return {};
}

Error LossNote::failure(const char *what, int systemError) const
{
    const bool isFull = systemError == ENOSPC || systemError == EDQUOT || systemError == EFBIG;
    return {isFull ? Errc::Full : Errc::Io,
            QStringLiteral("%1 cannot be %2 (%3); free some space there, and check that it belongs to this user.")
                .arg(m_path, QLatin1StringView(what), qt_error_string(systemError))};
}

} // namespace lintel::sqlite
