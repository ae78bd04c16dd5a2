#include "authority/enrolment_csv.h"

#include <QHash>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
constexpr int kMaxRows = 100'000;
constexpr qsizetype kMaxTextLength = 200;

struct Row {
    int line = 0;
    QStringList fields;
};

/// RFC 4180, with either end of line; a quoted field may hold commas, quotes and ends of line.
struct Splitter {
    explicit Splitter(const QString &csv) : text(csv) {}

    bool next(Row &row, QString &problem)
    {
        row = {line, {}};
        problem.clear();
        if (at >= text.size())
            return false;
        QString field;
        bool quoted = false;
        bool wasQuoted = false;
        while (at < text.size()) {
            const QChar c = text[at++];
            if (c == u'\n')
                ++line;
            if (quoted) {
                if (c != u'"') {
                    field += c;
                } else if (at < text.size() && text[at] == u'"') {
                    field += c;
                    ++at;
                } else {
                    quoted = false;
                }
            } else if (c == u'"' && field.trimmed().isEmpty() && !wasQuoted) {
                field.clear();
                quoted = wasQuoted = true;
            } else if (c == u',') {
                row.fields.append(field.trimmed());
                field.clear();
                wasQuoted = false;
            } else if (c == u'\n') {
                break;
            } else if (c != u'\r') {
                if (wasQuoted && !c.isSpace())
                    problem = u"There is text after the closing quote of a field."_s;
                field += c;
            }
        }
        if (quoted)
            problem = u"A quoted field is not closed."_s;
        row.fields.append(field.trimmed());
        return true;
    }

    const QString &text;
    qsizetype at = 0;
    int line = 1;
};

bool isBlank(const Row &row)
{
    return row.fields.size() == 1 && row.fields.first().isEmpty();
}

struct Columns {
    QHash<QString, qsizetype> places;
    QString of(const Row &row, const QString &name) const
    {
        const auto place = places.value(name, -1);
        return place < 0 ? QString() : row.fields.value(place);
    }
};

/// Empty: fine.
QString readHead(const Row &head, Columns &columns)
{
    static const QStringList known{u"hash"_s,  u"name"_s, u"kind"_s,     u"site"_s,
                                   u"space"_s, u"tags"_s, u"hardware"_s, u"release"_s};
    for (qsizetype i = 0; i < head.fields.size(); ++i) {
        const QString name = head.fields[i].toLower();
        if (!known.contains(name))
            return u"The head line has \"%1\"; it may have hash, name, kind, site, space, tags, hardware and "
                   "release."_s.arg(name.left(40));
        if (columns.places.contains(name))
            return u"The head line has \"%1\" twice."_s.arg(name);
        columns.places.insert(name, i);
    }
    if (!columns.places.contains(u"hash"_s) || !columns.places.contains(u"name"_s))
        return u"The head line needs hash and name, for example: hash,name,kind,site,space,tags"_s;
    return {};
}

Result<EnrolmentRow> readRow(const Row &row, const Columns &columns)
{
    if (row.fields.size() != columns.places.size())
        return Error{
            Errc::Malformed,
            u"The row has %1 fields, the head line has %2."_s.arg(row.fields.size()).arg(columns.places.size())};
    EnrolmentRow result;
    result.line = row.line;
    auto hash = parseEkHash(columns.of(row, u"hash"_s));
    if (!hash)
        return hash.error();
    result.ekHash = *hash;
    QString tags = columns.of(row, u"tags"_s);
    result.facts = {columns.of(row, u"name"_s),
                    columns.of(row, u"kind"_s),
                    columns.of(row, u"site"_s),
                    columns.of(row, u"space"_s),
                    tags.replace(u';', u' ').split(u' ', Qt::SkipEmptyParts),
                    columns.of(row, u"hardware"_s),
                    columns.of(row, u"release"_s)};
    if (const auto checked = checkFacts(result.facts); !checked)
        return checked.error();
    return result;
}
} // namespace

Result<QString> parseEkHash(const QString &text)
{
    QString hash = text.toLower();
    hash.removeIf([](QChar c) { return c == u':' || c == u' '; });
    const bool isHex = std::all_of(hash.cbegin(), hash.cend(), [](QChar c) {
        const char16_t u = c.unicode();
        return (u >= u'0' && u <= u'9') || (u >= u'a' && u <= u'f');
    });
    if (hash.size() != 64 || !isHex)
        return Error{
            Errc::Malformed,
            u"\"%1\" is not the hash of an endorsement key: 64 hexadecimal digits are needed."_s.arg(text.left(80))};
    return hash;
}

Result<void> checkFacts(const DeviceFacts &facts)
{
    const auto malformed = [](const QString &message) { return Error{Errc::Malformed, message}; };
    if (facts.name.isEmpty())
        return malformed(u"The device has no name."_s);
    if (facts.name.size() > 64 || facts.name.contains(u'/') || !SpiffeId::parse(u"spiffe://x/agent/"_s + facts.name))
        return malformed(u"\"%1\" cannot be the name of a device: up to 64 letters, digits, '.', '-' and '_'."_s.arg(
            facts.name.left(80)));
    QStringList texts = facts.tags;
    texts << facts.kind << facts.site << facts.space << facts.hardware << facts.release;
    for (const QString &text : std::as_const(texts))
        if (text.size() > kMaxTextLength
            || std::any_of(text.cbegin(), text.cend(), [](QChar c) { return !c.isPrint(); }))
            return malformed(u"\"%1…\" is too long, or has characters that cannot be shown."_s.arg(
                QString(text.left(20)).remove(QChar::Null).simplified()));
    if (facts.hardware.isEmpty() && !facts.release.isEmpty())
        return malformed(u"A release belongs to a hardware: say both, or the hardware alone."_s);
    return {};
}

EnrolmentList parseEnrolments(const QByteArray &csv)
{
    EnrolmentList list;
    const QString text = QString::fromUtf8(csv.startsWith("\xef\xbb\xbf") ? csv.sliced(3) : csv);
    Splitter splitter(text);
    Columns columns;
    QHash<QString, int> hashes;
    QHash<QString, int> names;
    Row row;
    QString problem;
    bool hasHead = false;
    while (splitter.next(row, problem)) {
        if (problem.isEmpty() && isBlank(row))
            continue;
        if (!hasHead) {
            hasHead = true;
            if (problem.isEmpty())
                problem = readHead(row, columns);
            if (problem.isEmpty())
                continue;
            list.problems.append({row.line, problem});
            return list; // without a head line no row means anything
        }
        if (problem.isEmpty()) {
            const auto enrolment = readRow(row, columns);
            if (!enrolment)
                problem = enrolment.error().message;
            else if (const int first = hashes.value(enrolment->ekHash); first > 0)
                problem = u"The same hash stands in line %1."_s.arg(first);
            else if (const int other = names.value(enrolment->facts.name); other > 0)
                problem = u"The same name stands in line %1."_s.arg(other);
            else {
                hashes.insert(enrolment->ekHash, row.line);
                names.insert(enrolment->facts.name, row.line);
                list.rows.append(*enrolment);
            }
        }
        if (!problem.isEmpty())
            list.problems.append({row.line, problem});
        if (list.rows.size() > kMaxRows) {
            list.problems.append({row.line, u"The list is longer than %1 rows; split it."_s.arg(kMaxRows)});
            return list;
        }
    }
    if (!hasHead)
        list.problems.append({1, u"The list is empty; it begins with: hash,name,kind,site,space,tags"_s});
    return list;
}

} // namespace lintel::authority
