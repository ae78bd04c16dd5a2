#include "adapters/yaml/config_reader.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace lintel::config {

using namespace Qt::StringLiterals;

namespace {

struct Suffix {
    QStringView text;
    qint64 factor;
};

constexpr std::array durationSuffixes{
    Suffix{u"ms", 1},        Suffix{u"s", 1'000},      Suffix{u"min", 60'000}, Suffix{u"m", 60'000},
    Suffix{u"h", 3'600'000}, Suffix{u"d", 86'400'000}, Suffix{u"", 1'000},
};
constexpr std::array sizeSuffixes{
    Suffix{u"KiB", 1024}, Suffix{u"MiB", 1024 * 1024}, Suffix{u"GiB", 1024 * 1024 * 1024}, Suffix{u"B", 1},
    Suffix{u"", 1},
};

/// Digits and one of the suffixes.
std::optional<qint64> scaled(QStringView text, std::span<const Suffix> suffixes)
{
    const auto end = std::find_if(text.begin(), text.end(), [](QChar c) { return c < u'0' || c > u'9'; });
    const QStringView digits = text.first(end - text.begin());
    const QStringView unit = text.sliced(digits.size()).trimmed();
    bool isNumber = false;
    const qint64 count = digits.toLongLong(&isNumber);
    if (!isNumber)
        return std::nullopt;
    for (const Suffix &suffix : suffixes) {
        if (suffix.text != unit)
            continue;
        if (count > std::numeric_limits<qint64>::max() / suffix.factor)
            return std::nullopt;
        return count * suffix.factor;
    }
    return std::nullopt;
}

bool isClean(const QString &text)
{
    return !text.isEmpty()
           && std::none_of(text.begin(), text.end(), [](QChar c) { return c.category() == QChar::Other_Control; });
}

QString inOrder(double value)
{
    return QString::number(value, 'g', 6);
}

} // namespace

void Problems::add(const QString &file, int line, const QString &what)
{
    m_problems.append({line, u"%1:%2: %3"_s.arg(file).arg(line).arg(what)});
}

QStringList Problems::messages() const
{
    QList<Problem> sorted = m_problems;
    std::stable_sort(sorted.begin(), sorted.end(), [](const Problem &a, const Problem &b) { return a.line < b.line; });
    QStringList texts;
    for (const Problem &problem : sorted)
        texts.append(problem.text);
    return texts;
}

Error Problems::error() const
{
    return Error{Errc::Malformed, messages().join(u'\n')};
}

Section::Section(const Document &document, Problems &problems)
    : m_node(&document.root), m_file(document.file), m_line(document.root.line), m_problems(&problems)
{}

Section::Section(const Node *node, QString path, QString file, int line, Problems *problems)
    : m_node(node), m_path(std::move(path)), m_file(std::move(file)), m_line(line), m_problems(problems)
{}

Section::Section(Section &&other) noexcept
    : m_node(other.m_node), m_path(std::move(other.m_path)), m_file(std::move(other.m_file)), m_line(other.m_line),
      m_problems(std::exchange(other.m_problems, nullptr)), m_known(std::move(other.m_known))
{}

Section::~Section()
{
    finish();
}

bool Section::has(QStringView key) const
{
    const Node *found = m_node ? m_node->find(key) : nullptr;
    return found != nullptr && found->type != Node::Type::Null;
}

QStringList Section::keys() const
{
    QStringList names;
    if (m_node) {
        for (const Entry &entry : m_node->entries)
            names.append(entry.key);
    }
    return names;
}

void Section::require(std::initializer_list<QStringView> keys)
{
    for (const QStringView key : keys) {
        if (isPresent() && !has(key) && m_problems)
            m_problems->add(m_file, m_line, u"%1: this must be given."_s.arg(pathOf(key)));
    }
}

void Section::text(QStringView key, QString &out)
{
    const Node *found = takeScalar(key, u"a text"_s);
    if (found == nullptr)
        return;
    if (!isClean(found->scalar))
        return expected(key, *found, u"a text that is not empty and has no control characters"_s);
    out = found->scalar;
}

void Section::text(QStringView key, std::optional<QString> &out)
{
    QString value;
    text(key, value);
    if (!value.isEmpty())
        out = value;
}

void Section::character(QStringView key, QChar &out)
{
    const Node *found = takeScalar(key, u"one character"_s);
    if (found == nullptr)
        return;
    if (found->scalar == "tab"_L1)
        out = u'\t';
    else if (found->scalar.size() == 1)
        out = found->scalar.front();
    else
        expected(key, *found, u"one character, or tab"_s);
}

void Section::flag(QStringView key, bool &out)
{
    const Node *found = takeScalar(key, u"true or false"_s);
    if (found == nullptr)
        return;
    static const QStringList yes{u"true"_s, u"yes"_s, u"on"_s};
    static const QStringList no{u"false"_s, u"no"_s, u"off"_s};
    if (!found->quoted && yes.contains(found->scalar, Qt::CaseInsensitive))
        out = true;
    else if (!found->quoted && no.contains(found->scalar, Qt::CaseInsensitive))
        out = false;
    else
        expected(key, *found, u"true or false"_s);
}

void Section::number(QStringView key, double &out, double min, double max)
{
    const bool isLimited = min > std::numeric_limits<double>::lowest() || max < std::numeric_limits<double>::max();
    const QString wanted = isLimited ? u"a number from %1 to %2"_s.arg(inOrder(min), inOrder(max)) : u"a number"_s;
    const Node *found = takeScalar(key, wanted);
    if (found == nullptr)
        return;
    bool isNumber = false;
    const double value = found->scalar.toDouble(&isNumber);
    if (found->quoted || !isNumber || !std::isfinite(value) || value < min || value > max)
        return expected(key, *found, wanted);
    out = value;
}

void Section::number(QStringView key, std::optional<double> &out, double min, double max)
{
    double value = std::numeric_limits<double>::quiet_NaN();
    number(key, value, min, max);
    if (!std::isnan(value))
        out = value;
}

std::optional<qint64> Section::wholeNumber(QStringView key, qint64 min, qint64 max)
{
    const QString wanted = u"a whole number from %1 to %2"_s.arg(min).arg(max);
    const Node *found = takeScalar(key, wanted);
    if (found == nullptr)
        return std::nullopt;
    bool isNumber = false;
    const qint64 value = found->scalar.toLongLong(&isNumber);
    if (found->quoted || !isNumber || value < min || value > max) {
        expected(key, *found, wanted);
        return std::nullopt;
    }
    return value;
}

void Section::duration(QStringView key, Millis &out, Millis min, Millis max)
{
    const QString wanted = u"a duration from %1 to %2, such as 60s, 5m or 1h (a plain number is seconds)"_s.arg(
        describe(min), describe(max));
    const Node *found = takeScalar(key, wanted);
    if (found == nullptr)
        return;
    const auto value = parseDuration(found->scalar);
    if (!value || *value < min || *value > max)
        return expected(key, *found, wanted);
    out = *value;
}

void Section::size(QStringView key, qint64 &out, qint64 min, qint64 max)
{
    const QString wanted = u"a size from %1 to %2, such as 64MiB"_s.arg(describeSize(min), describeSize(max));
    const Node *found = takeScalar(key, wanted);
    if (found == nullptr)
        return;
    const auto value = parseSize(found->scalar);
    if (!value || *value < min || *value > max)
        return expected(key, *found, wanted);
    out = *value;
}

void Section::texts(QStringView key, QStringList &out, qsizetype max)
{
    const Node *found = take(key);
    if (found == nullptr)
        return;
    QStringList read;
    const QList<Node> alone{*found};
    if (found->type == Node::Type::Map)
        return expected(key, *found, u"a list of texts"_s);
    for (const Node &item : found->type == Node::Type::List ? found->items : alone) {
        if (item.type != Node::Type::Scalar || !isClean(item.scalar))
            return expected(key, item, u"a list of texts"_s);
        read.append(item.scalar);
    }
    if (read.size() > max)
        return complain(key, u"expected at most %1 texts, found %2."_s.arg(max).arg(read.size()));
    out = read;
}

void Section::spiffeId(QStringView key, SpiffeId &out)
{
    const Node *found = takeScalar(key, u"a SPIFFE ID"_s);
    if (found == nullptr)
        return;
    const auto id = SpiffeId::parse(found->scalar);
    if (!id)
        return complain(key, u"expected a SPIFFE ID, found %1. %2"_s.arg(found->describe(), id.error().message));
    out = *id;
}

void Section::trustDomain(QStringView key, TrustDomain &out)
{
    const Node *found = takeScalar(key, u"a trust domain"_s);
    if (found == nullptr)
        return;
    const auto domain = TrustDomain::parse(found->scalar);
    if (!domain)
        return complain(key, u"expected a trust domain such as building-1.example.org, found %1. %2"_s.arg(
                                 found->describe(), domain.error().message));
    out = *domain;
}

Section Section::section(QStringView key)
{
    const Node *found = take(key);
    if (found == nullptr)
        return {nullptr, pathOf(key), m_file, m_line, m_problems};
    if (found->type != Node::Type::Map) {
        expected(key, *found, u"a group of keys"_s);
        return {nullptr, pathOf(key), m_file, found->line, m_problems};
    }
    return {found, pathOf(key), m_file, found->line, m_problems};
}

std::vector<Section> Section::sections(QStringView key)
{
    std::vector<Section> read;
    const Node *found = take(key);
    if (found == nullptr)
        return read;
    if (found->type != Node::Type::List) {
        expected(key, *found, u"a list"_s);
        return read;
    }
    for (qsizetype i = 0; i < found->items.size(); ++i) {
        const Node &item = found->items[i];
        const QString path = u"%1[%2]"_s.arg(pathOf(key)).arg(i);
        if (item.type == Node::Type::Map)
            read.push_back(Section(&item, path, m_file, item.line, m_problems));
        else if (m_problems)
            m_problems->add(m_file, item.line, u"%1: expected a group of keys, found %2."_s.arg(path, item.describe()));
    }
    return read;
}

std::vector<std::pair<QString, Section>> Section::named(QStringView key)
{
    std::vector<std::pair<QString, Section>> read;
    const Node *found = take(key);
    if (found == nullptr)
        return read;
    if (found->type != Node::Type::Map) {
        expected(key, *found, u"a group of names"_s);
        return read;
    }
    for (const Entry &entry : found->entries) {
        const QString path = u"%1.%2"_s.arg(pathOf(key), entry.key);
        const bool isGroup = entry.value.type == Node::Type::Map;
        if (!isGroup && entry.value.type != Node::Type::Null && m_problems)
            m_problems->add(m_file, entry.line,
                            u"%1: expected a group of keys, found %2."_s.arg(path, entry.value.describe()));
        read.emplace_back(entry.key, Section(isGroup ? &entry.value : nullptr, path, m_file, entry.line, m_problems));
    }
    return read;
}

void Section::check(QStringView key, bool ok, const QString &what)
{
    if (ok || !has(key))
        return;
    expected(key, *m_node->find(key), what);
}

void Section::complain(QStringView key, const QString &what)
{
    const Node *found = m_node ? m_node->find(key) : nullptr;
    if (m_problems)
        m_problems->add(m_file, found ? found->line : m_line, u"%1: %2"_s.arg(pathOf(key), what));
}

void Section::accept(QStringView key)
{
    m_known.append(key.toString());
}

void Section::finish()
{
    Problems *problems = std::exchange(m_problems, nullptr);
    if (problems == nullptr || m_node == nullptr)
        return;
    m_known.removeDuplicates();
    for (const Entry &entry : m_node->entries) {
        if (m_known.contains(entry.key))
            continue;
        problems->add(m_file, entry.line,
                      m_known.isEmpty()
                          ? u"%1: unknown key; none is expected here."_s.arg(pathOf(entry.key))
                          : u"%1: unknown key; expected one of %2."_s.arg(pathOf(entry.key), m_known.join(u", "_s)));
    }
}

const Node *Section::take(QStringView key)
{
    m_known.append(key.toString());
    return has(key) ? m_node->find(key) : nullptr;
}

const Node *Section::takeScalar(QStringView key, const QString &what)
{
    const Node *found = take(key);
    if (found == nullptr || found->type == Node::Type::Scalar)
        return found;
    expected(key, *found, what);
    return nullptr;
}

void Section::expected(QStringView key, const Node &found, const QString &what)
{
    if (m_problems)
        m_problems->add(m_file, found.line, u"%1: expected %2, found %3."_s.arg(pathOf(key), what, found.describe()));
}

void Section::chooseFailed(QStringView key, const Node &found, const QStringList &names)
{
    QStringList shown;
    for (const QString &name : names)
        shown.append(u'"' + name + u'"');
    expected(key, found, shown.size() == 1 ? shown.front() : u"one of %1"_s.arg(shown.join(u", "_s)));
}

QString Section::pathOf(QStringView key) const
{
    return m_path.isEmpty() ? key.toString() : u"%1.%2"_s.arg(m_path, key);
}

Result<Millis> parseDuration(QStringView text)
{
    if (const auto value = scaled(text, durationSuffixes))
        return Millis{*value};
    return Error{Errc::Malformed,
                 u"\"%1\" is not a duration; write 500ms, 60s, 5m, 1h or a number of seconds."_s.arg(text)};
}

Result<qint64> parseSize(QStringView text)
{
    if (const auto value = scaled(text, sizeSuffixes))
        return *value;
    return Error{Errc::Malformed, u"\"%1\" is not a size; write 4096, 64KiB, 64MiB or 1GiB."_s.arg(text)};
}

QString describe(Millis duration)
{
    const qint64 ms = duration.count();
    if (ms % 3'600'000 == 0 && ms != 0)
        return u"%1 h"_s.arg(ms / 3'600'000);
    if (ms % 60'000 == 0 && ms != 0)
        return u"%1 min"_s.arg(ms / 60'000);
    if (ms % 1'000 == 0)
        return u"%1 s"_s.arg(ms / 1'000);
    return u"%1 ms"_s.arg(ms);
}

QString describeSize(qint64 bytes)
{
    if (bytes != 0 && bytes % (1024 * 1024 * 1024) == 0)
        return u"%1 GiB"_s.arg(bytes / (1024 * 1024 * 1024));
    if (bytes != 0 && bytes % (1024 * 1024) == 0)
        return u"%1 MiB"_s.arg(bytes / (1024 * 1024));
    if (bytes != 0 && bytes % 1024 == 0)
        return u"%1 KiB"_s.arg(bytes / 1024);
    return u"%1 bytes"_s.arg(bytes);
}

} // namespace lintel::config
