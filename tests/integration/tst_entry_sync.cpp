// SyncAuthorizedEntries as SPIRE's agent uses it: everything at once for a host with few entries; for one
// with many, pages of revisions, then the full entries of those that the agent lacks, a page at a time.
#include "fakes/live_authority.h"
#include "grpc/grpc_channel.h"
#include "spire/deny_list_watch.h"
#include "spire/server_methods.h"
#include "spire/wire.h"

#include "spire_entry.pb.h"

#include <QTest>

#include <deque>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace api = ::spire::api::server::entry::v1;
namespace method = lintel::spire::method;

namespace {

constexpr int kPatience = 60'000;
constexpr int kPage = 500;

/// One stream of the agent's.
struct Sync {
    grpc::Channel channel;
    grpc::ClientCall *call;
    std::deque<api::SyncAuthorizedEntriesResponse> answers;
    std::optional<grpc::Status> end;

    explicit Sync(const LiveAuthority &authority, const lintel::spire::EmbeddedIdentitySource &agent)
        : channel({authority.address(),
                   [&authority, &agent] { return lintel::spire::tlsAsAgent(agent, authority.serverId()); }}),
          call(channel.start(method::entry("SyncAuthorizedEntries")))
    {
        QObject::connect(call, &grpc::ClientCall::messageReceived, &channel, [this](const QByteArray &message) {
            answers.push_back(*lintel::spire::parse<api::SyncAuthorizedEntriesResponse>(message));
        });
        QObject::connect(call, &grpc::ClientCall::finished, &channel,
                         [this](const grpc::Status &status) { end = status; });
    }
    /// What spire-agent asks for.
    void begin(bool withRevisions = true)
    {
        api::SyncAuthorizedEntriesRequest request;
        auto *mask = request.mutable_output_mask();
        mask->set_spiffe_id(true);
        mask->set_selectors(true);
        mask->set_revision_number(withRevisions);
        mask->set_created_at(true);
        call->send(lintel::spire::serialize(request));
    }
    void ask(const std::vector<std::string> &ids)
    {
        api::SyncAuthorizedEntriesRequest request;
        for (const std::string &id : ids)
            request.add_ids(id);
        call->send(lintel::spire::serialize(request));
    }
    api::SyncAuthorizedEntriesResponse take()
    {
        if (!QTest::qWaitFor([this] { return !answers.empty() || end; }, kPatience) || answers.empty())
            return {};
        auto first = answers.front();
        answers.pop_front();
        return first;
    }
    grpc::StatusCode ending()
    {
        (void)QTest::qWaitFor([this] { return end.has_value(); }, kPatience);
        return end ? end->code : grpc::StatusCode::Unknown;
    }
};

} // namespace

class TestEntrySync : public QObject
{
    Q_OBJECT

    std::unique_ptr<LiveAuthority> m_authority;
    std::unique_ptr<lintel::spire::EmbeddedIdentitySource> m_agent;
    QList<authority::Entry> m_entries;

    void add(int count)
    {
        for (int i = 0; i < count; ++i) {
            authority::Entry entry;
            entry.spiffeId = m_authority->id(u"/program-%1"_s.arg(m_entries.size()));
            entry.parentId = m_agent->agentSvid()->id;
            entry.selectors = {{u"unix"_s, u"uid:%1"_s.arg(m_entries.size())}};
            const auto made = m_authority->authority->createEntry(entry, m_authority->actor);
            QVERIFY2(made, made ? "" : qPrintable(made.error().message));
            m_entries.append(*made);
        }
    }
    /// Those of this test; the host's own identity is an entry, too.
    static int programsIn(const api::SyncAuthorizedEntriesResponse &response)
    {
        return int(std::count_if(response.entries().begin(), response.entries().end(),
                                 [](const auto &entry) { return entry.spiffe_id().path().starts_with("/program-"); }));
    }

private Q_SLOTS:
    void init()
    {
        m_authority = std::make_unique<LiveAuthority>(1h);
        QVERIFY(m_authority->open());
        m_agent = m_authority->joiner(u"host"_s, u"server"_s);
        QVERIFY(m_agent);
        QTRY_VERIFY_WITH_TIMEOUT(m_agent->current(), kPatience);
        m_entries.clear();
    }
    void cleanup()
    {
        m_agent.reset();
        m_authority.reset();
    }

    void fewEntries_comeAtOnceWithTheMask()
    {
        add(3);
        Sync sync(*m_authority, *m_agent);
        sync.begin();
        const auto all = sync.take();
        QCOMPARE(programsIn(all), 3);
        QCOMPARE(all.entry_revisions_size(), 0);
        QVERIFY(!all.more());
        for (const auto &entry : all.entries()) {
            QVERIFY(!entry.id().empty());
            QVERIFY(entry.selectors_size() > 0);
            QVERIFY(!entry.has_parent_id()); // not asked for
        }
        sync.call->closeSending();
        QCOMPARE(sync.ending(), grpc::StatusCode::Ok);
    }

    void manyEntries_comeAsRevisionsAndOnlyWhatIsWantedInFull()
    {
        add(kPage + 1);
        Sync sync(*m_authority, *m_agent);
        sync.begin();
        std::vector<std::string> ids;
        QHash<QString, qint64> revisions;
        QHash<QString, qint64> createdAt;
        for (bool more = true; more;) {
            const auto page = sync.take();
            QCOMPARE(page.entries_size(), 0);
            QVERIFY(page.entry_revisions_size() > 0);
            QVERIFY(page.entry_revisions_size() <= kPage);
            for (const auto &one : page.entry_revisions()) {
                ids.push_back(one.id());
                revisions.insert(QString::fromStdString(one.id()), one.revision_number());
                createdAt.insert(QString::fromStdString(one.id()), one.created_at());
            }
            more = page.more();
        }
        QVERIFY(ids.size() > kPage);
        QCOMPARE(revisions.size(), qsizetype(ids.size())); // each once
        for (const auto &entry : std::as_const(m_entries))
            QVERIFY(revisions.contains(entry.id));

        // An agent that has nothing yet asks for all of them, here more than a page.
        sync.ask(ids);
        const auto first = sync.take();
        QCOMPARE(first.entries_size(), kPage);
        QVERIFY(first.more());
        const auto second = sync.take();
        QVERIFY(!second.more());
        QCOMPARE(first.entries_size() + second.entries_size(), int(ids.size()));
        QVERIFY(!first.entries(0).has_parent_id()); // the mask of the first request holds
        // Revision and entry say the same, or the agent would ask for it again and again.
        for (const auto &entry : first.entries()) {
            QCOMPARE(entry.revision_number(), revisions.value(QString::fromStdString(entry.id()), -1));
            QCOMPARE(entry.created_at(), createdAt.value(QString::fromStdString(entry.id()), -1));
            QVERIFY(entry.created_at() > 0);
        }
        // One that it does not have gets none, and still an answer.
        sync.ask({"nobody's"});
        const auto none = sync.take();
        QCOMPARE(none.entries_size(), 0);
        QVERIFY(!none.more());
        sync.call->closeSending();
        QCOMPARE(sync.ending(), grpc::StatusCode::Ok);

        // The next time one entry is another, and it is seen by its revision alone.
        authority::Entry changed = m_entries.at(7);
        changed.selectors = {{u"unix"_s, u"uid:4711"_s}};
        QVERIFY(m_authority->authority->updateEntry(changed, m_authority->actor));
        Sync next(*m_authority, *m_agent);
        next.begin();
        std::vector<std::string> stale;
        for (bool more = true; more;) {
            const auto page = next.take();
            QVERIFY(page.entry_revisions_size() > 0);
            for (const auto &one : page.entry_revisions())
                if (revisions.value(QString::fromStdString(one.id()), -1) != one.revision_number())
                    stale.push_back(one.id());
            more = page.more();
        }
        QCOMPARE(stale, std::vector<std::string>{changed.id.toStdString()});
        next.ask(stale);
        const auto fresh = next.take();
        QCOMPARE(fresh.entries_size(), 1);
        QCOMPARE(QString::fromStdString(fresh.entries(0).selectors(0).value()), u"uid:4711"_s);
    }

    void firstRequest_thatCannotBeAnsweredIsRefused()
    {
        {
            Sync sync(*m_authority, *m_agent);
            sync.ask({"one"});
            QCOMPARE(sync.ending(), grpc::StatusCode::InvalidArgument);
        }
        Sync sync(*m_authority, *m_agent);
        sync.begin(false);
        QCOMPARE(sync.ending(), grpc::StatusCode::InvalidArgument);
    }

    void revokedHost_isToldNothingMore()
    {
        add(1);
        Sync sync(*m_authority, *m_agent);
        sync.begin();
        QCOMPARE(programsIn(sync.take()), 1);
        QVERIFY(m_authority->authority->revoke(u"host"_s, u"stolen"_s, m_authority->actor));
        sync.ask({m_entries.first().id.toStdString()});
        QCOMPARE(sync.ending(), grpc::StatusCode::PermissionDenied);
        QVERIFY(sync.answers.empty());
        Sync again(*m_authority, *m_agent);
        again.begin();
        QCOMPARE(again.ending(), grpc::StatusCode::PermissionDenied);
        QVERIFY(again.answers.empty());
    }
};

QTEST_GUILESS_MAIN(TestEntrySync)
#include "tst_entry_sync.moc"
