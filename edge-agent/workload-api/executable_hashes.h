// The SHA-256 of what callers of the Workload API run. A file of many megabytes takes seconds to read, and
// whoever runs it can make it another one by touching it: so a worker reads, one file at a time, in turn for
// each user; and a user whose file was read waits four times as long as that took before his next one is. Nobody
// can keep others waiting for longer than one file, or take more of the machine than a fifth of one processor.
//
// Lives on its owner's thread; the destructor waits until the worker has put its file down (at once).
#pragma once

#include "grpc/grpc_types.h"

#include <QHash>
#include <QObject>
#include <QThreadPool>
#include <QTimer>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>

namespace lintel::workloads {

/// One answer; whoever asked holds it.
struct ExecutableHash {
    bool isKnown = false;
    QString hex; // lower case; empty: it cannot be read, or is larger than 256 MiB
};

class ExecutableHashes final : public QObject
{
    Q_OBJECT
public:
    explicit ExecutableHashes(QString procDir, QObject *parent = nullptr);
    ~ExecutableHashes() override;

    /// Of what `process` runs, as long as that is the file with this fingerprint. When the answer is not known
    /// yet, known() comes later. An answer that nobody holds any more is not looked for.
    [[nodiscard]] std::shared_ptr<const ExecutableHash> ask(const grpc::UnixPeer &process, const QByteArray &file);

    static constexpr qsizetype kMaxHashesOfUser = 128; // all containers of a host are one user, as a rule
    static constexpr size_t kMaxUsers = 64;

    /// How many files were read since the beginning.
    [[nodiscard]] quint64 filesRead() const { return m_filesRead; }

Q_SIGNALS:
    void known();

private:
    struct Job {
        grpc::UnixPeer process;
        QByteArray file;
        std::weak_ptr<ExecutableHash> answer;
    };
    struct Known {
        QString hex;
        quint64 lastUse = 0;
    };
    struct User {
        QList<Job> waiting;
        QHash<QByteArray, Known> hashes; // by the file's fingerprint
        std::chrono::steady_clock::time_point notBefore{};
        quint64 lastUse = 0;
    };

    void makeRoomForAUser();
    [[nodiscard]] std::optional<QString> find(User &user, const QByteArray &file);
    void next();
    void read(uint uid, const QByteArray &file, const QString &hex, std::chrono::nanoseconds took);

    QString m_procDir;
    std::map<uint, User> m_users;
    std::shared_ptr<ExecutableHash> m_answer; // of the file that is being read
    uint m_lastUser = 0;
    bool m_isReading = false;
    quint64 m_filesRead = 0;
    quint64 m_uses = 0; // what was used longest ago goes first
    QTimer m_later;
    std::atomic<bool> m_isEnding = false;
    QThreadPool m_pool; // last: its thread ends before what it uses
};

} // namespace lintel::workloads
