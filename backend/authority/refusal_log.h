// Attestations that were turned away, merged in memory: anybody on the network can cause them, so they cost a
// count, not a write. Bounded: what is too much for it is counted together. Pure; one thread.
#pragma once

#include "authority/records.h"

#include <QHash>

namespace lintel::authority {

class RefusalLog
{
public:
    static constexpr int kMostReasons = 20; // of one address
    static constexpr int kMost = 1'000;

    void add(const QString &address, const QString &subject, const QString &reason, Timestamp now);
    /// By the time of the last.
    [[nodiscard]] QList<Refusal> all() const;
    [[nodiscard]] bool isEmpty() const { return m_refusals.isEmpty(); }
    void clear();

private:
    QHash<std::pair<QString, QString>, Refusal> m_refusals; // by address and reason
    QHash<QString, int> m_reasons;                          // how many different ones, by address
};

} // namespace lintel::authority
