#include "broker-plugin/broker_status.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

#include <cmath>
#include <cstdint>

namespace lintel::broker {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMaxBytes = 16 << 20;
constexpr int kVersion = 1;
constexpr double kMaxExact = 9'007'199'254'740'992.0; // 2^53: JSON's numbers end there

namespace key {
const auto version = u"version"_s;
const auto writtenAt = u"written_at"_s;
const auto connects = u"connects"_s;
const auto published = u"published"_s;
const auto refused = u"refused"_s;
const auto denied = u"denied"_s;
const auto kicked = u"kicked"_s;
const auto sessions = u"sessions"_s;
const auto firstExpiry = u"first_expiry"_s;
const auto denyLists = u"deny_lists"_s;
const auto principals = u"principals"_s;
const auto role = u"role"_s;
const auto serial = u"serial"_s;
const auto connected = u"connected"_s;
const auto connectedAt = u"connected_at"_s;
const auto expiresAt = u"expires_at"_s;
const auto lastAccepted = u"last_accepted_at"_s;
const auto refusals = u"refusals"_s;
const auto cause = u"cause"_s;
const auto who = u"who"_s;
const auto proved = u"proved"_s;
const auto from = u"from"_s;
const auto why = u"why"_s;
const auto firstAt = u"first_at"_s;
const auto lastAt = u"last_at"_s;
const auto count = u"count"_s;
} // namespace key

qint64 number(quint64 count)
{
    return static_cast<qint64>(count);
}

template <class E>
QJsonObject printCounts(const auto &counts)
{
    QJsonObject object;
    for (size_t i = 0; i < counts.size(); ++i)
        object.insert(nameOf(static_cast<E>(i)), number(counts[i]));
    return object;
}

QJsonObject printPrincipal(const PrincipalFacts &facts)
{
    QJsonObject object{{key::role, facts.role},
                       {key::serial, facts.serial},
                       {key::connected, facts.connected},
                       {key::connectedAt, toEpochMillis(facts.connectedAt)},
                       {key::expiresAt, toEpochMillis(facts.expiresAt)}};
    if (facts.lastAccepted)
        object.insert(key::lastAccepted, toEpochMillis(*facts.lastAccepted));
    return object;
}

QJsonObject printRefusal(const RefusedClient &refused)
{
    return {{key::cause, nameOf(refused.cause)},
            {key::who, refused.who},
            {key::proved, refused.isProved},
            {key::from, refused.from},
            {key::why, refused.why},
            {key::firstAt, toEpochMillis(refused.firstAt)},
            {key::lastAt, toEpochMillis(refused.lastAt)},
            {key::count, number(refused.count)}};
}

/// Reads the fields of one object and remembers whether all of them were right.
class Reader
{
public:
    explicit Reader(QJsonObject object) : m_object(std::move(object)) {}

    quint64 count(QAnyStringView name)
    {
        const double value = m_object.value(name.toString()).toDouble(-1);
        if (value < 0 || value > kMaxExact || std::floor(value) != value) {
            ok = false;
            return 0;
        }
        return static_cast<quint64>(value);
    }
    Timestamp time(const QString &name) { return fromEpochMillis(static_cast<qint64>(count(name))); }
    std::optional<Timestamp> optionalTime(const QString &name)
    {
        return m_object.contains(name) ? std::optional(time(name)) : std::nullopt;
    }
    QString text(const QString &name)
    {
        ok = ok && m_object.value(name).isString();
        return m_object.value(name).toString();
    }
    bool flag(const QString &name)
    {
        ok = ok && m_object.value(name).isBool();
        return m_object.value(name).toBool();
    }
    QJsonObject object(const QString &name)
    {
        ok = ok && m_object.value(name).isObject();
        return m_object.value(name).toObject();
    }
    QJsonArray optionalArray(const QString &name)
    {
        ok = ok && (!m_object.contains(name) || m_object.value(name).isArray());
        return m_object.value(name).toArray();
    }
    /// The first `always` have to be there; an older plugin does not know the others.
    template <class E>
    void counts(const QString &name, auto &into, size_t always = SIZE_MAX)
    {
        Reader inner(object(name));
        for (size_t i = 0; i < into.size(); ++i)
            if (const auto key = nameOf(static_cast<E>(i)); i < always || inner.m_object.contains(key))
                into[i] = inner.count(key);
        ok = ok && inner.ok;
    }

    bool ok = true;

private:
    QJsonObject m_object;
};

bool readRefusals(Reader &root, QList<RefusedClient> &into)
{
    const QJsonArray refusals = root.optionalArray(key::refusals);
    if (!root.ok || refusals.size() > RefusalList::kMost)
        return false;
    for (const auto &value : refusals) {
        Reader reader(value.toObject());
        const auto cause = refusalNamed(reader.text(key::cause));
        RefusedClient refused{cause.value_or(Refusal::NoCertificate),
                              reader.text(key::who),
                              reader.flag(key::proved),
                              reader.text(key::from),
                              reader.text(key::why),
                              reader.time(key::firstAt),
                              reader.time(key::lastAt),
                              reader.count(key::count)};
        if (!cause || !reader.ok)
            return false;
        into.append(std::move(refused));
    }
    return true;
}
} // namespace

BrokerStatus statusOf(const BrokerGuard &guard, Timestamp now)
{
    BrokerStatus status;
    status.writtenAt = now;
    status.counters = guard.counters();
    status.sessions = static_cast<quint64>(guard.sessionCount());
    status.firstExpiry = guard.firstExpiry();
    status.principals = guard.principals();
    status.refusals = guard.latestRefusals();
    const auto &lists = guard.denyLists();
    for (auto it = lists.cbegin(); it != lists.cend(); ++it)
        status.denyLists.insert(it.key().name(), it->sequence);
    return status;
}

QByteArray printStatus(const BrokerStatus &status)
{
    QJsonObject lists;
    for (auto it = status.denyLists.cbegin(); it != status.denyLists.cend(); ++it)
        lists.insert(it.key(), number(it.value()));
    QJsonObject principals;
    for (auto it = status.principals.cbegin(); it != status.principals.cend(); ++it)
        principals.insert(it.key(), printPrincipal(it.value()));
    QJsonArray refusals;
    for (const RefusedClient &refused : status.refusals)
        refusals.append(printRefusal(refused));
    QJsonObject root{{key::version, kVersion},
                     {key::writtenAt, toEpochMillis(status.writtenAt)},
                     {key::connects, number(status.counters.connects)},
                     {key::published, number(status.counters.published)},
                     {key::refused, printCounts<Refusal>(status.counters.refused)},
                     {key::denied, printCounts<Action>(status.counters.denied)},
                     {key::kicked, printCounts<KickReason>(status.counters.kicked)},
                     {key::sessions, number(status.sessions)},
                     {key::denyLists, lists},
                     {key::principals, principals},
                     {key::refusals, refusals}};
    if (status.firstExpiry)
        root.insert(key::firstExpiry, toEpochMillis(*status.firstExpiry));
    return QJsonDocument(root).toJson(QJsonDocument::Compact) + '\n';
}

Result<BrokerStatus> parseStatus(const QByteArray &json)
{
    const QJsonDocument document = json.size() > kMaxBytes ? QJsonDocument() : QJsonDocument::fromJson(json);
    Reader root(document.object());
    if (!document.isObject() || root.count(key::version) != kVersion)
        return Error{Errc::Malformed, u"This is no status of Lintel's broker plugin, version 1."_s};
    BrokerStatus status;
    status.writtenAt = root.time(key::writtenAt);
    status.counters.connects = root.count(key::connects);
    status.counters.published = root.count(key::published);
    root.counts<Refusal>(key::refused, status.counters.refused);
    root.counts<Action>(key::denied, status.counters.denied);
    root.counts<KickReason>(key::kicked, status.counters.kicked, size_t(KickReason::RootRemoved));
    status.sessions = root.count(key::sessions);
    status.firstExpiry = root.optionalTime(key::firstExpiry);
    const QJsonObject lists = root.object(key::denyLists);
    Reader listReader(lists);
    for (const QString &domain : lists.keys())
        status.denyLists.insert(domain, listReader.count(domain));
    const QJsonObject principals = root.object(key::principals);
    bool ok = root.ok && listReader.ok;
    for (const QString &id : principals.keys()) {
        Reader reader(principals.value(id).toObject());
        PrincipalFacts facts{reader.text(key::role),      reader.text(key::serial),
                             reader.flag(key::connected), reader.time(key::connectedAt),
                             reader.time(key::expiresAt), reader.optionalTime(key::lastAccepted)};
        ok = ok && reader.ok;
        status.principals.insert(id, facts);
    }
    ok = ok && readRefusals(root, status.refusals);
    if (!ok)
        return Error{Errc::Malformed, u"A field of the broker's status is missing or has the wrong type."_s};
    return status;
}

} // namespace lintel::broker
