// The last clients that were refused, for people who want to know who and why: one entry for each client and
// cause, however often it tries. Bounded, and so that whoever floods it pushes out strangers like himself
// before anybody whose certificate was verified. Values; one thread.
#pragma once

#include "domain/timestamp.h"

#include <QList>
#include <QString>

#include <optional>

namespace lintel::broker {

enum class Refusal { NoCertificate, BadCertificate, ForeignDomain, NotTrusted, Denied, Expired, NoRole, ClientId };
inline constexpr size_t kRefusals = 8;

[[nodiscard]] QLatin1StringView nameOf(Refusal cause);
[[nodiscard]] std::optional<Refusal> refusalNamed(QStringView name);

struct RefusedClient {
    Refusal cause = Refusal::NoCertificate;
    QString who; // SPIFFE ID as far as known, else the client id, else the address
    /// A verified certificate says `who` it is; otherwise only the client itself does.
    bool isProved = false;
    QString from; // address, of the last time
    QString why;  // one sentence, of the last time
    Timestamp firstAt{};
    Timestamp lastAt{};
    quint64 count = 0;
    friend bool operator==(const RefusedClient &, const RefusedClient &) = default;
};

class RefusalList
{
public:
    static constexpr qsizetype kMost = 50;
    static constexpr qsizetype kMostWho = 300;
    static constexpr qsizetype kMostWhy = 600;

    /// `refused.lastAt` is now; the other times and the count are the list's own.
    void add(RefusedClient refused);
    /// Those that were refused last first.
    [[nodiscard]] QList<RefusedClient> latest() const;

private:
    void makeRoom();

    QList<RefusedClient> m_clients;
};

} // namespace lintel::broker
