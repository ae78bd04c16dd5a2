#include "broker-plugin/refusal_list.h"

#include <QHash>

#include <algorithm>
#include <array>

namespace lintel::broker {

using namespace Qt::StringLiterals;

namespace {

constexpr std::array kNames{"no_certificate"_L1, "bad_certificate"_L1, "foreign_domain"_L1, "not_trusted"_L1,
                            "denied"_L1,         "expired"_L1,         "no_role"_L1,        "client_id"_L1};
static_assert(kNames.size() == kRefusals);

/// What a stranger wrote into a certificate, for a line that people read.
QString shown(const QString &text, qsizetype most)
{
    QString safe;
    for (const char32_t c : text.toUcs4()) {
        const bool isPlain = QChar::isPrint(c) && !QChar::isSurrogate(c);
        const QString one = isPlain ? QString::fromUcs4(&c, 1) : u"?"_s;
        if (safe.size() + one.size() >= most)
            return safe + u'…';
        safe += one;
    }
    return safe;
}

} // namespace

QLatin1StringView nameOf(Refusal cause)
{
    return kNames[static_cast<size_t>(cause)];
}

std::optional<Refusal> refusalNamed(QStringView name)
{
    const auto found = std::ranges::find_if(kNames, [name](QLatin1StringView known) { return known == name; });
    return found == kNames.end() ? std::nullopt : std::optional(static_cast<Refusal>(found - kNames.begin()));
}

void RefusalList::add(RefusedClient refused)
{
    refused.who = shown(refused.who, kMostWho);
    refused.from = shown(refused.from, kMostWho);
    refused.why = shown(refused.why, kMostWhy);
    const auto known = std::ranges::find_if(m_clients, [&](const RefusedClient &one) {
        return one.cause == refused.cause && one.who == refused.who && one.isProved == refused.isProved;
    });
    if (known != m_clients.end()) {
        refused.firstAt = known->firstAt;
        refused.count = known->count + 1;
        *known = std::move(refused);
        return;
    }
    if (m_clients.size() >= kMost)
        makeRoom();
    refused.firstAt = refused.lastAt;
    refused.count = 1;
    m_clients.append(std::move(refused));
}

void RefusalList::makeRoom()
{
    const bool hasStrangers = std::ranges::any_of(m_clients, [](const RefusedClient &one) { return !one.isProved; });
    // Of those it is somebody's who fills the most places.
    QHash<QString, int> places;
    for (const RefusedClient &one : std::as_const(m_clients))
        places[one.from] += hasStrangers && one.isProved ? 0 : 1;
    const auto goesBefore = [&](const RefusedClient &a, const RefusedClient &b) {
        if (a.isProved != b.isProved)
            return b.isProved;
        const int ofA = places.value(a.from);
        const int ofB = places.value(b.from);
        return ofA != ofB ? ofA > ofB : a.lastAt < b.lastAt;
    };
    m_clients.erase(std::min_element(m_clients.begin(), m_clients.end(), goesBefore));
}

QList<RefusedClient> RefusalList::latest() const
{
    QList<RefusedClient> clients = m_clients;
    std::sort(clients.begin(), clients.end(), [](const RefusedClient &a, const RefusedClient &b) {
        return a.lastAt != b.lastAt ? a.lastAt > b.lastAt : a.who < b.who;
    });
    return clients;
}

} // namespace lintel::broker
