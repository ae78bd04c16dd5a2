#include "authority/waiting_notes.h"

#include <algorithm>

namespace lintel::authority {

void WaitingNotes::add(const QString &ekHash, const QString &address, Timestamp now)
{
    if (!m_notes.contains(ekHash) && m_notes.size() >= kMost) {
        const auto oldest = std::min_element(m_notes.cbegin(), m_notes.cend(),
                                             [](const Note &a, const Note &b) { return a.lastAt < b.lastAt; });
        m_notes.erase(oldest);
    }
    Note &note = m_notes[ekHash];
    note.lastAt = now;
    note.address = address;
    ++note.attempts;
}

} // namespace lintel::authority
