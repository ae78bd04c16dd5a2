#include "bench/authority_load.h"

#include "ports/system_clock.h"
#include "spire/server_methods.h"
#include "spire/wire.h"
#include "tls/certificate_writer.h"
#include "tls/file_key_store.h"
#include "tls/openssl_handles.h"
#include "tls/x509.h"

#include "spire_agent.pb.h"
#include "spire_entry.pb.h"
#include "spire_svid.pb.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QTimer>

#include <openssl/ec.h>

namespace lintel::bench {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace method = lintel::spire::method;
namespace types = ::spire::api::types;
namespace agentApi = ::spire::api::server::agent::v1;
namespace entryApi = ::spire::api::server::entry::v1;
namespace svidApi = ::spire::api::server::svid::v1;
using lintel::spire::parse;
using lintel::spire::serialize;
using lintel::spire::stringOf;

namespace {

constexpr auto kPatience = 60s;

Error refused(const QByteArray &path, const grpc::Status &status)
{
    return {Errc::Unavailable, u"%1: %2 %3"_s.arg(QString::fromLatin1(path)).arg(int(status.code)).arg(status.message)};
}

} // namespace

bool waitFor(const std::function<bool()> &condition, std::chrono::milliseconds patience)
{
    QElapsedTimer timer;
    timer.start();
    QTimer tick; // what a thread elsewhere has finished wakes nobody here
    tick.start(20);
    while (!condition() && timer.elapsed() < patience.count())
        QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents);
    return condition();
}

AuthorityLoad::AuthorityLoad(QString address, const QString &adminSocket, const TrustDomain &domain)
    : m_address(std::move(address)),
      m_serverId(*SpiffeId::parse(u"spiffe://%1%2"_s.arg(domain.name(), lintel::spire::kServerPath))),
      m_administration(grpc::ChannelTarget{u"unix:"_s + adminSocket, {}}), m_key(*tls::newSoftwareKey()),
      m_csr(*tls::makeCsr(**tls::signingKeyFrom(m_key)))
{}

std::unique_ptr<grpc::Channel> AuthorityLoad::channel(const std::optional<X509Svid> &own) const
{
    const grpc::ClientTls setup{own, m_serverId, m_bundles, {}};
    return std::make_unique<grpc::Channel>(
        grpc::ChannelTarget{m_address, [setup] { return Result<grpc::ClientTls>(setup); }});
}

Result<QByteArray> AuthorityLoad::ask(grpc::Channel &channel, const QByteArray &path, const QByteArray &request) const
{
    std::optional<grpc::Status> ended;
    QByteArray answer;
    QObject context;
    channel.unary(path, request, kPatience, &context, [&](const grpc::Status &status, const QByteArray &message) {
        ended = status;
        answer = message;
    });
    if (!waitFor([&] { return ended.has_value(); }, kPatience))
        return Error{Errc::Timeout, u"%1 was not answered."_s.arg(QString::fromLatin1(path))};
    return ended->isOk() ? Result<QByteArray>(answer) : refused(path, *ended);
}

Result<void> AuthorityLoad::prepare(int entries)
{
    const auto bundle = ask(m_administration, method::bundle("GetBundle"), {});
    if (!bundle)
        return bundle.error();
    const auto wire = parse<types::Bundle>(*bundle);
    const auto document =
        wire ? lintel::spire::bundleOf(*wire, m_serverId.trustDomain()) : Result<tls::BundleDocument>(wire.error());
    if (!document)
        return document.error();
    m_bundles = {{m_serverId.trustDomain(), document->x509Authorities}};

    const auto tokens = makeTokens(1);
    if (!tokens)
        return tokens.error();
    const auto agents = attest(*tokens, 1);
    if (!agents)
        return agents.error();
    m_agent = agents->first();

    constexpr int kAtOnce = 50;
    for (int done = 0; done < entries; done += kAtOnce) {
        entryApi::BatchCreateEntryRequest request;
        for (int i = done; i < std::min(done + kAtOnce, entries); ++i) {
            types::Entry *entry = request.add_entries();
            lintel::spire::setSpiffeId(entry->mutable_parent_id(), m_agent.id);
            entry->mutable_spiffe_id()->set_trust_domain(m_serverId.trustDomain().name().toStdString());
            entry->mutable_spiffe_id()->set_path("/workload/" + std::to_string(i));
            types::Selector *selector = entry->add_selectors();
            selector->set_type("unix");
            selector->set_value("uid:" + std::to_string(i));
        }
        const auto created = ask(m_administration, method::entry("BatchCreateEntry"), serialize(request));
        if (!created)
            return created.error();
        const auto results = parse<entryApi::EntryResults>(*created);
        if (!results)
            return results.error();
        for (const auto &one : results->results()) {
            if (one.status().code() != 0)
                return Error{Errc::Unavailable, lintel::spire::textOf(one.status().message())};
            m_entryIds.append(lintel::spire::bytesOf(one.entry().id()));
        }
    }
    // SPIRE's server sees new entries when it next looks; the last one is the last to be seen.
    const auto agent = channel(m_agent);
    svidApi::BatchNewX509SVIDRequest last;
    last.add_params()->set_entry_id(stringOf(m_entryIds.last()));
    last.mutable_params(0)->set_csr(stringOf(m_csr));
    QElapsedTimer patience;
    patience.start();
    while (true) {
        const auto answer = ask(*agent, method::svid("BatchNewX509SVID"), serialize(last));
        if (!answer)
            return answer.error();
        const auto results = parse<svidApi::BatchNewX509SVIDResponse>(*answer);
        if (results && results->results_size() == 1 && results->results(0).status().code() == 0)
            return {};
        if (patience.elapsed() > std::chrono::milliseconds{kPatience}.count())
            return Error{Errc::Timeout, u"The server does not issue SVIDs of the entries that it was given."_s};
        (void)waitFor([] { return false; }, 200ms);
    }
}

Result<double> AuthorityLoad::svidsPerSecond(int clients, int batch, std::chrono::milliseconds duration)
{
    svidApi::BatchNewX509SVIDRequest request;
    for (int i = 0; i < batch; ++i) {
        auto *params = request.add_params();
        params->set_entry_id(stringOf(m_entryIds.at(i % m_entryIds.size())));
        params->set_csr(stringOf(m_csr));
    }
    const QByteArray bytes = serialize(request);
    const QByteArray path = method::svid("BatchNewX509SVID");

    std::vector<std::unique_ptr<grpc::Channel>> channels;
    for (int i = 0; i < clients; ++i) {
        channels.push_back(channel(m_agent));
        const auto first = ask(*channels.back(), path, bytes); // connected, and every SVID is there
        if (!first)
            return first.error();
        const auto results = parse<svidApi::BatchNewX509SVIDResponse>(*first);
        if (!results || results->results_size() != batch)
            return Error{Errc::Malformed, u"The server answered another number of SVIDs than was asked for."_s};
        for (const auto &one : results->results())
            if (one.status().code() != 0)
                return Error{Errc::Unavailable, lintel::spire::textOf(one.status().message())};
    }
    QElapsedTimer timer;
    timer.start();
    qint64 rounds = 0;
    qint64 lastAt = 1;
    int running = clients;
    std::optional<Error> problem;
    QObject context;
    std::function<void(grpc::Channel &)> next = [&](grpc::Channel &one) {
        one.unary(path, bytes, kPatience, &context, [&](const grpc::Status &status, const QByteArray &) {
            if (!status.isOk())
                problem = refused(path, status);
            else
                ++rounds;
            lastAt = timer.nsecsElapsed();
            if (!problem && lastAt < std::chrono::nanoseconds{duration}.count())
                next(one);
            else
                --running;
        });
    };
    for (const auto &one : channels)
        next(*one);
    if (!waitFor([&] { return running == 0; }, duration + kPatience))
        return Error{Errc::Timeout, u"The server stopped answering."_s};
    if (problem)
        return *problem;
    return double(rounds * batch) / (double(lastAt) / 1e9);
}

Result<QString> AuthorityLoad::makeToken(const SpiffeId &device)
{
    agentApi::CreateJoinTokenRequest request;
    request.set_ttl(3'600);
    if (!device.isEmpty())
        lintel::spire::setSpiffeId(request.mutable_agent_id(), device);
    const auto made = ask(m_administration, method::agent("CreateJoinToken"), serialize(request));
    if (!made)
        return made.error();
    const auto token = parse<types::JoinToken>(*made);
    return token ? Result<QString>(lintel::spire::textOf(token->value())) : token.error();
}

Result<QStringList> AuthorityLoad::makeTokens(int count)
{
    QStringList tokens;
    for (int i = 0; i < count; ++i) {
        const auto token = makeToken({});
        if (!token)
            return token.error();
        tokens.append(*token);
    }
    return tokens;
}

/// One token's way to an agent's SVID.
struct AuthorityLoad::Attestation {
    std::unique_ptr<grpc::Channel> channel;
    std::optional<Result<QList<QByteArray>>> chain;
};

Result<QList<X509Svid>> AuthorityLoad::attest(const QStringList &tokens, int parallel, double *seconds)
{
    QElapsedTimer timer;
    timer.start();
    std::vector<Attestation> all(size_t(tokens.size()));
    const QByteArray path = method::agent("AttestAgent");
    size_t begun = 0;
    size_t ended = 0;
    std::function<void()> next = [&] {
        if (begun == all.size())
            return;
        Attestation &one = all[begun];
        agentApi::AttestAgentRequest request;
        request.mutable_params()->mutable_data()->set_type("join_token");
        request.mutable_params()->mutable_data()->set_payload(tokens.at(qsizetype(begun)).toStdString());
        request.mutable_params()->mutable_params()->set_csr(stringOf(m_csr));
        ++begun;
        one.channel = channel({});
        grpc::ClientCall *call = one.channel->start(path, {}, kPatience);
        QObject::connect(call, &grpc::ClientCall::messageReceived, call, [&one, call](const QByteArray &message) {
            const auto response = parse<agentApi::AttestAgentResponse>(message);
            if (!response)
                one.chain = response.error();
            else
                one.chain = lintel::spire::chainOf(response->result().svid());
            call->closeSending();
        });
        QObject::connect(call, &grpc::ClientCall::finished, call, [&, path](const grpc::Status &status) {
            if (!status.isOk() || !one.chain)
                one.chain = refused(path, status);
            one.channel.release()->deleteLater();
            ++ended;
            next();
        });
        call->send(serialize(request));
    };
    for (int i = 0; i < parallel; ++i)
        next();
    if (!waitFor([&] { return ended == all.size(); }, kPatience + 5min))
        return Error{Errc::Timeout, u"The server stopped answering attestations."_s};
    if (seconds)
        *seconds = double(timer.nsecsElapsed()) / 1e9;
    QList<X509Svid> agents;
    for (const Attestation &one : all) {
        if (!*one.chain)
            return one.chain->error();
        const auto svid = tls::makeSvid(**one.chain, m_key);
        if (!svid)
            return svid.error();
        agents.append(*svid);
    }
    return agents;
}

Result<double> AuthorityLoad::attestationsPerSecond(const QStringList &tokens, int parallel)
{
    double seconds = 0;
    const auto agents = attest(tokens, parallel, &seconds);
    return agents ? Result<double>(double(tokens.size()) / seconds) : agents.error();
}

Result<void> AuthorityLoad::connectAgents(const QStringList &tokens)
{
    const auto agents = attest(tokens, 4);
    return agents ? connect(*agents) : agents.error();
}

Result<void> AuthorityLoad::connect(const QList<X509Svid> &agents)
{
    for (const X509Svid &agent : agents) {
        m_idle.push_back(channel(agent));
        const auto entries = ask(*m_idle.back(), method::entry("GetAuthorizedEntries"), {});
        if (!entries)
            return entries.error();
    }
    return {};
}

Result<QString> AuthorityLoad::issuerKeyType() const
{
    const tls::X509Ptr issuer = tls::x509FromDer(
        m_agent.chainDer.size() > 1 ? m_agent.chainDer.at(1) : m_bundles.value(m_serverId.trustDomain()).value(0));
    const EVP_PKEY *key = issuer ? X509_get0_pubkey(issuer.get()) : nullptr;
    if (!key)
        return Error{Errc::Malformed, u"The issuer's certificate cannot be read."_s};
    char name[32] = {};
    size_t size = 0;
    if (EVP_PKEY_get_group_name(key, name, sizeof name, &size) != 1)
        return QString::fromLatin1(EVP_PKEY_get0_type_name(key));
    return qstrcmp(name, "prime256v1") == 0 ? u"P-256"_s : QString::fromLatin1(name);
}

} // namespace lintel::bench
