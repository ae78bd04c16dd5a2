#include "broker-plugin/topic_table.h"

#include "broker-plugin/topic_filter.h"
#include "domain/topic.h"

#include <algorithm>

namespace lintel::broker {

using namespace Qt::StringLiterals;

namespace {
const auto kAny = u"+"_s;
const auto kAgentPath = u"/agent/"_s;

std::string bytes(const QString &text)
{
    return text.toStdString();
}

std::string sparkplug(const QString &site, SparkplugVerb verb, const QString &node)
{
    const bool ofDevice = verb >= SparkplugVerb::DBirth;
    return bytes(toString(SparkplugTopic{site, verb, node, ofDevice ? kAny : QString()}));
}

std::string state(const QString &hostId)
{
    return bytes(toString(StateTopic{hostId}));
}

/// "Own calls": requests and responses are written in the writer's own name and read by their addressee.
void grantOwnCalls(TopicGrants &grants, const SpiffeId &id)
{
    const Principal self(id);
    // A filter of the form <root>/+/<self>/+ has no type of its own: made from the one of a call.
    const auto written = [&self](const QString &readFilter) {
        const QString root = readFilter.chopped(self.toString().size() + 2);
        return bytes(root + kAny + u'/' + self.toString() + u'/' + kAny);
    };
    grants.publish.push_back(written(filter::requestsTo(self)));
    grants.publish.push_back(written(filter::responsesTo(self)));
    grants.subscribe.push_back(bytes(filter::requestsTo(self)));
    grants.subscribe.push_back(bytes(filter::responsesTo(self)));
}

TopicGrants edgeNode(const QString &what, const QString &site, const QString &node, const QStringList &hosts)
{
    using V = SparkplugVerb;
    TopicGrants grants;
    grants.role = u"%1 %2 of %3"_s.arg(what, node, site);
    for (const V verb : {V::NData, V::DData, V::NBirth, V::DBirth, V::NDeath, V::DDeath})
        grants.publish.push_back(sparkplug(site, verb, node));
    // Common Sparkplug libraries subscribe to everything below their own name.
    grants.subscribe = {sparkplug(site, V::NCmd, node) + "/#",
                        bytes(toString(SparkplugTopic{site, V::DCmd, node, u"#"_s}))};
    for (const QString &host : hosts)
        grants.subscribe.push_back(state(host));
    grants.lastWords = {sparkplug(site, V::NDeath, node)};
    return grants;
}

QStringList sitePatterns(const Sites &sites)
{
    return sites.all ? QStringList{kAny} : sites.names;
}

void grantReading(TopicGrants &grants, const Sites &sites)
{
    if (sites.all)
        grants.subscribe.push_back(bytes(filter::everything()));
    for (const QString &site : sites.names)
        grants.subscribe.push_back(bytes(filter::group(site)));
}

TopicGrants host(const HostRole &role)
{
    TopicGrants grants;
    grants.role = u"host %1"_s.arg(role.hostId);
    for (const QString &site : sitePatterns(role.sites)) {
        grants.publish.push_back(sparkplug(site, SparkplugVerb::NCmd, kAny));
        grants.publish.push_back(sparkplug(site, SparkplugVerb::DCmd, kAny));
    }
    grants.publish.push_back(state(role.hostId));
    grantReading(grants, role.sites);
    if (!role.sites.all)
        grants.subscribe.push_back(state(kAny));
    grants.lastWords = {state(role.hostId)};
    return grants;
}

TopicGrants reader(const ReaderRole &role)
{
    TopicGrants grants;
    grants.role = u"reader of %1"_s.arg(role.sites.all ? u"all sites"_s : role.sites.names.join(u", "));
    grantReading(grants, role.sites);
    return grants;
}

bool isBelow(const SpiffeId &id, const SpiffeId &path)
{
    return id.trustDomain() == path.trustDomain() && id.path().startsWith(path.path() + u'/');
}

/// The edge node's name is all that stands below /agent/: deeper paths would let two identities
/// share one name.
QString nodeNameOf(const SpiffeId &id)
{
    const QString name = id.path().startsWith(kAgentPath) ? id.path().sliced(kAgentPath.size()) : QString();
    return validateSparkplugId(name) ? name : QString();
}

std::optional<TopicGrants> sparkplugGrants(const SpiffeId &id, const BrokerRoles &roles)
{
    for (const HostRole &role : roles.hosts)
        if (role.id == id)
            return host(role);
    for (const EdgeNodeRole &role : roles.edgeNodes)
        if (role.id == id)
            return edgeNode(u"gateway"_s, role.site, role.node, role.hosts);
    for (const ReaderRole &role : roles.readers)
        if (!role.everybodyBelow && role.id == id)
            return reader(role);
    for (const ReaderRole &role : roles.readers)
        if (role.everybodyBelow && isBelow(id, role.id))
            return reader(role);
    const QString node = nodeNameOf(id);
    for (const SensorsRole &role : roles.sensors) {
        // A name that the file gives to a gateway of the same site is nobody else's.
        const bool taken = std::any_of(roles.edgeNodes.begin(), roles.edgeNodes.end(), [&](const EdgeNodeRole &other) {
            return other.site == role.site && other.node == node;
        });
        if (!node.isEmpty() && !taken && id.isMemberOf(role.domain))
            return edgeNode(u"sensor"_s, role.site, node, role.hosts);
    }
    return std::nullopt;
}

bool anyMatches(const std::vector<std::string> &filters, std::string_view topic)
{
    return isTopicName(topic) && std::any_of(filters.begin(), filters.end(), [topic](const std::string &filter) {
               return matches(filter, topic);
           });
}
} // namespace

std::optional<TopicGrants> grantsFor(const SpiffeId &id, const BrokerRoles &roles)
{
    auto grants = sparkplugGrants(id, roles);
    if (grants)
        grantOwnCalls(*grants, id);
    return grants;
}

bool mayPublish(const TopicGrants &grants, std::string_view topic)
{
    return anyMatches(grants.publish, topic);
}

bool mayReceive(const TopicGrants &grants, std::string_view topic)
{
    return anyMatches(grants.subscribe, topic);
}

bool maySubscribe(const TopicGrants &grants, std::string_view filter)
{
    return isTopicFilter(filter)
           && std::any_of(grants.subscribe.begin(), grants.subscribe.end(),
                          [filter](const std::string &granted) { return covers(granted, filter); });
}

bool mayRetain(std::string_view topic)
{
    static const std::string states = state(kAny);
    return matches(states, topic);
}

bool isLastWord(const TopicGrants &grants, std::string_view topic)
{
    return anyMatches(grants.lastWords, topic);
}

} // namespace lintel::broker
