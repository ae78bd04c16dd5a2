// When those who wait for approval came again, and from where: in memory, since a device that nobody knows
// causes it as often as it likes. Bounded: of too many, those whose last attempt is longest
// ago are forgotten. Pure; one thread.
#pragma once

#include "domain/timestamp.h"

#include <QHash>
#include <QString>

namespace lintel::authority {

class WaitingNotes
{
public:
    static constexpr qsizetype kMost = 1'000;

    struct Note {
        Timestamp lastAt{}; // zero: it has not come
        QString address;
        qint64 attempts = 0;
    };

    void add(const QString &ekHash, const QString &address, Timestamp now);
    [[nodiscard]] Note of(const QString &ekHash) const { return m_notes.value(ekHash); }
    void remove(const QString &ekHash) { m_notes.remove(ekHash); }
    [[nodiscard]] const QHash<QString, Note> &all() const { return m_notes; } // by EK hash
    [[nodiscard]] qsizetype size() const { return m_notes.size(); }

private:
    QHash<QString, Note> m_notes;
};

} // namespace lintel::authority
