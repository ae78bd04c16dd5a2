#include "mqtt/broker_roles.h"

#include "domain/topic.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

#include <functional>

namespace lintel::broker {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMaxBytes = 1 << 20;
constexpr int kVersion = 1;

namespace key {
const auto version = u"version"_s;
const auto sensors = u"sensors"_s;
const auto edgeNodes = u"edge_nodes"_s;
const auto hosts = u"hosts"_s;
const auto readers = u"readers"_s;
const auto trustDomain = u"trust_domain"_s;
const auto id = u"id"_s;
const auto site = u"site"_s;
const auto sites = u"sites"_s;
const auto node = u"node"_s;
const auto host = u"host"_s;
} // namespace key

Error malformed(const QString &place, const QString &why)
{
    return {Errc::Malformed, u"Broker roles, %1: %2"_s.arg(place, why)};
}

/// One object of the file; remembers the first thing that is wrong, so that the readers below are
/// plain lists of their fields.
class Fields
{
public:
    Fields(const QJsonValue &value, QString place) : m_object(value.toObject()), m_place(std::move(place))
    {
        if (!value.isObject())
            fail(u"an object belongs here."_s);
    }

    QString sparkplugId(const QString &name)
    {
        const QString text = take(name).toString();
        checkSparkplugId(name, text);
        return text;
    }
    QStringList sparkplugIds(const QString &name, bool mayBeEmpty)
    {
        QStringList ids;
        const QJsonValue list = take(name);
        if (!list.isArray() || (!mayBeEmpty && list.toArray().isEmpty())) {
            fail(u"\"%1\" must be a list of names."_s.arg(name));
            return ids;
        }
        for (const QJsonValue one : list.toArray()) {
            ids.append(one.toString());
            checkSparkplugId(name, ids.last());
        }
        return ids;
    }
    Sites sites(bool mayBeEmpty)
    {
        if (m_object.value(key::sites) == QJsonArray{u"*"_s}) {
            m_object.remove(key::sites);
            return {true, {}};
        }
        return {false, sparkplugIds(key::sites, mayBeEmpty)};
    }
    TrustDomain trustDomain()
    {
        const auto domain = TrustDomain::parse(take(key::trustDomain).toString());
        if (domain)
            return *domain;
        fail(domain.error().message);
        return {};
    }
    SpiffeId spiffeId(bool *everybodyBelow = nullptr)
    {
        QString text = take(key::id).toString();
        if (everybodyBelow && text.endsWith(u"/*")) {
            *everybodyBelow = true;
            text.chop(2);
        }
        const auto id = SpiffeId::parse(text);
        if (!id) {
            fail(id.error().message);
            return {};
        }
        if (id->path().isEmpty())
            fail(u"\"%1\" names a whole trust domain; name a workload, such as %1/agent/gateway."_s.arg(text));
        return *id;
    }
    [[nodiscard]] Result<void> finish()
    {
        if (!m_object.isEmpty())
            fail(u"the key \"%1\" is not known here."_s.arg(m_object.keys().first().left(40)));
        return m_wrong.isEmpty() ? Result<void>() : malformed(m_place, m_wrong);
    }

private:
    QJsonValue take(const QString &name) { return m_object.take(name); }
    void checkSparkplugId(const QString &name, const QString &id)
    {
        if (const auto valid = validateSparkplugId(id); !valid)
            fail(u"\"%1\": %2"_s.arg(name, valid.error().message));
    }
    void fail(const QString &why)
    {
        if (m_wrong.isEmpty())
            m_wrong = why;
    }

    QJsonObject m_object;
    QString m_place;
    QString m_wrong;
};

template <class Role>
Result<QList<Role>> readList(QJsonObject &root, const QString &name, const std::function<Role(Fields &)> &read)
{
    QList<Role> roles;
    const QJsonValue list = root.take(name);
    if (list.isUndefined())
        return roles;
    if (!list.isArray())
        return malformed(name, u"a list belongs here."_s);
    const QJsonArray entries = list.toArray();
    for (qsizetype i = 0; i < entries.size(); ++i) {
        Fields fields(entries[i], u"%1[%2]"_s.arg(name).arg(i));
        Role role = read(fields);
        if (auto finished = fields.finish(); !finished)
            return finished.error();
        roles.append(std::move(role));
    }
    return roles;
}

SensorsRole readSensors(Fields &fields)
{
    return {fields.trustDomain(), fields.sparkplugId(key::site), fields.sparkplugIds(key::hosts, false)};
}

EdgeNodeRole readEdgeNode(Fields &fields)
{
    return {fields.spiffeId(), fields.sparkplugId(key::site), fields.sparkplugId(key::node),
            fields.sparkplugIds(key::hosts, false)};
}

HostRole readHost(Fields &fields)
{
    return {fields.spiffeId(), fields.sparkplugId(key::host), fields.sites(false)};
}

ReaderRole readReader(Fields &fields)
{
    ReaderRole role;
    role.id = fields.spiffeId(&role.everybodyBelow);
    role.sites = fields.sites(true);
    return role;
}

/// Two roles of one identity, or two nodes of one name, would make the table say two things.
Result<void> checkUnique(const BrokerRoles &roles)
{
    QStringList seen;
    const auto once = [&seen](const QString &what) -> Result<void> {
        if (seen.contains(what))
            return malformed(what, u"this appears twice; keep one of the two."_s);
        seen.append(what);
        return {};
    };
    for (const SensorsRole &role : roles.sensors)
        if (auto unique = once(u"trust domain %1"_s.arg(role.domain.name())); !unique)
            return unique;
    for (const EdgeNodeRole &role : roles.edgeNodes) {
        if (auto unique = once(role.id.toString()); !unique)
            return unique;
        if (auto unique = once(u"node %1/%2"_s.arg(role.site, role.node)); !unique)
            return unique;
    }
    for (const HostRole &role : roles.hosts)
        if (auto unique = once(role.id.toString()); !unique)
            return unique;
    for (const ReaderRole &role : roles.readers)
        if (auto unique = once(role.id.toString() + (role.everybodyBelow ? u"/*"_s : QString())); !unique)
            return unique;
    return {};
}

QJsonArray printed(const Sites &sites)
{
    return sites.all ? QJsonArray{u"*"_s} : QJsonArray::fromStringList(sites.names);
}
} // namespace

Result<BrokerRoles> parseRoles(const QByteArray &json)
{
    if (json.size() > kMaxBytes)
        return malformed(u"the file"_s, u"it is larger than 1 MiB."_s);
    QJsonParseError problem;
    const QJsonDocument document = QJsonDocument::fromJson(json, &problem);
    if (!document.isObject())
        return malformed(u"the file"_s, u"it is no JSON object (%1)."_s.arg(problem.errorString()));
    QJsonObject root = document.object();
    if (root.take(key::version) != QJsonValue(kVersion))
        return malformed(key::version, u"this program reads version 1."_s);

    BrokerRoles roles;
    auto sensors = readList<SensorsRole>(root, key::sensors, readSensors);
    if (!sensors)
        return sensors.error();
    auto edgeNodes = readList<EdgeNodeRole>(root, key::edgeNodes, readEdgeNode);
    if (!edgeNodes)
        return edgeNodes.error();
    auto hosts = readList<HostRole>(root, key::hosts, readHost);
    if (!hosts)
        return hosts.error();
    auto readers = readList<ReaderRole>(root, key::readers, readReader);
    if (!readers)
        return readers.error();
    if (!root.isEmpty())
        return malformed(u"the file"_s, u"the key \"%1\" is not known."_s.arg(root.keys().first().left(40)));
    roles = {std::move(*sensors), std::move(*edgeNodes), std::move(*hosts), std::move(*readers)};
    if (auto unique = checkUnique(roles); !unique)
        return unique.error();
    return roles;
}

QByteArray printRoles(const BrokerRoles &roles)
{
    QJsonArray sensors;
    for (const SensorsRole &role : roles.sensors)
        sensors.append(QJsonObject{{key::trustDomain, role.domain.name()},
                                   {key::site, role.site},
                                   {key::hosts, QJsonArray::fromStringList(role.hosts)}});
    QJsonArray edgeNodes;
    for (const EdgeNodeRole &role : roles.edgeNodes)
        edgeNodes.append(QJsonObject{{key::id, role.id.toString()},
                                     {key::site, role.site},
                                     {key::node, role.node},
                                     {key::hosts, QJsonArray::fromStringList(role.hosts)}});
    QJsonArray hosts;
    for (const HostRole &role : roles.hosts)
        hosts.append(
            QJsonObject{{key::id, role.id.toString()}, {key::host, role.hostId}, {key::sites, printed(role.sites)}});
    QJsonArray readers;
    for (const ReaderRole &role : roles.readers)
        readers.append(QJsonObject{{key::id, role.id.toString() + (role.everybodyBelow ? u"/*"_s : QString())},
                                   {key::sites, printed(role.sites)}});
    return QJsonDocument(QJsonObject{{key::version, kVersion},
                                     {key::sensors, sensors},
                                     {key::edgeNodes, edgeNodes},
                                     {key::hosts, hosts},
                                     {key::readers, readers}})
        .toJson();
}

} // namespace lintel::broker
