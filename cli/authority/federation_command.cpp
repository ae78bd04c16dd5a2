#include "authority/bundle_view.h"
#include "authority/commands.h"
#include "authority/text_table.h"
#include "output.h"
#include "spire/server_methods.h"
#include "tls/identity_files.h"
#include "tls/x509.h"

#include "lintel_authority.pb.h"
#include "spire_bundle.pb.h"
#include "spire_trustdomain.pb.h"

#include <QJsonArray>

namespace lintel::cli {

using namespace Qt::StringLiterals;
namespace method = spire::method;
namespace bundleApi = ::spire::api::server::bundle::v1;
namespace domainApi = ::spire::api::server::trustdomain::v1;
namespace types = ::spire::api::types;
namespace wire = ::lintel::authority::v1;
using spire::textOf;

namespace {

// --- bundle --------------------------------------------------------------------------------------

Result<types::Bundle> fetchBundle(const Arguments &arguments)
{
    AdminClient client = clientFor(arguments);
    if (!arguments.has(u"trust-domain"_s))
        return client.call<types::Bundle>(method::bundle("GetBundle"), bundleApi::GetBundleRequest());
    bundleApi::GetFederatedBundleRequest request;
    request.set_trust_domain(arguments.value(u"trust-domain"_s).toStdString());
    return client.call<types::Bundle>(method::bundle("GetFederatedBundle"), request);
}

Result<Answer> showBundle(const Arguments &arguments)
{
    const QString format = arguments.value(u"format"_s, u"spiffe"_s);
    if (format != u"spiffe" && format != u"pem")
        return wrongUsage(u"--format %1: say spiffe or pem."_s.arg(format.left(40)));
    const auto bundle = fetchBundle(arguments);
    if (!bundle)
        return bundle.error();
    const tls::BundleDocument document = bundleOf(*bundle);
    const auto text = format == u"pem" ? Result<QByteArray>(tls::certificatesToPem(document.x509Authorities))
                                       : tls::printBundle(document);
    if (!text)
        return text.error();
    const QString domain = textOf(bundle->trust_domain());
    const QString file = arguments.value(u"out"_s);
    if (file.isEmpty())
        return Answer{wholeBundleJson(domain, document),
                      QString::fromUtf8(*text) + (text->endsWith('\n') ? QString() : u"\n"_s)};
    if (const auto written = tls::writePublicFile(file, *text); !written)
        return written.error();
    return Answer{bundleJson(domain, document), u"The bundle of %1 is in %2.\n"_s.arg(domain, file)};
}

Result<void> storeBundle(AdminClient &client, const QString &domain, const tls::BundleDocument &document)
{
    bundleApi::FederatedBundles request;
    fill(request.add_bundle(), domain, document);
    const auto answer =
        client.call<bundleApi::FederatedBundleResults>(method::bundle("BatchSetFederatedBundle"), request);
    if (!answer)
        return answer.error();
    if (answer->results_size() != 1)
        return Error{Errc::Malformed, u"The authority's answer says nothing about the bundle."_s};
    return resultOf(answer->results(0).status());
}

Result<Answer> setBundle(const Arguments &arguments)
{
    if (!arguments.has(u"trust-domain"_s) || !arguments.has(u"file"_s))
        return wrongUsage(u"\"bundle set\" needs --trust-domain and --file. See `lintelctl bundle --help`."_s);
    const auto document = readBundleFile(arguments.value(u"file"_s));
    if (!document)
        return document.error();
    const QString domain = arguments.value(u"trust-domain"_s);
    AdminClient client = clientFor(arguments);
    if (const auto stored = storeBundle(client, domain, *document); !stored)
        return stored.error();
    return Answer{bundleJson(domain, *document),
                  u"The bundle of %1 is set: %2, %3.\n"_s.arg(
                      domain, counted(quint64(document->x509Authorities.size()), u"root"_s, u"roots"_s),
                      counted(quint64(document->jwtAuthorities.size()), u"JWT key"_s, u"JWT keys"_s))};
}

// --- federation ----------------------------------------------------------------------------------

QString profileOf(const types::FederationRelationship &relationship)
{
    return relationship.has_https_spiffe() ? u"https_spiffe"_s : u"https_web"_s;
}

Result<types::FederationRelationship> relationshipWith(AdminClient &client, const QString &domain)
{
    domainApi::GetFederationRelationshipRequest request;
    request.set_trust_domain(domain.toStdString());
    return client.call<types::FederationRelationship>(method::trustDomain("GetFederationRelationship"), request);
}

Result<Answer> list(const Arguments &arguments)
{
    const auto state =
        clientFor(arguments).call<wire::FederationState>(method::admin("ListFederation"), wire::FederationState());
    if (!state)
        return state.error();
    QJsonArray array;
    QList<QStringList> rows;
    for (const auto &domain : state->domains()) {
        const bool byId = !domain.endpoint_spiffe_id().empty();
        const QString profile = byId ? u"https_spiffe"_s : u"https_web"_s;
        array.append(QJsonObject{{u"trust_domain"_s, textOf(domain.trust_domain())},
                                 {u"url"_s, textOf(domain.url())},
                                 {u"profile"_s, profile},
                                 {u"endpoint_id"_s, textOf(domain.endpoint_spiffe_id())},
                                 {u"refreshed_at"_s, domain.refreshed_at_ms() == 0
                                                         ? QJsonValue()
                                                         : QJsonValue(shownTime(domain.refreshed_at_ms()))},
                                 {u"problem"_s, textOf(domain.problem())},
                                 {u"has_bundle"_s, domain.has_bundle()},
                                 {u"sequence"_s, qint64(domain.sequence())}});
        rows.append({textOf(domain.trust_domain()), profile, textOf(domain.url()),
                     domain.has_bundle() ? QString::number(domain.sequence()) : u"none"_s,
                     shownTime(domain.refreshed_at_ms()),
                     domain.problem().empty() ? u"-"_s : textOf(domain.problem())});
    }
    const QString text =
        rows.isEmpty()
            ? u"No federation.\n"_s
            : textTable({u"TRUST DOMAIN"_s, u"PROFILE"_s, u"URL"_s, u"BUNDLE"_s, u"REFRESHED"_s, u"PROBLEM"_s}, rows);
    return Answer{{{u"relationships"_s, array}}, text};
}

Result<Answer> set(const Arguments &arguments)
{
    const QString domain = arguments.words().first();
    const QString endpoint = arguments.value(u"endpoint-id"_s);
    if (!arguments.has(u"url"_s))
        return wrongUsage(u"Say with --url where the bundle is. See `lintelctl federation --help`."_s);
    types::FederationRelationship wanted;
    wanted.set_trust_domain(domain.toStdString());
    wanted.set_bundle_endpoint_url(arguments.value(u"url"_s).toStdString());
    if (endpoint.isEmpty())
        wanted.mutable_https_web();
    else
        wanted.mutable_https_spiffe()->set_endpoint_spiffe_id(endpoint.toStdString());
    if (arguments.has(u"bundle"_s)) {
        const auto document = readBundleFile(arguments.value(u"bundle"_s));
        if (!document)
            return document.error();
        fill(wanted.mutable_trust_domain_bundle(), domain, *document);
    }
    auto client = clientFor(arguments);
    const auto before = relationshipWith(client, domain);
    if (!before && before.error().code != Errc::NotFound)
        return before.error();
    if (const auto done = federate(client, wanted); !done)
        return done.error();
    const QString profile = profileOf(wanted);
    QJsonObject json{{u"trust_domain"_s, domain}, {u"url"_s, arguments.value(u"url"_s)}, {u"profile"_s, profile}};
    QString text =
        u"The bundle of %1 is fetched from %2 (profile %3) from now on; see: lintelctl federation list\n"_s.arg(
            domain, arguments.value(u"url"_s), profile);
    if (before && profileOf(*before) != profile) {
        json.insert(u"profile_before"_s, profileOf(*before));
        text += u"Note that the profile was %1 until now: %2.\n"_s.arg(
            profileOf(*before), endpoint.isEmpty() ? u"without --endpoint-id the system's certificates decide who may "
                                                     "answer there, no SPIFFE ID"_s
                                                   : u"whoever answers there must be %1 from now on"_s.arg(endpoint));
    }
    return Answer{json, text};
}

Result<Answer> remove(const Arguments &arguments)
{
    const QString domain = arguments.words().first();
    AdminClient client = clientFor(arguments);
    domainApi::BatchDeleteFederationRelationshipRequest request;
    request.add_trust_domains(domain.toStdString());
    const auto answer = client.call<domainApi::BatchDeleteFederationRelationshipResponse>(
        method::trustDomain("BatchDeleteFederationRelationship"), request);
    if (!answer)
        return answer.error();
    if (answer->results_size() != 1)
        return Error{Errc::Malformed, u"The authority's answer says nothing about the relationship."_s};
    if (const auto done = resultOf(answer->results(0).status()); !done)
        return done.error();
    if (arguments.has(u"keep-bundle"_s))
        return Answer{{{u"trust_domain"_s, domain}, {u"bundle_kept"_s, true}},
                      u"The bundle of %1 is no longer refreshed, and still trusted.\n"_s.arg(domain)};
    bundleApi::BatchDeleteFederatedBundleRequest drop;
    drop.add_trust_domains(domain.toStdString());
    drop.set_mode(bundleApi::BatchDeleteFederatedBundleRequest::DISSOCIATE);
    const auto dropped =
        client.call<bundleApi::BatchDeleteFederatedBundleResponse>(method::bundle("BatchDeleteFederatedBundle"), drop);
    if (!dropped)
        return dropped.error();
    for (const auto &result : dropped->results())
        if (const auto done = resultOf(result.status()); !done && done.error().code != Errc::NotFound)
            return done.error();
    return Answer{{{u"trust_domain"_s, domain}, {u"bundle_kept"_s, false}},
                  u"%1 is not trusted any more.\n"_s.arg(domain)};
}

Result<Answer> refresh(const Arguments &arguments)
{
    const QString domain = arguments.words().first();
    AdminClient client = clientFor(arguments);
    const auto relationship = relationshipWith(client, domain);
    if (!relationship)
        return relationship.error();
    domainApi::RefreshBundleRequest request;
    request.set_trust_domain(domain.toStdString());
    if (const auto asked = client.ask(method::trustDomain("RefreshBundle"), spire::serialize(request)); !asked)
        return asked.error();
    return Answer{{{u"trust_domain"_s, domain}},
                  u"The bundle of %1 is being fetched; see: lintelctl federation list\n"_s.arg(domain)};
}

} // namespace

int runBundle(const QStringList &arguments)
{
    const Option domain{u"trust-domain"_s, u"NAME"_s, u"whose bundle; of \"show\": the authority's own without it"_s};
    return runGroup({u"bundle"_s,
                     u"Trust bundles: what is needed to verify the identities of a trust domain."_s,
                     {{u"show"_s,
                       u"[--trust-domain NAME] [--format spiffe|pem] [--out FILE]"_s,
                       u"the authority's own bundle, or that of a domain it federates with"_s,
                       {domain,
                        {u"format"_s, u"FORMAT"_s, u"spiffe (JSON with JWT keys, the default) or pem (roots only)"_s},
                        {u"out"_s, u"FILE"_s, u"write it there"_s},
                        socketOption()},
                       0,
                       showBundle},
                      {u"set"_s,
                       u"--trust-domain NAME --file FILE"_s,
                       u"takes another domain's bundle from a file; that file must have come a trusted way"_s,
                       {domain, {u"file"_s, u"FILE"_s, u"a SPIFFE bundle (JSON) or PEM roots"_s}, socketOption()},
                       0,
                       setBundle}},
                     u"  lintelctl bundle show --out building-1.json\n"
                     "  lintelctl bundle set --trust-domain smart-building.cloud --file cloud.json\n"_s},
                    arguments);
}

int runFederation(const QStringList &arguments)
{
    return runGroup(
        {u"federation"_s,
         u"Whose bundles the authority on this machine fetches by itself, from where, and how it went. With\n"
         "--endpoint-id the server must prove that SPIFFE ID (profile https_spiffe; the first bundle comes\n"
         "with --bundle), without it the system's certificates decide (https_web)."_s,
         {{u"list"_s, QString(), u"all relationships"_s, {socketOption()}, 0, list},
          {u"set"_s,
           u"DOMAIN --url URL [--endpoint-id SPIFFE-ID] [--bundle FILE]"_s,
           u"begins or changes one, and fetches at once"_s,
           {{u"url"_s, u"URL"_s, u"the bundle endpoint, https://..."_s},
            {u"endpoint-id"_s, u"SPIFFE-ID"_s, u"who must answer there"_s},
            {u"bundle"_s, u"FILE"_s, u"the first bundle, from a trusted way (SPIFFE JSON or PEM)"_s},
            socketOption()},
           1,
           set},
          {u"delete"_s,
           u"DOMAIN [--keep-bundle]"_s,
           u"ends one, and the trust in that domain"_s,
           {{u"keep-bundle"_s, {}, u"go on trusting what was fetched last"_s}, socketOption()},
           1,
           remove},
          {u"refresh"_s, u"DOMAIN"_s, u"fetches its bundle now"_s, {socketOption()}, 1, refresh}},
         u"  lintelctl federation set smart-building.cloud --url https://cloud.example:8443/ \\\n"
         "      --endpoint-id spiffe://smart-building.cloud/spire/server --bundle cloud.json\n"
         "  lintelctl federation list\n"_s},
        arguments);
}

} // namespace lintel::cli
