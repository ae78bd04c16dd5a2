// A few small values that must survive a restart: Sparkplug's birth counter, what a gateway knows
// of its sensors. Durable when save() returns. Thread: the one that made it.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QString>
#include <QStringList>

#include <optional>

namespace lintel {

class StateStore
{
public:
    StateStore() = default;
    StateStore(const StateStore &) = delete;
    StateStore &operator=(const StateStore &) = delete;
    virtual ~StateStore() = default;

    [[nodiscard]] virtual Result<std::optional<QByteArray>> load(const QString &key) const = 0;
    [[nodiscard]] virtual Result<void> save(const QString &key, const QByteArray &value) = 0;
    [[nodiscard]] virtual Result<void> remove(const QString &key) = 0;
    /// Keys that start with `prefix`, sorted.
    [[nodiscard]] virtual Result<QStringList> keys(const QString &prefix) const = 0;
};

} // namespace lintel
