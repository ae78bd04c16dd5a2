// SPIRE's server API as agents and spire-server's command line use it, a call at a time: registration entries and
// SVIDs.
#include "fakes/served_authority.h"

#include "spire_entry.pb.h"
#include "spire_svid.pb.h"

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace method = lintel::spire::method;
namespace types = ::spire::api::types;
namespace entries = ::spire::api::server::entry::v1;
namespace svids = ::spire::api::server::svid::v1;
using lintel::spire::setSpiffeId;
using lintel::spire::textOf;

namespace {

types::Entry wireEntry(const SpiffeId &id, const SpiffeId &parent, int uid)
{
    types::Entry entry;
    setSpiffeId(entry.mutable_spiffe_id(), id);
    setSpiffeId(entry.mutable_parent_id(), parent);
    auto *selector = entry.add_selectors();
    selector->set_type("unix");
    selector->set_value("uid:" + std::to_string(uid));
    return entry;
}

} // namespace

class TestAuthorityEntryService : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    // --- Entry ---
    void batchCreateEntry_answersForEachAndWithTheOneThatIsThere()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        entries::BatchCreateEntryRequest request;
        *request.add_entries() = wireEntry(f.id(u"/w/one"_s), f.joined.id, 1);
        *request.add_entries() = wireEntry(f.id(u"/w/one"_s), f.joined.id, 1);
        *request.add_entries() = wireEntry(f.id(u"/spire/server"_s), f.joined.id, 1);
        request.add_entries();
        request.mutable_output_mask()->set_spiffe_id(true);
        const Answer answer = ask(*f.admin, method::entry("BatchCreateEntry"), request);
        COMPARE_STATUS(answer, Ok);
        const auto results = answer.as<entries::EntryResults>();
        QCOMPARE(results.results_size(), 4);
        QCOMPARE(results.results(0).status().code(), 0);
        QVERIFY(!results.results(0).entry().id().empty() && results.results(0).entry().selectors().empty());
        QCOMPARE(results.results(1).status().code(), int(grpc::StatusCode::AlreadyExists));
        QCOMPARE(results.results(1).entry().id(), results.results(0).entry().id());
        QCOMPARE(results.results(2).status().code(), int(grpc::StatusCode::InvalidArgument));
        QCOMPARE(results.results(3).status().code(), int(grpc::StatusCode::InvalidArgument));
        QCOMPARE(f.authority->entry(textOf(results.results(0).entry().id()))->spiffeId, f.id(u"/w/one"_s));
    }
    void getEntry_tellsWhatTheMaskNames()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const Entry entry = f.entry(u"/w/one"_s, f.joined.id, 7);
        entries::GetEntryRequest request;
        request.set_id(entry.id.toStdString());
        const Answer answer = ask(*f.admin, method::entry("GetEntry"), request);
        COMPARE_STATUS(answer, Ok);
        const auto whole = answer.as<types::Entry>();
        QCOMPARE(textOf(whole.parent_id().path()), f.joined.id.path());
        QCOMPARE(textOf(whole.selectors(0).value()), u"uid:7"_s);
        QCOMPARE(whole.created_at(), toEpochMillis(f.clock.now()) / 1'000);
        request.mutable_output_mask()->set_selectors(true);
        const auto masked = ask(*f.admin, method::entry("GetEntry"), request).as<types::Entry>();
        QVERIFY(masked.selectors_size() == 1 && !masked.has_spiffe_id() && masked.created_at() == 0);
        request.set_id("none");
        COMPARE_STATUS(ask(*f.admin, method::entry("GetEntry"), request), NotFound);
    }
    void listAndCountEntries_filterAndComeInPages()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const int before = int(f.authority->entries()->size()); // of the enrolment
        for (int i = 0; i < 5; ++i)
            (void)f.entry(u"/w/%1"_s.arg(i), f.joined.id, i);
        const auto count = [&f](const auto &change) {
            entries::CountEntriesRequest request;
            change(*request.mutable_filter());
            return ask(*f.admin, method::entry("CountEntries"), request).as<entries::CountEntriesResponse>().count();
        };
        QCOMPARE(count([](auto &) {}), before + 5);
        QCOMPARE(count([&](auto &filter) { setSpiffeId(filter.mutable_by_spiffe_id(), f.id(u"/w/3"_s)); }), 1);
        QCOMPARE(count([&](auto &filter) { setSpiffeId(filter.mutable_by_parent_id(), f.joined.id); }), 5);
        QCOMPARE(count([](auto &filter) { filter.mutable_by_hint()->set_value("none"); }), 0);
        QCOMPARE(count([](auto &filter) { filter.mutable_by_downstream()->set_value(true); }), 0);
        QCOMPARE(count([](auto &filter) {
                     filter.mutable_by_federates_with()->set_match(types::ANY);
                     filter.mutable_by_federates_with()->add_trust_domains("partner.example");
                 }),
                 0);
        QCOMPARE(count([](auto &filter) {
                     filter.mutable_by_selectors()->set_match(types::EXACT);
                     auto *selector = filter.mutable_by_selectors()->add_selectors();
                     selector->set_type("unix");
                     selector->set_value("uid:2");
                 }),
                 1);

        entries::ListEntriesRequest request;
        setSpiffeId(request.mutable_filter()->mutable_by_parent_id(), f.joined.id);
        request.set_page_size(2);
        request.mutable_output_mask()->set_spiffe_id(true);
        QSet<QString> seen;
        QList<int> sizes;
        do {
            const Answer answer = ask(*f.admin, method::entry("ListEntries"), request);
            COMPARE_STATUS(answer, Ok);
            const auto page = answer.as<entries::ListEntriesResponse>();
            sizes.append(page.entries_size());
            for (const types::Entry &entry : page.entries()) {
                seen.insert(textOf(entry.spiffe_id().path()));
                QVERIFY(!entry.has_parent_id() && entry.selectors().empty());
            }
            request.set_page_token(page.next_page_token());
        } while (!request.page_token().empty() && sizes.size() < 9);
        QCOMPARE(sizes, (QList<int>{2, 2, 1}));
        QCOMPARE(seen.size(), 5);
    }
    void batchUpdateEntry_changesWhatTheMaskNames()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const Entry entry = f.entry(u"/w/one"_s, f.joined.id, 7);
        entries::BatchUpdateEntryRequest request;
        auto *wanted = request.add_entries();
        wanted->set_id(entry.id.toStdString());
        wanted->set_x509_svid_ttl(120);
        wanted->set_hint("main");
        request.add_entries()->set_id("none");
        request.mutable_input_mask()->set_x509_svid_ttl(true);
        request.mutable_output_mask()->set_revision_number(true);
        const Answer answer = ask(*f.admin, method::entry("BatchUpdateEntry"), request);
        COMPARE_STATUS(answer, Ok);
        const auto results = answer.as<entries::EntryResults>();
        QCOMPARE(results.results_size(), 2);
        QCOMPARE(results.results(0).status().code(), 0);
        QCOMPARE(results.results(0).entry().revision_number(), 1);
        QVERIFY(!results.results(0).entry().has_spiffe_id());
        QCOMPARE(results.results(1).status().code(), int(grpc::StatusCode::NotFound));
        const auto now = f.authority->entry(entry.id);
        QCOMPARE(now->x509Ttl, 120s);
        QCOMPARE(now->spiffeId, entry.spiffeId);
        QVERIFY(now->hint.isEmpty()); // was not in the mask
    }
    void batchDeleteEntry_answersForEach()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const Entry entry = f.entry(u"/w/one"_s, f.joined.id, 7);
        entries::BatchDeleteEntryRequest request;
        request.add_ids(entry.id.toStdString());
        request.add_ids("none");
        const Answer answer = ask(*f.admin, method::entry("BatchDeleteEntry"), request);
        COMPARE_STATUS(answer, Ok);
        const auto results = answer.as<entries::BatchDeleteEntryResponse>();
        QCOMPARE(results.results(0).status().code(), 0);
        QCOMPARE(textOf(results.results(0).id()), entry.id);
        QCOMPARE(results.results(1).status().code(), int(grpc::StatusCode::NotFound));
        VERIFY_ERROR(f.authority->entry(entry.id), Errc::NotFound);
    }
    void authorizedEntries_areOnesOwn_andTheDevicesOnlyOnce()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const Entry own = f.entry(u"/w/own"_s, f.chip.id, 1);
        (void)f.entry(u"/w/other"_s, f.joined.id, 1);
        const auto channel = f.as(f.chip);
        entries::GetAuthorizedEntriesRequest get;
        get.mutable_output_mask()->set_spiffe_id(true);
        const Answer answer = ask(*channel, method::entry("GetAuthorizedEntries"), get);
        COMPARE_STATUS(answer, Ok);
        QSet<QString> paths;
        const auto authorized = answer.as<entries::GetAuthorizedEntriesResponse>();
        for (const types::Entry &entry : authorized.entries()) {
            paths.insert(textOf(entry.spiffe_id().path()));
            QVERIFY(!entry.has_parent_id());
        }
        QCOMPARE(paths, (QSet<QString>{u"/agent/hvac-001"_s, u"/w/own"_s}));

        // SPIRE's agents ask this way (tst_entry_sync); the device's entry goes with the attested key, which they
        // do not keep.
        const auto stream = open(*channel, method::entry("SyncAuthorizedEntries"));
        stream->call->send({});
        QTRY_COMPARE(stream->messages.size(), 1);
        const auto synced = lintel::spire::parse<entries::SyncAuthorizedEntriesResponse>(stream->messages.first());
        QVERIFY(synced && synced->entries_size() == 1);
        QCOMPARE(textOf(synced->entries(0).id()), own.id);
        stream->call->closeSending();
        QTRY_VERIFY(stream->end && stream->end->isOk());
    }

    // --- SVID ---
    void batchNewX509Svid_answersForEach()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const Entry entry = f.entry(u"/w/one"_s, f.joined.id, 7);
        const auto channel = f.as(f.joined);
        svids::BatchNewX509SVIDRequest request;
        COMPARE_STATUS(ask(*channel, method::svid("BatchNewX509SVID"), request), InvalidArgument);
        const auto add = [&request](const QString &id, const QByteArray &csr) {
            request.add_params()->set_entry_id(id.toStdString());
            request.mutable_params(request.params_size() - 1)->set_csr(csr.toStdString());
        };
        add(entry.id, DeviceKey().csr);
        add(u"none"_s, DeviceKey().csr);
        add(entry.id, "no request");
        const Answer answer = ask(*channel, method::svid("BatchNewX509SVID"), request);
        COMPARE_STATUS(answer, Ok);
        const auto results = answer.as<svids::BatchNewX509SVIDResponse>();
        QCOMPARE(results.results(0).status().code(), 0);
        QCOMPARE(textOf(results.results(0).svid().id().path()), u"/w/one"_s);
        QCOMPARE(results.results(0).svid().expires_at(), toEpochMillis(f.clock.now() + 1h) / 1'000);
        QCOMPARE(results.results(1).status().code(), int(grpc::StatusCode::NotFound));
        QVERIFY(!results.results(1).has_svid());
        QCOMPARE(results.results(2).status().code(), int(grpc::StatusCode::InvalidArgument));
        while (request.params_size() < 501)
            add(entry.id, "x");
        COMPARE_STATUS(ask(*channel, method::svid("BatchNewX509SVID"), request), ResourceExhausted);
    }
    void jwtSvids_areForOnesOwnEntriesAndForOperators()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const Entry entry = f.entry(u"/w/one"_s, f.joined.id, 7);
        const auto good = [&f](const Answer &answer, const QString &path) {
            const auto svid = answer.as<svids::JWTSVIDResponse>().svid();
            const auto checked =
                tls::validateJwtSvid(QByteArray::fromStdString(svid.token()), u"there"_s,
                                     {{f.config.domain, f.authority->bundle()->jwtAuthorities}}, f.clock.now());
            return answer.status.isOk() && checked && checked->id == f.id(path) && textOf(svid.id().path()) == path;
        };
        svids::NewJWTSVIDRequest request;
        request.set_entry_id(entry.id.toStdString());
        const auto channel = f.as(f.joined);
        COMPARE_STATUS(ask(*channel, method::svid("NewJWTSVID"), request), InvalidArgument); // for nobody
        request.add_audience("there");
        QVERIFY(good(ask(*channel, method::svid("NewJWTSVID"), request), u"/w/one"_s));
        COMPARE_STATUS(ask(*f.as(f.chip), method::svid("NewJWTSVID"), request), NotFound);

        svids::MintJWTSVIDRequest mint;
        setSpiffeId(mint.mutable_id(), f.id(u"/w/minted"_s));
        mint.add_audience("there");
        mint.set_ttl(60);
        QVERIFY(good(ask(*f.admin, method::svid("MintJWTSVID"), mint), u"/w/minted"_s));
        mint.mutable_id()->set_trust_domain("elsewhere.example");
        COMPARE_STATUS(ask(*f.admin, method::svid("MintJWTSVID"), mint), PermissionDenied);
    }
    void mintX509Svid_isForTheNameInTheRequest()
    {
        ServedAuthority f;
        VERIFY_OK(f.serve());
        svids::MintX509SVIDRequest request;
        request.set_csr(tls::makeCsr(*DeviceKey().signer, f.id(u"/w/minted"_s))->toStdString());
        request.set_ttl(120);
        const Answer answer = ask(*f.admin, method::svid("MintX509SVID"), request);
        COMPARE_STATUS(answer, Ok);
        const auto svid = answer.as<svids::MintX509SVIDResponse>().svid();
        QCOMPARE(textOf(svid.id().path()), u"/w/minted"_s);
        QCOMPARE(svid.expires_at(), toEpochMillis(f.clock.now() + 120s) / 1'000);
        QCOMPARE(f.authority->audit()->last().action, u"svid.mint"_s);
        request.set_csr(DeviceKey().csr.toStdString()); // without a name
        COMPARE_STATUS(ask(*f.admin, method::svid("MintX509SVID"), request), InvalidArgument);
    }
};

QTEST_GUILESS_MAIN(TestAuthorityEntryService)
#include "tst_authority_entry_service.moc"
