#include "authority/service/authority_service.h"
#include "authority/service/conversions.h"
#include "spire/server_methods.h"

namespace lintel::authority {

using namespace Qt::StringLiterals;
namespace api = ::spire::api::server::entry::v1;
namespace method = spire::method;
using spire::textOf;

namespace {

Result<QList<Entry>> filtered(Authority &authority, const api::EntryFilter &filter)
{
    EntryFilter wanted;
    if (filter.has_by_spiffe_id()) {
        const auto id = spire::spiffeIdOf(filter.by_spiffe_id());
        if (!id)
            return id.error();
        wanted.spiffeId = *id;
    }
    if (filter.has_by_parent_id()) {
        const auto id = spire::spiffeIdOf(filter.by_parent_id());
        if (!id)
            return id.error();
        wanted.parentId = *id;
    }
    if (filter.has_by_hint())
        wanted.hint = textOf(filter.by_hint().value());
    if (filter.has_by_downstream())
        wanted.downstream = filter.by_downstream().value();
    auto entries = authority.entries(wanted);
    if (!entries)
        return entries;
    if (filter.has_by_selectors()) {
        const Selectors selectors = selectorsOf(filter.by_selectors().selectors());
        entries->removeIf(
            [&](const Entry &entry) { return !matches(selectors, entry.selectors, filter.by_selectors().match()); });
    }
    if (filter.has_by_federates_with()) {
        QList<TrustDomain> domains;
        for (const std::string &name : filter.by_federates_with().trust_domains()) {
            const auto domain = trustDomainOf(name);
            if (!domain)
                return domain.error();
            domains.append(*domain);
        }
        entries->removeIf([&](const Entry &entry) {
            return !matches(domains, entry.federatesWith, filter.by_federates_with().match());
        });
    }
    return entries;
}

/// Made by an enrolment, or by a token for a device; an operator did not say with whom it federates.
bool isOfEnrolment(const Entry &entry)
{
    const Selectors ofToken{{u"spiffe_id"_s, entry.parentId.toString()}};
    return entry.selectors == ofToken
           || std::all_of(entry.selectors.cbegin(), entry.selectors.cend(),
                          [](const Selector &selector) { return selector.type == "lintel"_L1; });
}

/// A conversation with SPIRE's agent, which has it every five seconds: all entries at once while they fit a
/// page, else their revisions, of which the agent asks for those that it does not have.
struct EntrySync {
    bool hasBegun = false;
    std::optional<types::EntryMask> mask; // of the first request; later ones have none of their own
};
constexpr qsizetype kEntriesPerPage = 500; // SPIRE's

void fillMasked(types::Entry *out, const Entry &entry, const EntrySync &sync)
{
    fill(out, entry, sync.mask ? &*sync.mask : nullptr);
}

grpc::Status beginSync(grpc::ServerCall &call, EntrySync &sync, const api::SyncAuthorizedEntriesRequest &request,
                       const QList<Entry> &entries)
{
    using grpc::StatusCode;
    if (!request.ids().empty())
        return {StatusCode::InvalidArgument, u"The first request asks for all entries; name single ones later."_s, {}};
    if (request.has_output_mask() && !request.output_mask().revision_number())
        return {StatusCode::InvalidArgument, u"The revision number cannot be left out."_s, {}};
    sync.hasBegun = true;
    if (request.has_output_mask())
        sync.mask = request.output_mask();
    if (entries.size() <= kEntriesPerPage) {
        api::SyncAuthorizedEntriesResponse all;
        for (const Entry &entry : entries)
            fillMasked(all.add_entries(), entry, sync);
        call.send(spire::serialize(all));
        return {};
    }
    for (qsizetype begin = 0; begin < entries.size(); begin += kEntriesPerPage) {
        const qsizetype end = qMin(begin + kEntriesPerPage, entries.size());
        api::SyncAuthorizedEntriesResponse page;
        for (const Entry &entry : entries.sliced(begin, end - begin)) {
            auto *revision = page.add_entry_revisions();
            revision->set_id(entry.id.toStdString());
            revision->set_revision_number(entry.revision);
            revision->set_created_at(toEpochMillis(entry.createdAt) / 1'000);
        }
        page.set_more(end < entries.size());
        call.send(spire::serialize(page));
    }
    return {};
}

void sendWanted(grpc::ServerCall &call, const EntrySync &sync, const api::SyncAuthorizedEntriesRequest &request,
                const QList<Entry> &entries)
{
    QSet<QString> wanted;
    for (const std::string &id : request.ids())
        wanted.insert(textOf(id));
    api::SyncAuthorizedEntriesResponse page;
    for (const Entry &entry : entries) {
        if (!wanted.contains(entry.id))
            continue;
        if (page.entries_size() == kEntriesPerPage) {
            page.set_more(true);
            call.send(spire::serialize(page));
            page.Clear();
        }
        fillMasked(page.add_entries(), entry, sync);
    }
    call.send(spire::serialize(page));
}

} // namespace

Result<QList<Entry>> AuthorityService::entriesFor(const Agent &agent)
{
    auto entries = m_authority.authorizedEntries(agent);
    const auto bundles = m_authority.federatedBundles();
    if (!entries || !bundles)
        return !entries ? entries : bundles.error();
    // Devices talk to every domain that is known here: a gateway to the cloud, a broker to all its clients.
    for (Entry &entry : *entries)
        if (isOfEnrolment(entry))
            entry.federatesWith = bundles->keys();
    return entries;
}

void AuthorityService::serveEntryStream(const std::shared_ptr<grpc::ServerCall> &call)
{
    grpc::Status refused;
    const auto agent = callerOf(*call, &refused);
    if (!agent)
        return call->finish(refused);
    const auto sync = std::make_shared<EntrySync>();
    QObject::connect(call.get(), &grpc::ServerCall::messageReceived, this,
                     [this, raw = call.get(), sync](const QByteArray &bytes) {
                         const auto request = spire::parse<api::SyncAuthorizedEntriesRequest>(bytes);
                         if (!request)
                             return raw->finish(statusOf(request.error()));
                         // It may have been revoked since the stream began.
                         grpc::Status gone;
                         const auto caller = callerOf(*raw, &gone);
                         if (!caller)
                             return raw->finish(gone);
                         auto entries = entriesFor(*caller);
                         if (!entries)
                             return raw->finish(statusOf(entries.error()));
                         // Who asks this way makes a key for each entry, and this one goes with the agent's key.
                         entries->removeIf([](const Entry &entry) { return entry.keyBound; });
                         if (sync->hasBegun)
                             return sendWanted(*raw, *sync, *request, *entries);
                         if (const auto begun = beginSync(*raw, *sync, *request, *entries); !begun.isOk())
                             raw->finish(begun);
                     });
    QObject::connect(call.get(), &grpc::ServerCall::halfClosed, call.get(), [raw = call.get()] { raw->finish({}); });
}

void AuthorityService::serveEntryMethods()
{
    forAgents(method::entry("GetAuthorizedEntries"), [this](const QByteArray &bytes, const Agent &agent) {
        const auto request = spire::parse<api::GetAuthorizedEntriesRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto entries = entriesFor(agent);
        if (!entries)
            return refusal(entries.error());
        api::GetAuthorizedEntriesResponse response;
        for (const Entry &entry : *entries)
            fill(response.add_entries(), entry, request->has_output_mask() ? &request->output_mask() : nullptr);
        return reply(response);
    });
    m_agents.handleStream(method::entry("SyncAuthorizedEntries"),
                          [this](const std::shared_ptr<grpc::ServerCall> &call) { serveEntryStream(call); });

    forAdministrators(method::entry("CountEntries"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<api::CountEntriesRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto entries = filtered(m_authority, request->filter());
        if (!entries)
            return refusal(entries.error());
        api::CountEntriesResponse response;
        response.set_count(int(entries->size()));
        return reply(response);
    });
    forAdministrators(method::entry("ListEntries"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<api::ListEntriesRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto entries = filtered(m_authority, request->filter());
        if (!entries)
            return refusal(entries.error());
        const auto page = pageOf(entries->size(), request->page_size(), request->page_token());
        if (!page)
            return refusal(page.error());
        api::ListEntriesResponse response;
        response.set_next_page_token(page->next);
        for (qsizetype i = page->begin; i < page->end; ++i)
            fill(response.add_entries(), entries->at(i),
                 request->has_output_mask() ? &request->output_mask() : nullptr);
        return reply(response);
    });
    forAdministrators(method::entry("GetEntry"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<api::GetEntryRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto entry = m_authority.entry(textOf(request->id()));
        if (!entry)
            return refusal(entry.error());
        types::Entry response;
        fill(&response, *entry, request->has_output_mask() ? &request->output_mask() : nullptr);
        return reply(response);
    });
    forAdministrators(method::entry("BatchCreateEntry"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<api::BatchCreateEntryRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto *mask = request->has_output_mask() ? &request->output_mask() : nullptr;
        api::EntryResults response;
        for (const types::Entry &one : request->entries()) {
            auto *result = response.add_results();
            const auto entry = entryOf(one);
            const auto created = entry ? m_authority.createEntry(*entry, actor) : Result<Entry>(entry.error());
            fill(result->mutable_status(), created ? grpc::Status{} : statusOf(created.error()));
            if (created) {
                fill(result->mutable_entry(), *created, mask);
            } else if (created.error().code == Errc::Conflict) {
                // SPIRE answers with the entry that is there already.
                if (const auto similar = m_authority.similarEntry(*entry); similar && *similar)
                    fill(result->mutable_entry(), **similar, mask);
            }
        }
        return reply(response);
    });
    forAdministrators(method::entry("BatchUpdateEntry"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<api::BatchUpdateEntryRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto *input = request->has_input_mask() ? &request->input_mask() : nullptr;
        api::EntryResults response;
        for (const types::Entry &one : request->entries()) {
            auto *result = response.add_results();
            const auto fresh = entryOf(one);
            const auto known = fresh ? m_authority.entry(fresh->id) : Result<Entry>(fresh.error());
            const auto updated =
                known ? m_authority.updateEntry(merged(*known, *fresh, input), actor) : Result<Entry>(known.error());
            fill(result->mutable_status(), updated ? grpc::Status{} : statusOf(updated.error()));
            if (updated)
                fill(result->mutable_entry(), *updated, request->has_output_mask() ? &request->output_mask() : nullptr);
        }
        return reply(response);
    });
    forAdministrators(method::entry("BatchDeleteEntry"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<api::BatchDeleteEntryRequest>(bytes);
        if (!request)
            return refusal(request.error());
        api::BatchDeleteEntryResponse response;
        for (const std::string &id : request->ids()) {
            auto *result = response.add_results();
            const auto deleted = m_authority.deleteEntry(textOf(id), actor);
            fill(result->mutable_status(), deleted ? grpc::Status{} : statusOf(deleted.error()));
            result->set_id(id);
        }
        return reply(response);
    });
}

} // namespace lintel::authority
