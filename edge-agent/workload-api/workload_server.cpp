#include "workload-api/workload_server.h"

#include "spire/server_methods.h"
#include "tls/jwt_svid.h"

#include <algorithm>
#include <utility>

namespace lintel::workloads {

using namespace Qt::StringLiterals;
using grpc::ServerCall;
using grpc::Status;
using grpc::StatusCode;

namespace {

constexpr auto kSecurityHeader = "workload.spiffe.io";
constexpr int kMaxTokenErrands = 64;
constexpr int kMaxTokenErrandsOfUser = 8; // an authority that is slow makes them last
constexpr qsizetype kMaxWaitingErrands = 1'024;
constexpr qsizetype kMaxWaitingErrandsOfUser = 64;
constexpr qsizetype kMaxAudiences = 16;
constexpr qsizetype kMaxAudienceLength = 1'024;
constexpr qsizetype kMaxTold = 256;
constexpr qsizetype kMaxHintBytes = 1'024; // SPIFFE_Workload_API.md section 8

grpc::ServerLimits limits()
{
    grpc::ServerLimits limits;
    limits.maxMessageBytes = 128 * 1024; // a token of 64 KiB is the largest thing that is asked
    limits.maxConnections = 1'000;
    limits.connectionsPerUser = 250; // so that one user's programs leave room for those of others
    limits.maxQueuedBytes = 4 * 1024 * 1024;
    limits.maxBufferedBytes = 16 * 1024 * 1024;
    limits.userBufferedBytes = 8 * 1024 * 1024;
    return limits;
}

const QString kIsShuttingDown = u"The Workload API is shutting down."_s;
const QString kIsBeingRead = u"The executable of this process is still being read for its hash; try again."_s;

Status invalid(const QString &why)
{
    return {StatusCode::InvalidArgument, why, {}};
}

Status ofIssuer(const Error &why)
{
    switch (why.code) {
    case Errc::Denied: return {StatusCode::PermissionDenied, why.message, {}};
    case Errc::Full: return {StatusCode::ResourceExhausted, why.message, {}};
    default: return {StatusCode::Unavailable, why.message, {}};
    }
}

/// SPIFFE_Workload_Endpoint.md section 3: against programs that are tricked into fetching from a local address.
Status checkSecurityHeader(const ServerCall &call)
{
    if (!call.path().startsWith(spire::method::workload("")) || call.metadata(kSecurityHeader) == "true")
        return {};
    return invalid(u"The security header is missing: send the metadata workload.spiffe.io: true."_s);
}

} // namespace

/// FetchJWTSVID for all identities of one caller.
struct WorkloadServer::TokenErrand {
    std::shared_ptr<ServerCall> call;
    Caller caller;
    QList<WorkloadEntry> entries;
    QStringList audience;
    QList<HandedToken> tokens; // by entry; without a token: it is missing
    qsizetype missing = 0;
    Status failure;
};

WorkloadServer::WorkloadServer(WorkloadIssuer &issuer, WorkloadServerOptions options, const Clock &clock,
                               QObject *parent)
    : QObject(parent), m_issuer(issuer), m_options(std::move(options)), m_clock(clock),
      m_svids(issuer, clock, m_options.excluded), m_server(limits())
{
    m_pushSoon.setSingleShot(true);
    m_pushSoon.setInterval(0);
    connect(&m_pushSoon, &QTimer::timeout, this, &WorkloadServer::pushAll);
    connect(&m_svids, &SvidCache::changed, this, &WorkloadServer::pushSoon);
    connect(&m_svids, &SvidCache::problemFound, this, &WorkloadServer::noticed);
    connect(&m_issuer, &WorkloadIssuer::changed, this, &WorkloadServer::pushSoon);
    connect(&m_attestor.hashes(), &ExecutableHashes::known, this, &WorkloadServer::onHashKnown);
    connect(&m_server, &grpc::Server::closed, this, &WorkloadServer::closed);
    connect(&m_server, &grpc::Server::noticed, this, &WorkloadServer::noticed);

    m_server.keepMetadata({kSecurityHeader});
    m_server.setGuard(checkSecurityHeader);
    serveStream("FetchX509SVID", Topic::X509Svid);
    serveStream("FetchX509Bundles", Topic::X509Bundles);
    serveStream("FetchJWTBundles", Topic::JwtBundles);
    serveUnary("FetchJWTSVID", &WorkloadServer::fetchToken);
    serveUnary("ValidateJWTSVID", &WorkloadServer::validateToken);
}

WorkloadServer::~WorkloadServer() = default;

Result<void> WorkloadServer::listen(const QString &socketPath, uint mode)
{
    return m_server.listenUnix(socketPath, mode);
}

void WorkloadServer::close(std::chrono::milliseconds grace)
{
    // Streams never end by themselves. Unavailable makes clients come back.
    for (const auto &stream : QHash(m_streams))
        stream->call->finish({StatusCode::Unavailable, kIsShuttingDown, {}});
    m_streams.clear();
    for (const auto &parked : QHash(m_parked))
        parked->call->finish({StatusCode::Unavailable, kIsShuttingDown, {}});
    m_parked.clear();
    m_allWaitingErrands = 0;
    for (const auto &[user, errands] : std::exchange(m_waitingErrands, {}))
        for (const auto &errand : errands)
            errand->call->finish({StatusCode::Unavailable, kIsShuttingDown, {}});
    m_server.close(grace);
}

WorkloadServer::Counts WorkloadServer::counts() const
{
    Counts counts{int(m_streams.size()), 0, 0, m_refused};
    for (const WorkloadEntry &entry : m_svids.entries()) {
        ++counts.entries;
        counts.svids += m_svids.find(entry.id) != nullptr ? 1 : 0;
    }
    return counts;
}

void WorkloadServer::setDenyList(const tls::DenyList &list)
{
    m_svids.setDenyList(list);
    pushAll();
}

// --- Calls ----------------------------------------------------------------------------------------

void WorkloadServer::serveStream(const char *name, Topic topic)
{
    m_server.handleStream(spire::method::workload(name), [this, topic](const std::shared_ptr<ServerCall> &call) {
        // The call owns its connections, so they must not own it; the server keeps it while it runs.
        const std::weak_ptr<ServerCall> weak = call;
        connect(call.get(), &ServerCall::messageReceived, this, [this, weak, topic](const QByteArray &message) {
            const auto asked = weak.lock();
            if (!asked || m_streams.contains(asked.get()))
                return;
            if (const auto read = readEmptyQuestion(message); !read)
                return asked->finish(invalid(read.error().message));
            onSubscribed(asked, topic);
        });
        connect(call.get(), &ServerCall::halfClosed, this, [this, weak] {
            const auto asked = weak.lock();
            if (asked && !m_streams.contains(asked.get()))
                asked->finish(invalid(u"The call ended without a request."_s));
        });
        connect(call.get(), &ServerCall::cancelled, this, [this, key = call.get()] { m_streams.remove(key); });
    });
}

void WorkloadServer::serveUnary(const char *name, void (WorkloadServer::*handler)(const std::shared_ptr<ServerCall> &,
                                                                                  const QByteArray &))
{
    m_server.handleStream(spire::method::workload(name), [this, handler](const std::shared_ptr<ServerCall> &call) {
        const auto hasAsked = std::make_shared<bool>(false);
        const std::weak_ptr<ServerCall> weak = call;
        connect(call.get(), &ServerCall::messageReceived, this,
                [this, weak, handler, hasAsked](const QByteArray &message) {
                    const auto asked = weak.lock();
                    if (asked && !std::exchange(*hasAsked, true))
                        (this->*handler)(asked, message);
                });
        connect(call.get(), &ServerCall::halfClosed, this, [weak, hasAsked] {
            const auto asked = weak.lock();
            if (asked && !*hasAsked)
                asked->finish(invalid(u"The call ended without a request."_s));
        });
    });
}

std::optional<Caller> WorkloadServer::attest(ServerCall &call)
{
    const auto &process = call.peer().process;
    auto caller = process ? m_attestor.attest(*process)
                          : Result<Caller>(Error{Errc::Denied, u"The system does not tell who calls."_s});
    if (caller)
        return *caller;
    ++m_refused;
    call.finish({StatusCode::PermissionDenied, caller.error().message, {}});
    return std::nullopt;
}

void WorkloadServer::refuse(ServerCall &call, const Caller &caller)
{
    ++m_refused;
    call.finish({StatusCode::PermissionDenied, u"No identity is registered for this process."_s, {}});
    const QString who = u"uid %1 (%2)"_s.arg(caller.process.uid).arg(caller.executable);
    if (!tellOnce(who))
        return;
    QStringList selectors = caller.selectors.values();
    selectors.sort();
    Q_EMIT noticed({Errc::Denied, u"The Workload API has no identity for %1: no registration entry fits %2."_s.arg(
                                      caller.toString(), selectors.join(u", "_s))});
}

WorkloadServer::Found WorkloadServer::entriesOf(Caller &caller)
{
    Found found;
    for (const WorkloadEntry &entry : m_svids.entries()) {
        const auto match = m_attestor.matches(caller, entry.selectors);
        if (match == CallerAttestor::Match::Yes)
            found.entries.append(entry);
        found.isAll = found.isAll && match != CallerAttestor::Match::NotYet;
    }
    settleHints(found.entries);
    return found;
}

void WorkloadServer::withEntries(const std::shared_ptr<ServerCall> &call, const UseEntries &use)
{
    auto caller = attest(*call);
    if (!caller)
        return;
    if (const auto ready = m_issuer.ready(); !ready)
        return call->finish({StatusCode::Unavailable, ready.error().message, {}});
    auto parked = std::make_shared<Parked>(Parked{std::move(*caller), call, use});
    if (const Found found = entriesOf(parked->caller); found.isAll)
        return useEntries(*parked, found.entries);
    m_parked.insert(call.get(), parked);
    connect(call.get(), &ServerCall::cancelled, this, [this, key = call.get()] { m_parked.remove(key); });
    QTimer::singleShot(m_options.patience, this, [this, weak = std::weak_ptr(parked)] {
        const auto late = weak.lock();
        if (late && m_parked.remove(late->call.get()))
            late->call->finish({StatusCode::Unavailable, kIsBeingRead, {}});
    });
}

void WorkloadServer::useEntries(Parked &parked, const QList<WorkloadEntry> &entries)
{
    if (entries.isEmpty())
        return refuse(*parked.call, parked.caller);
    parked.use(parked.caller, entries);
}

void WorkloadServer::onHashKnown()
{
    for (const auto &parked : QHash(m_parked)) {
        const Found found = entriesOf(parked->caller);
        if (!found.isAll)
            continue;
        m_parked.remove(parked->call.get());
        if (!m_attestor.isStillThere(parked->caller))
            parked->call->finish({StatusCode::PermissionDenied, u"The process that asked has ended."_s, {}});
        else
            useEntries(*parked, found.entries);
    }
    pushSoon();
}

/// SPIFFE_Workload_API.md sections 5.2.1, 6.2.1 and 8: a hint stands once in a response, and is not long. Decided
/// over all that this caller may have, so that a hint always means the same identity for it.
void WorkloadServer::settleHints(QList<WorkloadEntry> &entries)
{
    QList<WorkloadEntry *> byAge;
    for (WorkloadEntry &entry : entries) {
        if (entry.hint.toUtf8().size() > kMaxHintBytes) {
            entry.hint.clear(); // no authority of ours has one
            if (tellOnce(u"long hint of %1"_s.arg(entry.id)))
                Q_EMIT noticed(
                    {Errc::OutOfRange, u"The hint of %1 has more than %2 bytes, so it is handed out "
                                       "without. Give its entry a shorter one."_s.arg(entry.spiffeId.toString())
                                           .arg(kMaxHintBytes)});
        }
        if (!entry.hint.isEmpty())
            byAge.append(&entry);
    }
    std::sort(byAge.begin(), byAge.end(), [](const WorkloadEntry *a, const WorkloadEntry *b) {
        return a->createdAt != b->createdAt ? a->createdAt < b->createdAt : a->id < b->id;
    });
    QHash<QString, SpiffeId> keepers;
    for (WorkloadEntry *entry : std::as_const(byAge)) {
        const auto keeper = keepers.constFind(entry->hint);
        if (keeper == keepers.cend()) {
            keepers.insert(entry->hint, entry->spiffeId);
            continue;
        }
        const QString hint = std::exchange(entry->hint, QString());
        if (tellOnce(u"hint %1 of %2"_s.arg(hint, entry->id)))
            Q_EMIT noticed(
                {Errc::Conflict, u"The hint \"%1\" stands in two entries of one process; %2, which is older, "
                                 "keeps it, and %3 is handed out without. Give one of them another hint."_s.arg(
                                     hint, keeper->toString(), entry->spiffeId.toString())});
    }
}

/// True the first time; what was told is forgotten when it becomes much.
bool WorkloadServer::tellOnce(const QString &what)
{
    if (m_told.contains(what))
        return false;
    if (m_told.size() >= kMaxTold)
        m_told.clear();
    m_told.insert(what);
    return true;
}

Bundles WorkloadServer::bundlesOf(const QList<WorkloadEntry> &entries) const
{
    const auto known = m_issuer.bundles();
    Bundles wanted;
    const auto take = [&](const TrustDomain &domain) {
        if (known.contains(domain))
            wanted.insert(domain, known.value(domain));
    };
    take(m_issuer.trustDomain());
    for (const WorkloadEntry &entry : entries) {
        for (const TrustDomain &domain : entry.federatesWith)
            take(domain);
    }
    return wanted;
}

// --- Streams --------------------------------------------------------------------------------------

void WorkloadServer::onSubscribed(const std::shared_ptr<ServerCall> &call, Topic topic)
{
    auto caller = attest(*call);
    if (!caller)
        return;
    auto stream = std::make_shared<Stream>(Stream{call, topic, std::move(*caller), {}, false});
    m_streams.insert(call.get(), stream);
    // The stream holds the call; it goes when either side ends it.
    const std::weak_ptr<Stream> weak = stream;
    connect(call.get(), &ServerCall::drained, this, [this, weak] {
        if (const auto drained = weak.lock())
            push(*drained);
    });
    QTimer::singleShot(m_options.patience, this, [this, weak] {
        const auto late = weak.lock();
        if (!late || !m_streams.contains(late->call.get()))
            return;
        late->isLate = true;
        push(*late);
    });
    push(*stream);
}

void WorkloadServer::pushSoon()
{
    if (!m_pushSoon.isActive())
        m_pushSoon.start();
}

void WorkloadServer::pushAll()
{
    QSet<QString> present;
    for (const WorkloadEntry &entry : m_svids.entries())
        present.insert(entry.id);
    m_tokens.retain(present, m_issuer.bundles().value(m_issuer.trustDomain()).jwtAuthorities);
    for (const auto &stream : QHash(m_streams))
        push(*stream);
}

void WorkloadServer::push(Stream &stream)
{
    const std::shared_ptr<ServerCall> call = stream.call;
    if (!m_streams.contains(call.get()))
        return;
    if (!m_attestor.isStillThere(stream.caller)) {
        m_streams.remove(call.get());
        return call->finish({StatusCode::PermissionDenied, u"The process that asked for this stream has ended."_s, {}});
    }
    const Answer next = answer(stream);
    switch (next.kind) {
    case Answer::Kind::Refused: {
        const auto kept = m_streams.take(call.get());
        return refuse(*call, kept->caller);
    }
    case Answer::Kind::NotYet:
        if (stream.isLate) {
            m_streams.remove(call.get());
            call->finish({StatusCode::Unavailable, next.why, {}});
        }
        return;
    case Answer::Kind::Message: break;
    }
    // Whoever does not read gets the newest state later, not every one between.
    if (next.message == stream.lastSent || call->queuedBytes() > 0)
        return;
    stream.lastSent = next.message;
    stream.isLate = true; // changes do not wait for what is missing
    call->send(next.message);
    if (!next.ids.isEmpty())
        Q_EMIT handedOut(stream.caller.toString(), next.ids);
}

WorkloadServer::Answer WorkloadServer::answer(Stream &stream)
{
    if (const auto ready = m_issuer.ready(); !ready)
        return {Answer::Kind::NotYet, {}, {}, ready.error().message};
    const auto [entries, isAll] = entriesOf(stream.caller);
    // Whoever has something already keeps it until the rest is known.
    if (!isAll && (entries.isEmpty() || !stream.isLate))
        return {Answer::Kind::NotYet, {}, {}, kIsBeingRead};
    if (entries.isEmpty())
        return {Answer::Kind::Refused, {}, {}, {}};
    const Bundles bundles = bundlesOf(entries);
    switch (stream.topic) {
    case Topic::X509Svid: return x509Answer(entries, stream.isLate);
    case Topic::X509Bundles: return {Answer::Kind::Message, x509BundlesResponse(bundles), {}, {}};
    case Topic::JwtBundles: break;
    }
    const auto message = jwtBundlesResponse(bundles);
    if (message && !message->isEmpty())
        return {Answer::Kind::Message, *message, {}, {}};
    return {Answer::Kind::NotYet,
            {},
            {},
            message ? u"There are no JWT keys of %1 yet."_s.arg(m_issuer.trustDomain().name())
                    : message.error().message};
}

WorkloadServer::Answer WorkloadServer::x509Answer(const QList<WorkloadEntry> &entries, bool isLate) const
{
    QList<HandedSvid> svids;
    QStringList ids;
    QString why = u"The authority has not issued an SVID for this process yet."_s;
    for (const WorkloadEntry &entry : entries) {
        if (const SvidCache::Svid *svid = m_svids.find(entry.id)) {
            svids.append({entry.spiffeId, svid->chainDer, svid->keyDer, entry.hint});
            ids.append(entry.spiffeId.toString());
        } else if (const QString problem = m_svids.problemOf(entry.id); !problem.isEmpty()) {
            why = problem;
        }
    }
    if (svids.isEmpty() || (svids.size() < entries.size() && !isLate))
        return {Answer::Kind::NotYet, {}, {}, why};
    return {Answer::Kind::Message, x509SvidResponse(svids, bundlesOf(entries)), ids, {}};
}

// --- Tokens ---------------------------------------------------------------------------------------

void WorkloadServer::fetchToken(const std::shared_ptr<ServerCall> &call, const QByteArray &message)
{
    const auto question = readTokenQuestion(message);
    if (!question)
        return call->finish(invalid(question.error().message));
    if (question->audience.isEmpty() || question->audience.contains(QString()))
        return call->finish(invalid(u"A JWT-SVID needs an audience: name who will check it."_s));
    if (question->audience.size() > kMaxAudiences
        || std::any_of(question->audience.begin(), question->audience.end(),
                       [](const QString &name) { return name.size() > kMaxAudienceLength; }))
        return call->finish(invalid(
            u"A JWT-SVID may name %1 audiences of %2 characters."_s.arg(kMaxAudiences).arg(kMaxAudienceLength)));
    std::optional<SpiffeId> wanted;
    if (!question->spiffeId.isEmpty()) {
        const auto id = SpiffeId::parse(question->spiffeId);
        if (!id)
            return call->finish(invalid(id.error().message));
        wanted = *id;
    }
    const std::weak_ptr<ServerCall> weak = call;
    withEntries(
        call, [this, weak, wanted, audience = question->audience](const Caller &caller, QList<WorkloadEntry> entries) {
            const auto asked = weak.lock();
            if (!asked)
                return;
            entries.removeIf([&](const WorkloadEntry &entry) { return wanted && entry.spiffeId != *wanted; });
            if (entries.isEmpty())
                return refuse(*asked, caller);
            fetchTokens(asked, caller, entries, audience);
        });
}

void WorkloadServer::fetchTokens(const std::shared_ptr<ServerCall> &call, const Caller &caller,
                                 const QList<WorkloadEntry> &entries, const QStringList &audience)
{
    auto errand = std::make_shared<TokenErrand>();
    errand->call = call;
    errand->caller = caller;
    errand->entries = entries;
    errand->audience = audience;
    takeKeptTokens(*errand);
    if (errand->missing == 0)
        return answerErrand(*errand);
    const quint32 user = caller.process.uid;
    if (maySendErrand(user) && m_waitingErrands.count(user) == 0)
        sendErrand(errand);
    else
        queueErrand(errand);
}

void WorkloadServer::takeKeptTokens(TokenErrand &errand) const
{
    errand.tokens.clear();
    errand.missing = 0;
    for (const WorkloadEntry &entry : std::as_const(errand.entries)) {
        const auto kept = m_tokens.find(entry.id, errand.audience, m_clock.now());
        errand.tokens.append({entry.spiffeId, kept.value_or(QByteArray()), entry.hint});
        errand.missing += kept ? 0 : 1;
    }
}

bool WorkloadServer::maySendErrand(quint32 user) const
{
    return m_tokenErrands.value(user) < kMaxTokenErrandsOfUser && m_allTokenErrands < kMaxTokenErrands;
}

void WorkloadServer::sendErrand(const std::shared_ptr<TokenErrand> &errand)
{
    ++m_tokenErrands[errand->caller.process.uid];
    ++m_allTokenErrands;
    for (qsizetype i = 0; i < errand->entries.size(); ++i) {
        if (!errand->tokens[i].token.isEmpty())
            continue;
        m_issuer.newJwt(errand->entries[i], errand->audience, this,
                        [this, errand, i](const Result<IssuedToken> &token) {
                            const WorkloadEntry &of = errand->entries[i];
                            if (!token) {
                                errand->failure = ofIssuer(token.error());
                            } else if (m_svids.isDenied(of.spiffeId, {}, token->issuedAt)) {
                                errand->failure = {
                                    StatusCode::PermissionDenied, u"%1 is revoked."_s.arg(of.spiffeId.toString()), {}};
                            } else {
                                m_tokens.keep(of.id, errand->audience, *token, m_clock.now());
                                errand->tokens[i].token = token->token;
                            }
                            if (--errand->missing == 0)
                                finishErrand(errand);
                        });
    }
}

void WorkloadServer::finishErrand(const std::shared_ptr<TokenErrand> &errand)
{
    --m_allTokenErrands;
    if (--m_tokenErrands[errand->caller.process.uid] == 0)
        m_tokenErrands.remove(errand->caller.process.uid);
    answerErrand(*errand);
    if (!m_waitingErrands.empty())
        QMetaObject::invokeMethod(this, &WorkloadServer::sendWaiting, Qt::QueuedConnection);
}

void WorkloadServer::answerErrand(TokenErrand &errand)
{
    if (!errand.failure.isOk())
        return errand.call->finish(errand.failure);
    QStringList ids;
    for (const HandedToken &token : std::as_const(errand.tokens))
        ids.append(token.id.toString());
    errand.call->send(tokenAnswer(errand.tokens));
    errand.call->finish({});
    Q_EMIT handedOut(errand.caller.toString(), ids);
}

/// Programs of one user need not know of each other (those in containers are all root), so the ninth waits its turn.
void WorkloadServer::queueErrand(const std::shared_ptr<TokenErrand> &errand)
{
    const auto there = m_waitingErrands.find(errand->caller.process.uid);
    const bool isFullOfUser = there != m_waitingErrands.end() && there->second.size() >= kMaxWaitingErrandsOfUser;
    if (isFullOfUser || m_allWaitingErrands >= kMaxWaitingErrands)
        return errand->call->finish(
            {StatusCode::ResourceExhausted,
             isFullOfUser ? u"This user asks for too many tokens at once; wait for those that are under way."_s
                          : u"Too many tokens are asked for at once; try again."_s,
             {}});
    m_waitingErrands[errand->caller.process.uid].append(errand);
    ++m_allWaitingErrands;
    connect(errand->call.get(), &ServerCall::cancelled, this,
            [this, key = errand->call.get()] { (void)takeWaiting(key); });
    QTimer::singleShot(m_options.patience, this, [this, weak = std::weak_ptr(errand)] {
        const auto late = weak.lock();
        if (late && takeWaiting(late->call.get()))
            late->call->finish({StatusCode::Unavailable,
                                u"The tokens that others of this user asked for are not here yet; try again."_s,
                                {}});
    });
}

/// Null: it does not wait.
std::shared_ptr<WorkloadServer::TokenErrand> WorkloadServer::takeWaiting(const ServerCall *call)
{
    for (auto user = m_waitingErrands.begin(); user != m_waitingErrands.end(); ++user) {
        auto &errands = user->second;
        const auto it = std::find_if(errands.begin(), errands.end(),
                                     [call](const auto &errand) { return errand->call.get() == call; });
        if (it == errands.end())
            continue;
        auto errand = *it;
        errands.erase(it);
        --m_allWaitingErrands;
        if (errands.isEmpty())
            m_waitingErrands.erase(user);
        return errand;
    }
    return nullptr;
}

/// The first one of the next user, behind the last one's, who may send one; null: nobody may.
std::shared_ptr<WorkloadServer::TokenErrand> WorkloadServer::nextWaiting()
{
    auto at = m_waitingErrands.upper_bound(m_lastErrandUser);
    for (size_t i = 0; i < m_waitingErrands.size(); ++i, ++at) {
        if (at == m_waitingErrands.end())
            at = m_waitingErrands.begin();
        if (!maySendErrand(at->first))
            continue;
        m_lastErrandUser = at->first;
        return takeWaiting(at->second.first()->call.get());
    }
    return nullptr;
}

void WorkloadServer::sendWaiting()
{
    while (const auto errand = nextWaiting()) {
        if (!m_attestor.isStillThere(errand->caller)) {
            errand->call->finish({StatusCode::PermissionDenied, u"The process that asked has ended."_s, {}});
            continue;
        }
        const QList<WorkloadEntry> entries = entriesOf(errand->caller).entries; // of now
        errand->entries.removeIf([&entries](const WorkloadEntry &asked) {
            return std::none_of(entries.begin(), entries.end(),
                                [&asked](const WorkloadEntry &entry) { return entry.id == asked.id; });
        });
        if (errand->entries.isEmpty()) {
            refuse(*errand->call, errand->caller);
            continue;
        }
        takeKeptTokens(*errand); // another may have fetched the same
        if (errand->missing == 0)
            answerErrand(*errand);
        else
            sendErrand(errand);
    }
}

void WorkloadServer::validateToken(const std::shared_ptr<ServerCall> &call, const QByteArray &message)
{
    const auto question = readValidationQuestion(message);
    if (!question)
        return call->finish(invalid(question.error().message));
    if (question->audience.isEmpty())
        return call->finish(invalid(u"Name the audience that the token must be meant for."_s));
    if (question->token.isEmpty())
        return call->finish(invalid(u"There is no token to validate."_s));
    const std::weak_ptr<ServerCall> weak = call;
    withEntries(call, [this, weak, question = *question](const Caller &, const QList<WorkloadEntry> &entries) {
        const auto asked = weak.lock();
        if (!asked)
            return;
        tls::JwtBundles keys;
        const Bundles bundles = bundlesOf(entries);
        for (auto it = bundles.cbegin(); it != bundles.cend(); ++it)
            keys.insert(it.key(), it->jwtAuthorities);
        const auto svid = tls::validateJwtSvid(question.token, question.audience, keys, m_clock.now());
        if (!svid)
            return asked->finish(invalid(svid.error().message));
        if (m_svids.isDenied(svid->id, {}, svid->issuedAt))
            return asked->finish(invalid(u"%1 is revoked."_s.arg(svid->id.toString())));
        asked->send(validationAnswer(svid->id, svid->claims));
        asked->finish({});
    });
}

} // namespace lintel::workloads
