// Typed reading of a configuration tree. Each section of a file has one struct and one function
// that fills it:
//
//     struct MqttConfig { QString host = "localhost"; int port = 8883; };
//
//     MqttConfig readMqtt(config::Section s)
//     {
//         MqttConfig c;                        // what is not in the file keeps its default
//         s.text(u"host", c.host);
//         s.integer(u"port", c.port, 1, 65535);
//         return c;
//     }
//
//     config::Problems problems;
//     config::Section root(document, problems);
//     const MqttConfig mqtt = readMqtt(root.section(u"mqtt"));   // absent section = all defaults
//     …
//     root.finish();
//     if (!problems.isEmpty()) return problems.error();
//
// To add a section: write the struct and its function beside the code that uses it, call it where
// the process reads its file, and describe it in docs/configuration.md. A file that includes this
// header has "config" in its name, so that services stay free of YAML.
//
// All problems are collected, each as "file:line: mqtt.port: expected …, found …". A key that
// nobody asked for is a problem, said when the Section ends (finish() or its destructor); so is a
// key that must be there and is not. After a problem the value keeps its default.
//
// One thread. The Document and the Problems must outlive the sections. Nothing throws.
#pragma once

#include "adapters/yaml/config_node.h"
#include "domain/spiffe_id.h"
#include "domain/timestamp.h"

#include <QStringList>
#include <QStringView>

#include <concepts>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace lintel::config {

class Problems
{
public:
    void add(const QString &file, int line, const QString &what);
    [[nodiscard]] bool isEmpty() const { return m_problems.isEmpty(); }
    /// In the order of the file.
    [[nodiscard]] QStringList messages() const;
    /// All of them, one a line, as Malformed.
    [[nodiscard]] Error error() const;

private:
    struct Problem {
        int line = 0;
        QString text;
    };
    QList<Problem> m_problems;
};

/// One name of an enumeration.
template <class E>
struct Choice {
    QStringView name;
    E value;
};

class Section
{
public:
    /// The file itself.
    Section(const Document &document, Problems &problems);
    Section(Section &&other) noexcept;
    Section &operator=(Section &&) = delete;
    Section(const Section &) = delete;
    Section &operator=(const Section &) = delete;
    ~Section();

    /// Whether the section itself stands in the file; has(): one of its keys does.
    [[nodiscard]] bool isPresent() const { return m_node != nullptr; }
    [[nodiscard]] bool has(QStringView key) const;
    /// "mqtt.tls", for messages; empty for the file itself.
    [[nodiscard]] const QString &path() const { return m_path; }
    [[nodiscard]] const QString &file() const { return m_file; }
    [[nodiscard]] QStringList keys() const;

    /// Complains about each of these keys that is absent. Of a section that is absent itself nothing
    /// is said: whoever needs it requires it from its parent.
    void require(std::initializer_list<QStringView> keys);

    /// Any scalar; not empty, no control characters.
    void text(QStringView key, QString &out);
    void text(QStringView key, std::optional<QString> &out);
    /// One character, for example a separator; also "tab".
    void character(QStringView key, QChar &out);
    /// true or false; yes/no and on/off as YAML 1.1 has them.
    void flag(QStringView key, bool &out);
    void number(QStringView key, double &out, double min = std::numeric_limits<double>::lowest(),
                double max = std::numeric_limits<double>::max());
    void number(QStringView key, std::optional<double> &out, double min = std::numeric_limits<double>::lowest(),
                double max = std::numeric_limits<double>::max());
    /// 60 (seconds), 500ms, 60s, 5m, 1h, 2d; inclusive limits.
    void duration(QStringView key, Millis &out, Millis min, Millis max);
    template <class Rep, class Period>
    void duration(QStringView key, std::chrono::duration<Rep, Period> &out, Millis min, Millis max);
    /// In bytes: 65536, 64KiB, 64MiB, 1GiB; inclusive limits.
    void size(QStringView key, qint64 &out, qint64 min, qint64 max);
    template <std::integral T>
    void integer(QStringView key, T &out, qint64 min, qint64 max);
    template <class E>
    void choice(QStringView key, E &out, std::initializer_list<Choice<E>> choices);
    /// A list of texts, or one text alone.
    void texts(QStringView key, QStringList &out, qsizetype max = 1000);
    void spiffeId(QStringView key, SpiffeId &out);
    void trustDomain(QStringView key, TrustDomain &out);

    /// A group of keys; empty when absent.
    [[nodiscard]] Section section(QStringView key);
    /// A list of groups of keys.
    [[nodiscard]] std::vector<Section> sections(QStringView key);
    /// A group whose keys are free names, each with a group of keys.
    [[nodiscard]] std::vector<std::pair<QString, Section>> named(QStringView key);

    /// A rule of your own: unless `ok`, "expected <expected>, found <what stands there>".
    void check(QStringView key, bool ok, const QString &expected);
    /// A rule over several keys, said at this key's line (or the section's).
    void complain(QStringView key, const QString &what);
    /// The key is known, and whatever stands there is fine.
    void accept(QStringView key);
    /// Complains about the keys that nobody asked for. The destructor calls it.
    void finish();

private:
    Section(const Node *node, QString path, QString file, int line, Problems *problems);

    const Node *take(QStringView key);
    const Node *takeScalar(QStringView key, const QString &expected);
    void expected(QStringView key, const Node &found, const QString &what);
    [[nodiscard]] QString pathOf(QStringView key) const;
    std::optional<qint64> wholeNumber(QStringView key, qint64 min, qint64 max);
    void chooseFailed(QStringView key, const Node &found, const QStringList &names);

    const Node *m_node = nullptr; // null = the section is not there
    QString m_path;
    QString m_file;
    int m_line = 0;
    Problems *m_problems = nullptr; // null = finished or moved from
    QStringList m_known;
};

/// The text forms of duration() and size(), for command lines as well.
[[nodiscard]] Result<Millis> parseDuration(QStringView text);
[[nodiscard]] Result<qint64> parseSize(QStringView text);
/// "1 h 30 min", "64 MiB": for messages.
[[nodiscard]] QString describe(Millis duration);
[[nodiscard]] QString describeSize(qint64 bytes);

template <class Rep, class Period>
void Section::duration(QStringView key, std::chrono::duration<Rep, Period> &out, Millis min, Millis max)
{
    Millis value = std::chrono::duration_cast<Millis>(out);
    duration(key, value, min, max);
    const auto wanted = std::chrono::duration_cast<std::chrono::duration<Rep, Period>>(value);
    if (std::chrono::duration_cast<Millis>(wanted) != value)
        complain(key, QStringLiteral("expected whole seconds"));
    else
        out = wanted;
}

template <std::integral T>
void Section::integer(QStringView key, T &out, qint64 min, qint64 max)
{
    if (const auto value = wholeNumber(key, min, max))
        out = static_cast<T>(*value);
}

template <class E>
void Section::choice(QStringView key, E &out, std::initializer_list<Choice<E>> choices)
{
    QStringList names;
    for (const Choice<E> &option : choices)
        names.append(option.name.toString());
    const Node *found = takeScalar(key, names.join(QStringLiteral(", ")));
    if (found == nullptr)
        return;
    for (const Choice<E> &option : choices) {
        if (option.name == found->scalar) {
            out = option.value;
            return;
        }
    }
    chooseFailed(key, *found, names);
}

} // namespace lintel::config
