// A note beside a spool's file, of readings that are nowhere but in memory: written while the disk has no
// room, so its place was reserved before. Two slots take turns, each in a block of its own, so that a
// power cut spoils the newest note at most; nothing is ever appended.
//
// Numbers only grow. `noted` counts every reading that was ever noted, the spool's totals count those that
// were settled since, in the transaction that settled them; the difference is what a crash loses. So the
// note and the spool agree at every moment, and no note needs to be taken back.
//
// Where there is no room to reserve the place, nothing can be noted: the spool says so when it is opened and
// tries again with each append, so that the note is there once a disk has been freed, before it is full again.
//
// File systems that never write in place (Btrfs, ZFS) may need room even for this; write() says so then.
//
// Owner: SqliteSpool. Thread: its thread. Failure: Errc::Full or Io in a sentence; the note before stands.
#pragma once

#include "domain/result.h"
#include "domain/timestamp.h"

#include <QByteArray>
#include <QString>

#include <optional>

namespace lintel::sqlite {

class LossNote
{
public:
    struct Content {
        quint64 base = 0;  // what was settled when nothing else was noted
        quint64 noted = 0; // at least base
        Timestamp from{};
        Timestamp to{};

        friend bool operator==(const Content &, const Content &) = default;
    };
    static constexpr qint64 kSlotBytes = 4096;

    /// Makes the file (mode 0600) and reserves its place when it is not there.
    [[nodiscard]] static Result<LossNote> open(const QString &path);
    LossNote(LossNote &&other) noexcept;
    LossNote &operator=(LossNote &&other) noexcept;
    ~LossNote();

    /// The newest note that can be read; nothing when there was none.
    [[nodiscard]] const std::optional<Content> &content() const { return m_content; }
    /// On stable storage when it returns.
    [[nodiscard]] Result<void> write(const Content &content);

private:
    LossNote(int file, QString path) : m_file(file), m_path(std::move(path)) {}
    [[nodiscard]] Result<void> reserve();
    [[nodiscard]] Result<void> load();
    [[nodiscard]] Result<void> put(const QByteArray &bytes, qint64 offset);
    [[nodiscard]] Error failure(const char *what, int systemError) const;

    int m_file = -1;
    QString m_path;
    quint64 m_generation = 0;
    std::optional<Content> m_content;
};

} // namespace lintel::sqlite
