#include "authority/authority_private.h"

#include <algorithm>

namespace lintel::authority {

void EntryTable::assign(const QList<Entry> &entries)
{
    ++m_revision;
    m_entries.clear();
    m_byParent.clear();
    m_bySpiffeId.clear();
    for (const Entry &entry : entries)
        put(entry);
}

void EntryTable::put(const Entry &entry)
{
    ++m_revision;
    remove(entry.id);
    m_entries.insert(entry.id, entry);
    m_byParent.insert(entry.parentId, entry.id);
    m_bySpiffeId.insert(entry.spiffeId, entry.id);
}

void EntryTable::remove(const QString &id)
{
    const auto found = m_entries.constFind(id);
    if (found == m_entries.cend())
        return;
    ++m_revision;
    m_byParent.remove(found->parentId, id);
    m_bySpiffeId.remove(found->spiffeId, id);
    m_entries.erase(found);
}

const Entry *EntryTable::find(const QString &id) const
{
    const auto found = m_entries.constFind(id);
    return found == m_entries.cend() ? nullptr : &*found;
}

QList<Entry> EntryTable::childrenOf(const SpiffeId &parent) const
{
    QList<Entry> children;
    for (auto [it, end] = m_byParent.equal_range(parent); it != end; ++it)
        children.append(m_entries.value(*it));
    return children;
}

QList<Entry> EntryTable::withId(const SpiffeId &id) const
{
    QList<Entry> found;
    for (auto [it, end] = m_bySpiffeId.equal_range(id); it != end; ++it)
        found.append(m_entries.value(*it));
    return found;
}

QList<Entry> EntryTable::all() const
{
    QList<Entry> list = m_entries.values();
    std::sort(list.begin(), list.end(), [](const Entry &a, const Entry &b) {
        return a.createdAt != b.createdAt ? a.createdAt < b.createdAt : a.id < b.id;
    });
    return list;
}

} // namespace lintel::authority
