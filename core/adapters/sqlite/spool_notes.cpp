// What is nowhere but in memory: noting it, and writing it down as lost after a crash.
#include "adapters/sqlite/spool_group.h"

#include <QLoggingCategory>

#include <algorithm>

namespace lintel {

namespace {

Q_LOGGING_CATEGORY(spoolLog, "lintel.spool")

/// Times of both; those of nothing, or at the epoch, are unknown.
[[nodiscard]] Unstored together(const Unstored &a, const Unstored &b)
{
    const auto isTimed = [](const Unstored &one) {
        return one.readings > 0 && (one.from != Timestamp{} || one.to != Timestamp{});
    };
    Unstored sum = isTimed(a) ? a : b;
    sum.readings = a.readings + b.readings;
    if (isTimed(a) && isTimed(b)) {
        sum.from = std::min(a.from, b.from);
        sum.to = std::max(a.to, b.to);
    }
    return sum;
}

} // namespace

Result<void> SqliteSpool::openNote()
{
    if (m_note)
        return {};
    auto note = sqlite::LossNote::open(m_options.path + QStringLiteral(".note"));
    if (!note)
        return note.error();
    m_note = *std::move(note);
    // A spool that begins anew beside an old note has settled nothing of it, and knows nothing from before it.
    if (const auto &content = m_note->content())
        m_totals.settled = std::max(m_totals.settled, content->base);
    if (const quint64 lost = notedReadings(); lost > 0)
        m_lostBefore = {lost, m_note->content()->from, m_note->content()->to};
    return {};
}

void SqliteSpool::learnLostBefore()
{
    if (const auto opened = openNote(); !opened) {
        qCWarning(spoolLog).noquote() << QStringLiteral(
                                             "Readings that the disk refuses cannot be noted before they are lost: %1")
                                             .arg(opened.error().message);
        return;
    }
    const quint64 lost = m_lostBefore.readings;
    if (lost == 0)
        return;
    const auto recorded = recordLostBefore();
    qCWarning(spoolLog).noquote()
        << QStringLiteral(
               "%1 readings were held in memory when the process before ended and never reached the disk; %2")
               .arg(lost)
               .arg(
                   recorded
                       ? QStringLiteral("their loss is recorded and reported.")
                       : QStringLiteral("their loss is recorded when there is room: %1").arg(recorded.error().message));
}

Result<void> SqliteSpool::recordLostBefore()
{
    const Loss loss{m_options.device,         {}, 0, 0, m_lostBefore.readings, m_lostBefore.from, m_lostBefore.to,
                    LossReason::StorageFailed};
    const IncomingBatch notice{ReadingBatch{m_options.device, {}, {loss}}, std::nullopt, m_lostBefore.readings};
    auto group = sortOut({&notice, 1});
    if (!group)
        return group.error();
    if (const auto committed = commit(*group); !committed)
        return committed.error();
    m_lostBefore = {};
    return {};
}

quint64 SqliteSpool::notedReadings() const
{
    if (!m_note || !m_note->content())
        return 0;
    const quint64 noted = m_note->content()->noted;
    return noted - std::min(noted, m_totals.settled);
}

Result<void> SqliteSpool::noteUnstored(const Unstored &held)
{
    if (const auto opened = openNote(); !opened)
        return opened.error();
    const Unstored all = together(m_lostBefore, held);
    if (all.readings == 0 && notedReadings() == 0)
        return {};
    sqlite::LossNote::Content content;
    content.base = notedReadings() > 0 ? m_note->content()->base : m_totals.settled;
    content.noted = m_totals.settled + all.readings;
    content.from = all.from;
    content.to = all.to;
    if (m_note->content() == content)
        return {};
    return m_note->write(content);
}

} // namespace lintel
