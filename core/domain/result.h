// What a function that can fail returns.
//
// A Result holds either a value or an Error: a code for programs and one sentence for people that
// says what went wrong and, where it can, what to do. Look at it at once and return early.
// Values only; any thread.
#pragma once

#include <QString>

#include <optional>
#include <utility>
#include <variant>

namespace lintel {

enum class Errc {
    Malformed = 1, // the bytes, text or arguments do not have the form that was asked for
    OutOfRange,    // well formed, but a value that cannot be right
    NotFound,
    Denied,      // identity or policy says no
    Unavailable, // the other side cannot be reached now; trying again later may help
    Full,        // no room: a disk, a queue, a limit
    Conflict,    // somebody else holds it, or it changed meanwhile
    Timeout,
    Io, // the operating system refused
    Unsupported,
};

struct Error {
    Errc code = Errc::Malformed;
    QString message;
};

template <class T>
class [[nodiscard]] Result
{
public:
    Result(T value) : m_state(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : m_state(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] explicit operator bool() const { return m_state.index() == 0; }
    [[nodiscard]] const T &operator*() const & { return std::get<0>(m_state); }
    [[nodiscard]] T &operator*() & { return std::get<0>(m_state); }
    [[nodiscard]] T &&operator*() && { return std::get<0>(std::move(m_state)); }
    [[nodiscard]] const T *operator->() const { return &std::get<0>(m_state); }
    [[nodiscard]] T *operator->() { return &std::get<0>(m_state); }
    [[nodiscard]] const Error &error() const { return std::get<1>(m_state); }

private:
    std::variant<T, Error> m_state;
};

template <>
class [[nodiscard]] Result<void>
{
public:
    Result() = default;
    Result(Error error) : m_error(std::move(error)) {}

    [[nodiscard]] explicit operator bool() const { return !m_error; }
    [[nodiscard]] const Error &error() const { return *m_error; }

private:
    std::optional<Error> m_error;
};

} // namespace lintel
