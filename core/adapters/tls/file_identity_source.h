// An identity that lies in a directory: svid.pem, svid.key and one <trust domain>.pem per trust
// bundle, as "lintelctl pki issue" writes them. Looks once per interval whether files changed and
// takes the new identity when all of them are whole; until then the last good one stays. A private key that
// its group or others may read or write is refused (Denied); the sentence has the chmod to run.
//
// Lives on the thread that made it; current() may be called from any.
#pragma once

#include "ports/identity_source.h"

#include <QMutex>
#include <QTimer>

#include <chrono>
#include <memory>
#include <optional>

namespace lintel::tls {

class FileIdentitySource final : public IdentitySource
{
    Q_OBJECT
public:
    /// Reads at once, so current() answers right after the constructor.
    explicit FileIdentitySource(QString dir, std::chrono::milliseconds pollInterval = std::chrono::seconds{1},
                                QObject *parent = nullptr);

    [[nodiscard]] Result<std::shared_ptr<const IdentitySnapshot>> current() const override;
    [[nodiscard]] IdentityStatus status() const override;

    /// Looks now instead of at the next interval.
    void refresh();
    /// What is wrong with the files as they lie there; empty when nothing is.
    [[nodiscard]] std::optional<Error> problem() const { return m_problem; }

Q_SIGNALS:
    /// The files cannot be used, or others may read the key; once for each new sentence. An identity
    /// that was good stays in use.
    void problemFound(const lintel::Error &problem);

private:
    void report(std::optional<Error> problem);
    void adopt(std::shared_ptr<const IdentitySnapshot> fresh);

    QString m_dir;
    QTimer m_timer;
    QByteArray m_fingerprint; // of names, sizes and times: what was there when it was last read
    std::optional<Error> m_problem;
    mutable QMutex m_mutex; // guards m_current, which handshakes read on other threads
    std::shared_ptr<const IdentitySnapshot> m_current;
    Error m_missing;
};

} // namespace lintel::tls
