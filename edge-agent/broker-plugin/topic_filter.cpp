#include "broker-plugin/topic_filter.h"

namespace lintel::broker {

namespace {
constexpr size_t kMaxTopicBytes = 65'535; // MQTT 5.0 section 1.5.4

/// Takes levels off the front of a topic or filter.
class Levels
{
public:
    explicit Levels(std::string_view text) : m_rest(text) {}
    [[nodiscard]] bool atEnd() const { return m_atEnd; }
    std::string_view next()
    {
        const size_t slash = m_rest.find('/');
        const std::string_view level = m_rest.substr(0, slash);
        m_atEnd = slash == std::string_view::npos;
        m_rest = m_atEnd ? std::string_view{} : m_rest.substr(slash + 1);
        return level;
    }

private:
    std::string_view m_rest;
    bool m_atEnd = false;
};

bool isText(std::string_view text)
{
    return !text.empty() && text.size() <= kMaxTopicBytes && text.front() != '$' && text.front() != '/'
           && text.back() != '/' && text.find('\0') == std::string_view::npos
           && text.find("//") == std::string_view::npos;
}
} // namespace

bool isTopicName(std::string_view topic)
{
    return isText(topic) && topic.find_first_of("+#") == std::string_view::npos;
}

bool isTopicFilter(std::string_view filter)
{
    if (!isText(filter))
        return false;
    Levels levels(filter);
    while (!levels.atEnd()) {
        const std::string_view level = levels.next();
        if (level.find_first_of("+#") == std::string_view::npos)
            continue;
        if (level.size() != 1 || (level == "#" && !levels.atEnd()))
            return false;
    }
    return true;
}

bool matches(std::string_view filter, std::string_view topic)
{
    Levels wanted(filter);
    Levels given(topic);
    while (!wanted.atEnd()) {
        const std::string_view level = wanted.next();
        if (level == "#")
            return true;
        if (given.atEnd())
            return false;
        if (const std::string_view name = given.next(); level != "+" && level != name)
            return false;
    }
    return given.atEnd();
}

bool covers(std::string_view allowed, std::string_view wanted)
{
    Levels outer(allowed);
    Levels inner(wanted);
    while (!outer.atEnd()) {
        const std::string_view level = outer.next();
        if (level == "#")
            return true; // the level above included: "a/#" covers "a"
        if (inner.atEnd())
            return false;
        const std::string_view asked = inner.next();
        // '#' below would also reach the level above and any depth: more than '+' or a name gives.
        if (asked == "#" || (asked == "+" && level != "+") || (level != "+" && level != asked))
            return false;
    }
    return inner.atEnd();
}

} // namespace lintel::broker
