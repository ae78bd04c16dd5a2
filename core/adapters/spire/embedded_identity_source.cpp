#include "spire/embedded_identity_source.h"

#include "spire/directory_state_store.h"
#include "spire/svid_fetch.h"
#include "tls/identity_files.h"
#include "tls/issuer_end.h"
#include "tls/x509.h"

#include <QCryptographicHash>
#include <QDir>
#include <QMutex>
#include <QMutexLocker>

#include <algorithm>
#include <utility>

namespace lintel::spire {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

// A timer sleeps through a suspended machine, and the wall clock may jump: look at least this often.
constexpr Millis kLookAgain{30s};
constexpr int kThreadStack = 512 * 1024;

const QString kBundlePrefix = u"bundle/"_s;

QString bundleKey(const TrustDomain &domain)
{
    return kBundlePrefix + domain.name();
}
// Which content of the installer's file these bundles began with; SHA-256 in hexadecimal.
const QString kUsedBootstrap = u"bootstrap"_s;
// Certificates and key in one value: they are kept together or not at all.
const QString kAgent = u"agent/credential"_s;

/// PEM or a SPIFFE bundle document.
Result<tls::BundleDocument> readBundle(const QByteArray &text)
{
    if (text.trimmed().startsWith('{'))
        return tls::parseBundle(text);
    auto roots = tls::certificatesFromPem(text);
    if (!roots)
        return roots.error();
    tls::BundleDocument document;
    document.x509Authorities = *std::move(roots);
    return document;
}

IdentityStatus::State stateOf(SvidKeeper::State state)
{
    switch (state) {
    case SvidKeeper::State::Waiting: return IdentityStatus::State::Waiting;
    case SvidKeeper::State::Valid: return IdentityStatus::State::Valid;
    case SvidKeeper::State::Overdue: return IdentityStatus::State::Overdue;
    case SvidKeeper::State::Expired: break;
    }
    return IdentityStatus::State::Expired;
}

} // namespace

/// What both threads see.
struct EmbeddedIdentitySource::Shared {
    Shared(const Clock &clock, StateStore *store) : time(clock, store) {}

    TimeFloor time;
    mutable QMutex mutex; // guards what follows
    std::shared_ptr<const IdentitySnapshot> current;
    QHash<TrustDomain, tls::BundleDocument> documents;
    std::optional<X509Svid> agent;
    IdentityStatus status;
};

class EmbeddedIdentitySource::Worker final : public QObject
{
public:
    Worker(EmbeddedIdentityOptions options, const Clock &clock, EmbeddedIdentitySource &owner,
           std::shared_ptr<Shared> shared)
        : m_options(std::move(options)), m_owner(owner), m_shared(std::move(shared)), m_store(m_options.stateDir),
          m_keeper(clock, m_shared->time, m_options.renewal, m_options.seed)
    {}

    // All on the identity's thread.
    void begin()
    {
        m_timer = new QTimer(this);
        m_timer->setSingleShot(true);
        connect(m_timer, &QTimer::timeout, this, &Worker::step);
        if (const auto opened = m_shared->time.open(); !opened)
            report(opened.error());
        readAgent();
        readBundles();
        publishStatus();
        step();
    }
    void hurry()
    {
        m_keeper.hurry();
        step();
    }

private:
    void step()
    {
        for (;;) {
            const SvidKeeper::Next next = m_keeper.next();
            switch (next.step) {
            case SvidKeeper::Step::Wait: m_timer->start(std::clamp(next.in, Millis{1}, kLookAgain)); return;
            case SvidKeeper::Step::Drop: drop(); break;
            case SvidKeeper::Step::Fetch: fetch(); break;
            }
        }
    }

    void drop()
    {
        {
            const QMutexLocker lock(&m_shared->mutex);
            m_shared->current.reset();
        }
        publishStatus();
        Q_EMIT m_owner.svidChanged();
    }

    void fetch()
    {
        m_keeper.attemptBegan();
        if (!m_attestor) {
            auto attestor = m_options.makeAttestor();
            if (!attestor)
                return failed(attestor.error());
            m_attestor = std::move(*attestor);
        }
        auto known = trusted();
        if (!known)
            return failed(known.error());
        learnTime(known->value(m_options.authorityId.trustDomain()));
        FetchOrder order{m_options.authority, m_options.authorityId, m_options.self, *known, {}, {}};
        if (m_agent && !m_agent->canReattest && m_agent->svid.notAfter > m_shared->time.now())
            order.renewAs = m_agent;
        else
            order.retryKey = m_retryKey;
        m_isAttesting = !order.renewAs;
        m_fetch = std::make_unique<SvidFetch>(std::move(order), *m_attestor, m_shared->time);
        connect(m_fetch.get(), &SvidFetch::becameAgent, this, &Worker::becameAgent);
        connect(m_fetch.get(), &SvidFetch::done, this, [this](const FetchedIdentity &fetched) {
            closeErrand();
            succeeded(fetched);
            step();
        });
        connect(m_fetch.get(), &SvidFetch::failed, this, [this](const Error &why) {
            closeErrand();
            failed(why);
            step();
        });
        m_fetch->start();
    }

    /// It is later than the making of any root that this device was given.
    void learnTime(const tls::BundleDocument &own)
    {
        for (const QByteArray &root : own.x509Authorities) {
            if (const auto facts = tls::describeCertificate(root))
                m_shared->time.assume(facts->notBefore);
        }
    }

    void closeErrand()
    {
        if (!m_fetch)
            return;
        // A token is spent by the first key that comes with it, also when its answer is lost.
        if (m_isAttesting && !m_attestor->keysAreBoundToChip())
            m_retryKey = m_fetch->key();
        m_fetch.release()->deleteLater(); // it is the one that speaks
    }

    /// The old credential is worth nothing once the new one was used, so the new one is kept first:
    /// an errand that breaks later goes on from here.
    void becameAgent(const AgentCredential &agent)
    {
        m_agent = agent;
        m_retryKey.reset();
        m_isAttesting = false;
        if (!m_attestor->keysAreBoundToChip())
            keepAgent();
    }

    void failed(const Error &why)
    {
        // An old file must not lock out whoever knows better: the two are tried in turn.
        m_isKeptTurn = m_isChanged && !m_isKeptTurn;
        m_keeper.failed(why);
        publishStatus();
        report(why);
    }

    void report(const Error &why)
    {
        if (m_reported == why.message)
            return;
        m_reported = why.message;
        Q_EMIT m_owner.problemFound(why);
    }

    void succeeded(const FetchedIdentity &fetched)
    {
        const X509Svid &svid = fetched.snapshot.svid;
        // Both were signed by the authority that this device trusts, so it is at least as late.
        const Timestamp latest = m_shared->time.now() + m_shared->time.doubt();
        for (const Timestamp known : {svid.notBefore, fetched.signedTime.value_or(Timestamp{})}) {
            if (const auto raised = m_shared->time.raise(std::min(known, latest)); !raised)
                report(raised.error());
        }
        if (const auto taken = m_keeper.succeeded(svid.notBefore, svid.notAfter); !taken) {
            publishStatus();
            return report(taken.error());
        }
        keepBundles(fetched.documents);
        showSvid(fetched.snapshot);
        {
            const QMutexLocker lock(&m_shared->mutex);
            m_shared->current = std::make_shared<const IdentitySnapshot>(fetched.snapshot);
            m_shared->documents = fetched.documents;
            m_shared->agent = fetched.agent.svid;
        }
        publishStatus();
        if (fetched.refusedBundle)
            report(*fetched.refusedBundle);
        else if (!std::exchange(m_reported, QString()).isEmpty())
            Q_EMIT m_owner.problemSolved();
        Q_EMIT m_owner.svidChanged();
    }

    void publishStatus()
    {
        IdentityStatus status;
        status.state = stateOf(m_keeper.state());
        status.sentence = m_keeper.sentence();
        status.expiresAt = m_keeper.expiresAt().value_or(Timestamp{});
        status.rotations = m_keeper.rotations();
        if (m_attestor) {
            status.attestation = m_attestor->type();
            status.proof = m_attestor->description();
            status.isBoundToChip = m_attestor->keysAreBoundToChip();
        }
        const QMutexLocker lock(&m_shared->mutex);
        if (m_shared->current)
            status.issuerExpiresAt = tls::issuerEnd(*m_shared->current);
        m_shared->status = std::move(status);
    }

    // --- What is kept between runs -----------------------------------------------------------------

    /// The bundles that were fetched last; for the authority's own domain, before the first time, the one
    /// that an installer put there.
    /// That one counts again when it was changed and names an authority that was made anew, or when every root
    /// that is known has ended.
    Result<QHash<TrustDomain, tls::BundleDocument>> trusted()
    {
        auto known = m_bundles;
        const TrustDomain &domain = m_options.authorityId.trustDomain();
        const tls::BundleDocument kept = known.value(domain);
        const auto text = tls::readWholeFile(m_options.bootstrapBundle);
        m_isChanged = false;
        m_bootstrap = text ? QCryptographicHash::hash(*text, QCryptographicHash::Sha256).toHex() : m_usedBootstrap;
        if (hasRoot(kept) && (m_usedBootstrap.isEmpty() || m_bootstrap == m_usedBootstrap))
            return known;
        if (!text)
            return Error{text.error().code, u"There is nothing to know the authority by: %1 Put its trust bundle there "
                                            u"(lintelctl bundle show)."_s.arg(text.error().message)};
        const auto bundle = readBundle(*text);
        if (!bundle && hasRoot(kept))
            return known;
        if (!bundle)
            return Error{Errc::Malformed,
                         u"%1 is no trust bundle: %2"_s.arg(m_options.bootstrapBundle, bundle.error().message)};
        // Of the same authority: what was fetched from it knows more.
        const auto isKept = [&kept](const QByteArray &root) { return kept.x509Authorities.contains(root); };
        if (!hasRoot(kept)) {
            known.insert(domain, *bundle);
            return known;
        }
        m_isChanged = std::none_of(bundle->x509Authorities.begin(), bundle->x509Authorities.end(), isKept);
        if (m_isChanged && !m_isKeptTurn)
            known.insert(domain, *bundle);
        return known;
    }

    [[nodiscard]] bool hasRoot(const tls::BundleDocument &bundle) const
    {
        return std::any_of(bundle.x509Authorities.begin(), bundle.x509Authorities.end(),
                           [this](const QByteArray &root) {
                               const auto facts = tls::describeCertificate(root);
                               return facts && facts->notAfter > m_shared->time.now();
                           });
    }

    /// One that cannot be read any more is as good as none.
    void readBundles()
    {
        const auto keys = m_store.keys(kBundlePrefix);
        if (!keys)
            return report(keys.error());
        for (const QString &key : *keys) {
            const auto domain = TrustDomain::parse(QStringView(key).sliced(kBundlePrefix.size()));
            const auto kept = m_store.load(key);
            if (!domain || !kept || !*kept)
                continue;
            if (const auto document = tls::parseBundle(**kept))
                m_bundles.insert(*domain, *document);
        }
        if (const auto used = m_store.load(kUsedBootstrap); used && *used)
            m_usedBootstrap = **used;
    }

    /// A domain that is no longer among them begins anew when it comes back.
    void keepBundles(const QHash<TrustDomain, tls::BundleDocument> &documents)
    {
        for (auto it = documents.cbegin(); it != documents.cend(); ++it) {
            const auto text = tls::printBundle(it.value());
            const auto kept = text ? m_store.save(bundleKey(it.key()), *text) : Result<void>(text.error());
            if (!kept)
                report(kept.error());
        }
        for (auto it = m_bundles.cbegin(); it != m_bundles.cend(); ++it) {
            if (documents.contains(it.key()))
                continue;
            if (const auto gone = m_store.remove(bundleKey(it.key())); !gone)
                report(gone.error());
        }
        m_bundles = documents;
        if (m_bootstrap == m_usedBootstrap || (m_isChanged && m_isKeptTurn))
            return;
        if (const auto kept = m_store.save(kUsedBootstrap, m_bootstrap); !kept)
            return report(kept.error());
        m_usedBootstrap = m_bootstrap;
    }

    /// For `lintelctl svid show`: what every peer is shown, and what it is verified with; no key.
    void showSvid(const IdentitySnapshot &snapshot)
    {
        const TrustDomain &domain = snapshot.svid.id.trustDomain();
        const QDir dir(m_options.stateDir);
        const auto show = [this, &dir](const QString &name, const QByteArray &pem) {
            const auto there = tls::readWholeFile(dir.filePath(name));
            if (there && *there == pem)
                return;
            if (const auto written = tls::writePublicFile(dir.filePath(name), pem); !written)
                report(written.error());
        };
        show(tls::svidFileName(), tls::certificatesToPem(snapshot.svid.chainDer));
        show(tls::bundleFileName(domain), tls::certificatesToPem(snapshot.bundles.value(domain)));
    }

    /// A software agent that was attested once cannot do it again: it must be remembered.
    void keepAgent()
    {
        const auto pem = tls::privateKeyToPem(*m_agent->svid.key);
        const auto kept = pem ? m_store.save(kAgent, tls::certificatesToPem(m_agent->svid.chainDer) + *pem)
                              : Result<void>(pem.error());
        if (!kept)
            report(kept.error());
    }

    void readAgent()
    {
        const auto kept = m_store.load(kAgent);
        if (!kept || !*kept)
            return;
        const auto key = tls::privateKeyFromPem(**kept);
        const auto chain = tls::certificatesFromPem(**kept);
        if (!key || !chain)
            return;
        if (const auto svid = tls::makeSvid(*chain, *key))
            m_agent = AgentCredential{*svid, false};
    }

    EmbeddedIdentityOptions m_options;
    EmbeddedIdentitySource &m_owner;
    std::shared_ptr<Shared> m_shared;
    DirectoryStateStore m_store;
    SvidKeeper m_keeper;
    QTimer *m_timer = nullptr;
    std::unique_ptr<Attestor> m_attestor;
    std::unique_ptr<SvidFetch> m_fetch;
    std::optional<AgentCredential> m_agent;
    QHash<TrustDomain, tls::BundleDocument> m_bundles; // as they were fetched last, also by a run before this one
    QByteArray m_bootstrap;                            // the installer's file as it is now; a hash
    QByteArray m_usedBootstrap;                        // as it was when the bundles were fetched; empty: not known
    bool m_isChanged = false;                          // it names another authority than what was fetched
    bool m_isKeptTurn = false;                         // then: the errand believes what was fetched
    bool m_isAttesting = false;                        // this errand, and it has no answer yet
    std::shared_ptr<EVP_PKEY> m_retryKey;              // of a software agent whose attestation was not answered
    QString m_reported;
};

EmbeddedIdentitySource::EmbeddedIdentitySource(EmbeddedIdentityOptions options, const Clock &clock, QObject *parent)
    : IdentitySource(parent)
{
    const auto store = std::make_shared<DirectoryStateStore>(options.stateDir);
    // The floor's store is used by the worker only; it goes with the state that both threads share.
    m_shared = std::shared_ptr<Shared>(new Shared(clock, store.get()), [store](Shared *shared) { delete shared; });
    m_shared->status.sentence = u"no identity yet, buffering"_s;
    m_worker = new Worker(std::move(options), clock, *this, m_shared);
    m_worker->moveToThread(&m_thread);
    connect(&m_thread, &QThread::started, m_worker, &Worker::begin);
    connect(&m_thread, &QThread::finished, m_worker, &QObject::deleteLater);
    m_thread.setObjectName(u"identity"_s);
    m_thread.setStackSize(kThreadStack);
    m_thread.start();
}

EmbeddedIdentitySource::~EmbeddedIdentitySource()
{
    m_thread.quit();
    m_thread.wait();
}

Result<std::shared_ptr<const IdentitySnapshot>> EmbeddedIdentitySource::current() const
{
    const QMutexLocker lock(&m_shared->mutex);
    if (m_shared->current)
        return m_shared->current;
    return Error{Errc::Unavailable, m_shared->status.sentence};
}

IdentityStatus EmbeddedIdentitySource::status() const
{
    const QMutexLocker lock(&m_shared->mutex);
    return m_shared->status;
}

Timestamp EmbeddedIdentitySource::trustedNow() const
{
    return m_shared->time.now();
}

const TimeFloor &EmbeddedIdentitySource::time() const
{
    return m_shared->time;
}

QHash<TrustDomain, tls::BundleDocument> EmbeddedIdentitySource::documents() const
{
    const QMutexLocker lock(&m_shared->mutex);
    return m_shared->documents;
}

Result<X509Svid> EmbeddedIdentitySource::agentSvid() const
{
    const QMutexLocker lock(&m_shared->mutex);
    if (m_shared->agent)
        return *m_shared->agent;
    return Error{Errc::Unavailable, m_shared->status.sentence};
}

void EmbeddedIdentitySource::hurry()
{
    QMetaObject::invokeMethod(m_worker, [worker = m_worker] { worker->hurry(); });
}

} // namespace lintel::spire
