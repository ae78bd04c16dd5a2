// A SPIFFE ID in the form in which it stands in MQTT topics and client ids: without the scheme,
// '/' as ':', '.' as '~'. One to one, because neither ':' nor '~' is legal in a SPIFFE ID.
// Values only; any thread.
#pragma once

#include "domain/spiffe_id.h"

namespace lintel {

class Principal
{
public:
    Principal() = default;
    explicit Principal(SpiffeId id) : m_id(std::move(id)) {}
    /// "building-1~smart~local:agent:gateway"
    [[nodiscard]] static Result<Principal> parse(QStringView text);

    [[nodiscard]] const SpiffeId &spiffeId() const { return m_id; }
    [[nodiscard]] QString toString() const;
    [[nodiscard]] bool isEmpty() const { return m_id.isEmpty(); }

    friend bool operator==(const Principal &, const Principal &) = default;
    friend size_t qHash(const Principal &p, size_t seed = 0) { return qHash(p.m_id, seed); }

private:
    SpiffeId m_id;
};

} // namespace lintel
