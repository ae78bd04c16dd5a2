// A StateStore of a few small values, one private file each: for the identity, which must not wait
// for the agent's own store and lives on another thread. Thread: the one that made it.
#pragma once

#include "ports/state_store.h"

namespace lintel::spire {

class DirectoryStateStore final : public StateStore
{
public:
    /// Makes the directory (0700) when the first value is saved.
    explicit DirectoryStateStore(QString dir) : m_dir(std::move(dir)) {}

    [[nodiscard]] Result<std::optional<QByteArray>> load(const QString &key) const override;
    [[nodiscard]] Result<void> save(const QString &key, const QByteArray &value) override;
    [[nodiscard]] Result<void> remove(const QString &key) override;
    [[nodiscard]] Result<QStringList> keys(const QString &prefix) const override;

private:
    [[nodiscard]] QString fileOf(const QString &key) const;
    QString m_dir;
};

} // namespace lintel::spire
