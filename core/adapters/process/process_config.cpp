#include "process/process_config.h"

namespace lintel {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

SpiffeId AgentConfig::spiffeId() const
{
    const auto id = SpiffeId::parse(u"spiffe://%1/agent/%2"_s.arg(trustDomain.name(), name));
    return id ? *id : SpiffeId{};
}

AgentConfig readAgent(config::Section section)
{
    AgentConfig agent;
    section.require({u"name", u"trust_domain"});
    section.text(u"name", agent.name);
    section.trustDomain(u"trust_domain", agent.trustDomain);
    section.accept(u"description");
    section.accept(u"capabilities");
    if (!agent.name.isEmpty() && !agent.trustDomain.isEmpty())
        section.check(u"name", !agent.spiffeId().isEmpty(), u"a name of letters, digits, '.', '-' and '_'"_s);
    return agent;
}

IdentityConfig readIdentity(config::Section section)
{
    enum class Provider { Files };
    IdentityConfig identity;
    Provider provider = Provider::Files;
    section.choice(u"provider", provider, {{u"files", Provider::Files}});
    section.require({u"directory"});
    section.text(u"directory", identity.directory);
    return identity;
}

BrokerConfig readBroker(config::Section section)
{
    BrokerConfig broker;
    section.require({u"id"});
    section.text(u"host", broker.host);
    section.integer(u"port", broker.port, 1, 65535);
    section.spiffeId(u"id", broker.id);
    section.duration(u"keepalive", broker.keepAlive, 5s, 1h);
    return broker;
}

} // namespace lintel
