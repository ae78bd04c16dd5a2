#include "authority/refusal_log.h"

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMostText = 300;
}

void RefusalLog::add(const QString &address, const QString &subject, const QString &reason, Timestamp now)
{
    std::pair key{address, reason.left(kMostText)};
    QString who = subject.left(kMostText);
    if (!m_refusals.contains(key)) {
        // One key stays free of each limit: the one that counts all the rest.
        if (m_reasons.value(address) >= kMostReasons - 1) {
            key.second = u"other reasons"_s;
            who = address;
        }
        if (!m_refusals.contains(key) && m_refusals.size() >= kMost - 1) {
            key = {u"other addresses"_s, u"more than are told apart"_s};
            who = key.first;
        }
    }
    auto found = m_refusals.find(key);
    if (found == m_refusals.end()) {
        ++m_reasons[key.first];
        found = m_refusals.insert(key, {key.first, who, key.second, now, now, 0});
    }
    found->lastAt = now;
    ++found->count;
}

QList<Refusal> RefusalLog::all() const
{
    QList<Refusal> all = m_refusals.values();
    std::sort(all.begin(), all.end(), [](const Refusal &a, const Refusal &b) { return a.lastAt < b.lastAt; });
    return all;
}

void RefusalLog::clear()
{
    m_refusals.clear();
    m_reasons.clear();
}

} // namespace lintel::authority
