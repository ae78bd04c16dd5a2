// A StateStore that forgets everything with the process. One thread.
//
// failWith() makes the next calls of save() and remove() fail, as a full or broken disk would.
#pragma once

#include "ports/state_store.h"

#include <QMap>

namespace lintel {

class MemoryStateStore final : public StateStore
{
public:
    [[nodiscard]] Result<std::optional<QByteArray>> load(const QString &key) const override
    {
        const auto found = m_values.constFind(key);
        if (found == m_values.constEnd())
            return std::optional<QByteArray>{};
        return std::optional<QByteArray>{*found};
    }

    [[nodiscard]] Result<void> save(const QString &key, const QByteArray &value) override
    {
        if (m_failure)
            return *m_failure;
        m_values.insert(key, value);
        return {};
    }

    [[nodiscard]] Result<void> remove(const QString &key) override
    {
        if (m_failure)
            return *m_failure;
        m_values.remove(key);
        return {};
    }

    [[nodiscard]] Result<QStringList> keys(const QString &prefix) const override
    {
        QStringList found;
        for (auto it = m_values.lowerBound(prefix); it != m_values.constEnd() && it.key().startsWith(prefix); ++it)
            found.append(it.key());
        return found;
    }

    /// Every write fails like this until it is set to nothing again.
    void failWith(std::optional<Error> failure) { m_failure = std::move(failure); }

private:
    QMap<QString, QByteArray> m_values;
    std::optional<Error> m_failure;
};

} // namespace lintel
