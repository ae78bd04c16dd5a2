#include "authority/enrolment_csv.h"

#include "domain/ek_hash.h"

#include <QHash>
#include <QStringDecoder>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
constexpr int kMaxRows = 100'000;
constexpr qsizetype kMaxTextLength = 200;
constexpr qsizetype kMaxProblems = 1'000; // more than that nobody mends by hand

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
                if (wasQuoted && !c.isSpace()) {
                    problem = u"There is text after the closing quote of a field."_s;
                    problemField = row.fields.size();
                }
                field += c;
            }
        }
        if (quoted) {
            problem = u"A quoted field is not closed."_s;
            problemField = row.fields.size();
        }
        row.fields.append(field.trimmed());
        return true;
    }

    const QString &text;
    qsizetype problemField = 0; // where next() found it
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
    /// What is wrong, behind its column's name.
    QString named(qsizetype place, const QString &what) const
    {
        const QString column = places.key(place);
        return column.isEmpty() ? what : column + u": "_s + what;
    }
};

struct FactProblem {
    QString column; // empty: none
    QString what;
};

FactProblem findProblem(const DeviceFacts &facts)
{
    if (facts.name.isEmpty())
        return {u"name"_s, u"The device has no name."_s};
    if (facts.name.size() > 64 || facts.name.contains(u'/') || !SpiffeId::parse(u"spiffe://x/agent/"_s + facts.name))
        return {u"name"_s, u"\"%1\" cannot be the name of a device: up to 64 letters, digits, '.', '-' and '_'."_s.arg(
                               facts.name.left(80))};
    QList<std::pair<QString, QString>> texts{{u"kind"_s, facts.kind},
                                             {u"site"_s, facts.site},
                                             {u"space"_s, facts.space},
                                             {u"hardware"_s, facts.hardware},
                                             {u"release"_s, facts.release}};
    for (const QString &tag : facts.tags)
        texts.append({u"tags"_s, tag});
    for (const auto &[column, text] : std::as_const(texts))
        if (text.size() > kMaxTextLength
            || std::any_of(text.cbegin(), text.cend(), [](QChar c) { return !c.isPrint(); }))
            return {column, u"\"%1…\" is too long, or has characters that cannot be shown."_s.arg(
                                QString(text.left(20)).remove(QChar::Null).simplified())};
    if (facts.hardware.isEmpty() && !facts.release.isEmpty())
        return {u"release"_s, u"A release belongs to a hardware: say both, or the hardware alone."_s};
    return {};
}

/// Of text in another encoding: a name that is written down wrong would be wrong for good.
QList<EnrolmentProblem> linesThatAreNotUtf8(const QByteArray &csv)
{
    QList<EnrolmentProblem> problems;
    const QList<QByteArray> lines = csv.split('\n');
    for (qsizetype i = 0; i < lines.size() && problems.size() < kMaxProblems; ++i) {
        QStringDecoder decoder(QStringDecoder::Utf8, QStringConverter::Flag::Stateless);
        const QString decoded = decoder(lines.at(i));
        if (decoder.hasError())
            problems.append({int(i + 1), u"The line is not UTF-8; save the list in that encoding."_s});
    }
    return problems;
}

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
        return Error{Errc::Malformed, u"hash: "_s + hash.error().message};
    result.ekHash = *hash;
    QString tags = columns.of(row, u"tags"_s);
    result.facts = {columns.of(row, u"name"_s),
                    columns.of(row, u"kind"_s),
                    columns.of(row, u"site"_s),
                    columns.of(row, u"space"_s),
                    tags.replace(u';', u' ').split(u' ', Qt::SkipEmptyParts),
                    columns.of(row, u"hardware"_s),
                    columns.of(row, u"release"_s)};
    if (const FactProblem problem = findProblem(result.facts); !problem.what.isEmpty())
        return Error{Errc::Malformed, problem.column + u": "_s + problem.what};
    return result;
}
} // namespace

Result<QString> parseEkHash(const QString &text)
{
    QString hash = text.toLower();
    hash.removeIf([](QChar c) { return c == u':' || c == u' '; });
    if (!isEkHash(hash))
        return Error{
            Errc::Malformed,
            u"\"%1\" is not the hash of an endorsement key: 64 hexadecimal digits are needed."_s.arg(text.left(80))};
    return hash;
}

Result<void> checkFacts(const DeviceFacts &facts)
{
    const FactProblem problem = findProblem(facts);
    return problem.what.isEmpty() ? Result<void>() : Error{Errc::Malformed, problem.what};
}

EnrolmentList parseEnrolments(const QByteArray &csv)
{
    EnrolmentList list;
    list.problems = linesThatAreNotUtf8(csv);
    if (!list.problems.isEmpty())
        return list;
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
        if (list.problems.size() == kMaxProblems) {
            list.problems.append({row.line, u"What follows was not looked at: there are too many broken rows."_s});
            return list;
        }
        if (!problem.isEmpty() && hasHead)
            problem = columns.named(splitter.problemField, problem);
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
                problem = u"hash: The same stands in line %1."_s.arg(first);
            else if (const int other = names.value(enrolment->facts.name); other > 0)
                problem = u"name: The same stands in line %1."_s.arg(other);
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
