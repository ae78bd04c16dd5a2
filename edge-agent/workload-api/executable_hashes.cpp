#include "workload-api/executable_hashes.h"

#include "workload-api/process_files.h"

#include <QCryptographicHash>

#include <algorithm>
#include <utility>

#include <fcntl.h>

namespace lintel::workloads {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

namespace {

constexpr qint64 kMaxHashedBytes = 256 * 1024 * 1024;
constexpr qsizetype kBufferBytes = 256 * 1024;
constexpr qsizetype kManyWaiting = 64; // then those go whom nobody waits for any more
constexpr int kRest = 4;

/// Empty: it cannot be read, or the process runs something else by now.
QString hashOf(const QString &procDir, const grpc::UnixPeer &peer, const QByteArray &fingerprint,
               const std::atomic<bool> &isEnding)
{
    const Descriptor process = openProcess(procDir, peer.pid);
    if (!process.isOpen() || startOf(process) != peer.startedAt)
        return {};
    const Descriptor file(::openat(process.number(), "exe", O_RDONLY | O_CLOEXEC));
    struct stat running {
    };
    if (!file.isOpen() || ::fstat(file.number(), &running) != 0 || running.st_size > kMaxHashedBytes
        || fingerprintOf(running) != fingerprint)
        return {};
    QCryptographicHash sha256(QCryptographicHash::Sha256);
    QByteArray buffer(kBufferBytes, Qt::Uninitialized);
    while (!isEnding) {
        const ssize_t got = ::read(file.number(), buffer.data(), size_t(buffer.size()));
        if (got < 0)
            return {};
        if (got == 0)
            return QString::fromLatin1(sha256.result().toHex());
        sha256.addData(QByteArrayView(buffer.constData(), got));
    }
    return {};
}

} // namespace

ExecutableHashes::ExecutableHashes(QString procDir, QObject *parent) : QObject(parent), m_procDir(std::move(procDir))
{
    m_pool.setMaxThreadCount(1);
    m_later.setSingleShot(true);
    connect(&m_later, &QTimer::timeout, this, &ExecutableHashes::next);
}

ExecutableHashes::~ExecutableHashes()
{
    m_isEnding = true;
    m_pool.waitForDone();
}

std::shared_ptr<const ExecutableHash> ExecutableHashes::ask(const grpc::UnixPeer &process, const QByteArray &file)
{
    if (m_users.count(process.uid) == 0)
        makeRoomForAUser();
    User &user = m_users[process.uid];
    user.lastUse = ++m_uses;
    if (const auto known = find(user, file))
        return std::make_shared<const ExecutableHash>(ExecutableHash{true, *known});
    if (user.waiting.size() >= kManyWaiting)
        user.waiting.removeIf([](const Job &job) { return job.answer.expired(); });
    const auto answer = std::make_shared<ExecutableHash>();
    user.waiting.append({process, file, answer});
    // Not before whoever asks holds the answer.
    QMetaObject::invokeMethod(this, &ExecutableHashes::next, Qt::QueuedConnection);
    return answer;
}

/// Those go for whom nothing is read, and who need not wait: their pause would go with them.
void ExecutableHashes::makeRoomForAUser()
{
    const auto now = SteadyClock::now();
    while (m_users.size() >= kMaxUsers) {
        auto oldest = m_users.end();
        for (auto it = m_users.begin(); it != m_users.end(); ++it) {
            const bool isIdle = it->second.waiting.isEmpty() && it->second.notBefore < now;
            if (isIdle && (oldest == m_users.end() || it->second.lastUse < oldest->second.lastUse))
                oldest = it;
        }
        if (oldest == m_users.end())
            return;
        m_users.erase(oldest);
    }
}

std::optional<QString> ExecutableHashes::find(User &user, const QByteArray &file)
{
    const auto known = user.hashes.find(file);
    if (known == user.hashes.end())
        return std::nullopt;
    known->lastUse = ++m_uses;
    return known->hex;
}

/// The first file of the next user, behind the last one's, who may have one read now.
void ExecutableHashes::next()
{
    if (m_isReading || m_users.empty())
        return;
    bool isAnyKnown = false;
    const auto now = SteadyClock::now();
    std::optional<SteadyClock::time_point> soonest;
    auto at = m_users.upper_bound(m_lastUser);
    for (size_t i = 0; i < m_users.size(); ++i, ++at) {
        if (at == m_users.end())
            at = m_users.begin();
        User &user = at->second;
        user.waiting.removeIf([&](const Job &job) {
            const auto answer = job.answer.lock();
            if (!answer)
                return true;
            const auto known = find(user, job.file);
            if (!known)
                return false;
            *answer = {true, *known};
            isAnyKnown = true;
            return true;
        });
        if (user.waiting.isEmpty())
            continue;
        if (user.notBefore > now) {
            soonest = std::min(soonest.value_or(user.notBefore), user.notBefore);
            continue;
        }
        const Job job = user.waiting.takeFirst();
        m_isReading = true;
        m_lastUser = at->first;
        m_answer = job.answer.lock();
        m_pool.start([this, job] {
            const auto began = SteadyClock::now();
            const QString hex = hashOf(m_procDir, job.process, job.file, m_isEnding);
            const auto took = SteadyClock::now() - began;
            QMetaObject::invokeMethod(
                this, [this, uid = job.process.uid, file = job.file, hex, took] { read(uid, file, hex, took); },
                Qt::QueuedConnection);
        });
        break;
    }
    if (!m_isReading && soonest)
        m_later.start(std::chrono::ceil<std::chrono::milliseconds>(*soonest - now));
    if (isAnyKnown)
        Q_EMIT known();
}

void ExecutableHashes::read(uint uid, const QByteArray &file, const QString &hex, std::chrono::nanoseconds took)
{
    m_isReading = false;
    ++m_filesRead;
    User &user = m_users[uid];
    user.notBefore = SteadyClock::now() + kRest * took;
    if (!hex.isEmpty()) {
        if (user.hashes.size() >= kMaxHashesOfUser)
            user.hashes.erase(std::min_element(user.hashes.cbegin(), user.hashes.cend(),
                                               [](const Known &a, const Known &b) { return a.lastUse < b.lastUse; }));
        user.hashes.insert(file, {hex, ++m_uses});
    }
    if (const auto answer = std::exchange(m_answer, nullptr)) {
        answer->hex = hex;
        answer->isKnown = true;
    }
    next();
    Q_EMIT known();
}

} // namespace lintel::workloads
