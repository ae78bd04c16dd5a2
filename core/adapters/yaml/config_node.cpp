#include "adapters/yaml/config_node.h"

#include <QFile>
#include <QFileInfo>
#include <QSet>
#include <QStringDecoder>

#include <yaml.h>

#include <memory>
#include <optional>

namespace lintel::config {

using namespace Qt::StringLiterals;

namespace {

constexpr qint64 maxBytes = 1024 * 1024;
constexpr int maxDepth = 16;
constexpr int maxNodes = 20'000;

struct EventHolder {
    yaml_event_t event{};
    EventHolder() = default;
    EventHolder(const EventHolder &) = delete;
    EventHolder &operator=(const EventHolder &) = delete;
    ~EventHolder() { yaml_event_delete(&event); }

    [[nodiscard]] int line() const { return int(event.start_mark.line) + 1; }
};

class Reader
{
public:
    Reader(const QByteArray &yaml, QString file) : m_file(std::move(file))
    {
        m_ready = yaml_parser_initialize(&m_parser) != 0;
        if (m_ready) {
            yaml_parser_set_encoding(&m_parser, YAML_UTF8_ENCODING);
            yaml_parser_set_input_string(&m_parser, reinterpret_cast<const unsigned char *>(yaml.constData()),
                                         size_t(yaml.size()));
        }
    }
    Reader(const Reader &) = delete;
    Reader &operator=(const Reader &) = delete;
    ~Reader()
    {
        if (m_ready)
            yaml_parser_delete(&m_parser);
    }

    Result<Document> document()
    {
        if (!m_ready)
            return Error{Errc::Full, u"There is no memory to read %1."_s.arg(m_file)};
        Document result{m_file, {}};
        result.root.type = Node::Type::Map;
        result.root.line = 1;
        bool seenDocument = false;
        for (;;) {
            EventHolder next;
            if (!parse(next))
                return *m_error;
            switch (next.event.type) {
            case YAML_STREAM_START_EVENT:
            case YAML_DOCUMENT_END_EVENT: continue;
            case YAML_STREAM_END_EVENT: return result;
            case YAML_DOCUMENT_START_EVENT:
                if (seenDocument)
                    return problem(next.line(), u"a second document begins here; a configuration file has one."_s);
                seenDocument = true;
                continue;
            default: break;
            }
            Node root;
            if (!value(next, root, 1))
                return *m_error;
            if (root.type == Node::Type::Null)
                continue;
            if (root.type != Node::Type::Map)
                return problem(root.line, u"expected sections such as \"agent:\", found %1."_s.arg(root.describe()));
            result.root = std::move(root);
        }
    }

private:
    Error problem(int line, const QString &what)
    {
        return Error{Errc::Malformed, u"%1:%2: %3"_s.arg(m_file).arg(line).arg(what)};
    }
    bool fail(int line, const QString &what)
    {
        m_error = problem(line, what);
        return false;
    }

    bool parse(EventHolder &next)
    {
        if (yaml_parser_parse(&m_parser, &next.event))
            return true;
        const QString why = QString::fromUtf8(m_parser.problem ? m_parser.problem : "unreadable");
        return fail(int(m_parser.problem_mark.line) + 1, u"this is not YAML: %1."_s.arg(why));
    }

    bool value(const EventHolder &start, Node &node, int depth)
    {
        node.line = start.line();
        if (++m_nodes > maxNodes)
            return fail(node.line, u"more than %1 values; a configuration file is smaller."_s.arg(maxNodes));
        if (depth > maxDepth)
            return fail(node.line, u"nested deeper than %1 levels."_s.arg(maxDepth));
        switch (start.event.type) {
        case YAML_ALIAS_EVENT: return fail(node.line, u"aliases (*name) are not supported; write the value out."_s);
        case YAML_SCALAR_EVENT: return scalar(start, node);
        case YAML_SEQUENCE_START_EVENT:
            return start.event.data.sequence_start.anchor || start.event.data.sequence_start.tag
                       ? failDecorated(node.line)
                       : list(node, depth);
        case YAML_MAPPING_START_EVENT:
            return start.event.data.mapping_start.anchor || start.event.data.mapping_start.tag
                       ? failDecorated(node.line)
                       : map(node, depth);
        default: return fail(node.line, u"unexpected end."_s);
        }
    }

    bool failDecorated(int line)
    {
        return fail(line, u"anchors (&name) and tags (!name) are not supported; write the value out."_s);
    }

    bool scalar(const EventHolder &start, Node &node)
    {
        const auto &data = start.event.data.scalar;
        if (data.anchor || data.tag)
            return failDecorated(node.line);
        node.type = Node::Type::Scalar;
        node.quoted = data.style != YAML_PLAIN_SCALAR_STYLE;
        node.scalar = QString::fromUtf8(reinterpret_cast<const char *>(data.value), qsizetype(data.length));
        if (node.scalar.contains(QChar(0)))
            return fail(node.line, u"a text contains a zero character."_s);
        if (!node.quoted && (node.scalar.isEmpty() || node.scalar == "~"_L1 || node.scalar == "null"_L1)) {
            node.type = Node::Type::Null;
            node.scalar.clear();
        }
        return true;
    }

    bool list(Node &node, int depth)
    {
        node.type = Node::Type::List;
        for (;;) {
            EventHolder next;
            if (!parse(next))
                return false;
            if (next.event.type == YAML_SEQUENCE_END_EVENT)
                return true;
            if (!value(next, node.items.emplaceBack(), depth + 1))
                return false;
        }
    }

    bool map(Node &node, int depth)
    {
        node.type = Node::Type::Map;
        QSet<QString> keys;
        for (;;) {
            EventHolder next;
            if (!parse(next))
                return false;
            if (next.event.type == YAML_MAPPING_END_EVENT)
                return true;
            Node key;
            if (!value(next, key, depth + 1))
                return false;
            if (key.type != Node::Type::Scalar || key.scalar.isEmpty())
                return fail(key.line, u"expected a name as key, found %1."_s.arg(key.describe()));
            if (keys.contains(key.scalar)) {
                const int before = firstLineOf(node, key.scalar);
                return fail(key.line,
                            u"\"%1\" stands here again; it was given in line %2 already."_s.arg(key.scalar.left(64))
                                .arg(before));
            }
            keys.insert(key.scalar);
            EventHolder content;
            if (!parse(content))
                return false;
            Entry &entry = node.entries.emplaceBack();
            entry.key = key.scalar;
            entry.line = key.line;
            if (!value(content, entry.value, depth + 1))
                return false;
        }
    }

    static int firstLineOf(const Node &node, const QString &key)
    {
        for (const Entry &entry : node.entries) {
            if (entry.key == key)
                return entry.line;
        }
        return 0;
    }

    yaml_parser_t m_parser{};
    QString m_file;
    std::optional<Error> m_error;
    int m_nodes = 0;
    bool m_ready = false;
};

} // namespace

const Node *Node::find(QStringView key) const
{
    for (const Entry &entry : entries) {
        if (entry.key == key)
            return &entry.value;
    }
    return nullptr;
}

QString Node::describe() const
{
    switch (type) {
    case Type::Null: return u"nothing"_s;
    case Type::List: return u"a list"_s;
    case Type::Map: return u"a group of keys"_s;
    case Type::Scalar: break;
    }
    const QString shown = scalar.size() > 60 ? scalar.left(57) + u"..."_s : scalar;
    return u"\"%1\""_s.arg(shown);
}

Result<Document> parseConfig(const QByteArray &yaml, const QString &file)
{
    if (yaml.size() > maxBytes)
        return Error{
            Errc::OutOfRange,
            u"%1 has %2 bytes; a configuration file has at most %3."_s.arg(file).arg(yaml.size()).arg(maxBytes)};
    return Reader(yaml, file).document();
}

Result<Document> readConfigFile(const QString &path)
{
    QFile file(path);
    if (!file.exists())
        return Error{Errc::NotFound, u"There is no configuration file %1; name one with --config FILE."_s.arg(path)};
    if (QFileInfo(file).isDir())
        return Error{Errc::Io, u"%1 is a folder; name a configuration file with --config FILE."_s.arg(path)};
    if (!file.open(QIODevice::ReadOnly))
        return Error{Errc::Io, u"%1 cannot be read: %2."_s.arg(path, file.errorString())};
    const QByteArray yaml = file.read(maxBytes + 1); // one more than allowed, so that parseConfig sees it
    if (file.error() != QFileDevice::NoError)
        return Error{Errc::Io, u"%1 cannot be read: %2."_s.arg(path, file.errorString())};
    return parseConfig(yaml, path);
}

} // namespace lintel::config
