#include "authority/text_table.h"

#include <algorithm>

namespace lintel::cli {

using namespace Qt::StringLiterals;

QString textTable(const QStringList &head, const QList<QStringList> &rows)
{
    QList<qsizetype> widths;
    for (qsizetype column = 0; column < head.size(); ++column) {
        qsizetype widest = head.at(column).size();
        for (const QStringList &row : rows)
            widest = std::max(widest, row.value(column).size());
        widths.append(widest);
    }
    const auto line = [&widths](const QStringList &cells) {
        QString text;
        for (qsizetype column = 0; column < widths.size(); ++column)
            text += (cells.value(column).isEmpty() ? u"-"_s : cells.value(column)).leftJustified(widths.at(column) + 2);
        while (text.endsWith(u' '))
            text.chop(1);
        return text + u'\n';
    };
    QString text = line(head);
    for (const QStringList &row : rows)
        text += line(row);
    return text;
}

QString textFacts(const QList<std::pair<QString, QString>> &facts)
{
    qsizetype widest = 0;
    for (const auto &[name, value] : facts)
        if (!value.isEmpty())
            widest = std::max(widest, name.size());
    QString text;
    for (const auto &[name, value] : facts)
        if (!value.isEmpty())
            text += (name + u':').leftJustified(widest + 3) + value + u'\n';
    return text;
}

QString shownTime(qint64 epochMillis)
{
    return epochMillis == 0 ? u"-"_s : toIso8601(fromEpochMillis(epochMillis));
}

QString shownDistance(Timestamp at, Timestamp now)
{
    const bool past = at < now;
    const qint64 seconds = std::chrono::abs(std::chrono::duration_cast<std::chrono::seconds>(at - now)).count();
    QString text;
    if (seconds >= 2 * 86'400)
        text = u"%1 days"_s.arg(seconds / 86'400);
    else if (seconds >= 2 * 3'600)
        text = u"%1 h"_s.arg(seconds / 3'600);
    else if (seconds >= 120)
        text = u"%1 min"_s.arg(seconds / 60);
    else
        text = u"%1 s"_s.arg(seconds);
    return past ? text + u" ago"_s : u"in "_s + text;
}

} // namespace lintel::cli
