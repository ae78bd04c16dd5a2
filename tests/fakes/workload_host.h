// A Workload API server for tests, with an authority in memory behind it: two trust domains with
// roots and JWT keys of their own, entries as the test wants them, and time in its hands.
#pragma once

#include "fakes/fake_clock.h"
#include "ports/system_clock.h"
#include "tls/certificate_writer.h"
#include "tls/file_key_store.h"
#include "tls/jwt_svid.h"
#include "tls/x509.h"
#include "workload-api/workload_server.h"

#include <QPointer>
#include <QTemporaryDir>

#include <unistd.h>

namespace lintel::test {

using namespace Qt::StringLiterals;

/// The keys of one trust domain.
struct WorkloadDomain {
    TrustDomain name;
    Timestamp since;
    std::shared_ptr<SigningKey> rootKey;
    QByteArray rootDer;
    std::shared_ptr<SigningKey> jwtKey;
    QString jwtKeyId;
    bool hasNameConstraint = true; // of the next root

    WorkloadDomain(QStringView domain, Timestamp now) : name(*TrustDomain::parse(domain)), since(now)
    {
        newRoot();
        newJwtKey(u"key-1"_s);
    }
    void newRoot()
    {
        rootKey = *tls::signingKeyFrom(*tls::newSoftwareKey());
        tls::AuthorityCertificate root;
        root.domain = name;
        root.commonName = u"Test root"_s;
        root.isLimitedToDomain = hasNameConstraint;
        root.publicKeyDer = rootKey->publicKeyDer();
        root.notBefore = since - std::chrono::days{1};
        root.notAfter = since + std::chrono::days{30};
        rootDer = tls::writeAuthority(root, nullptr, *rootKey)->der;
    }
    void newJwtKey(const QString &keyId)
    {
        jwtKey = *tls::signingKeyFrom(*tls::newSoftwareKey());
        jwtKeyId = keyId;
    }
    [[nodiscard]] tls::BundleDocument bundle() const
    {
        tls::BundleDocument document;
        document.x509Authorities = {rootDer};
        document.jwtAuthorities = {{jwtKeyId, jwtKey->publicKeyDer()}};
        return document;
    }
    [[nodiscard]] QByteArray issue(const SpiffeId &id, const QByteArray &publicKeyDer, Timestamp now,
                                   std::chrono::seconds ttl) const
    {
        tls::LeafCertificate leaf;
        leaf.id = id;
        leaf.publicKeyDer = publicKeyDer;
        leaf.notBefore = now - std::chrono::seconds{10};
        leaf.notAfter = now + ttl;
        return tls::writeLeaf(leaf, *tls::issuerFacts(rootDer), *rootKey)->der;
    }
    [[nodiscard]] X509Svid svid(const SpiffeId &id, Timestamp now) const
    {
        const auto key = *tls::newSoftwareKey();
        const auto signer = *tls::signingKeyFrom(key);
        return *tls::makeSvid({issue(id, signer->publicKeyDer(), now, std::chrono::hours{1})}, key);
    }
    [[nodiscard]] workloads::IssuedToken token(const SpiffeId &id, const QStringList &audience, Timestamp now,
                                               std::chrono::seconds ttl) const
    {
        tls::JwtSvid svid;
        svid.id = id;
        svid.audience = audience;
        svid.issuedAt = std::chrono::floor<std::chrono::seconds>(now);
        svid.expiresAt = svid.issuedAt + ttl;
        return {*tls::signJwtSvid(svid, jwtKeyId, *jwtKey), svid.issuedAt, svid.expiresAt};
    }
};

/// Answers from the event loop, as the real one does.
class FakeIssuer final : public workloads::WorkloadIssuer
{
    Q_OBJECT
public:
    explicit FakeIssuer(const Clock &clock)
        : m_clock(clock), own(u"building-1.smart.local", clock.now()), partner(u"partner.example", clock.now())
    {}

    Result<void> ready() const override
    {
        if (isReady)
            return {};
        return Error{Errc::Unavailable, u"The authority has not answered yet."_s};
    }
    TrustDomain trustDomain() const override { return own.name; }
    QList<workloads::WorkloadEntry> entries() const override { return list; }
    QHash<TrustDomain, tls::BundleDocument> bundles() const override
    {
        QHash<TrustDomain, tls::BundleDocument> all{{own.name, own.bundle()}};
        if (knowsPartner)
            all.insert(partner.name, partner.bundle());
        return all;
    }
    void newX509(const workloads::WorkloadEntry &entry, const QByteArray &csr, QObject *context,
                 std::function<void(Result<QList<QByteArray>>)> done) override
    {
        ++x509Count;
        later(context, [this, entry, csr, done = std::move(done)] {
            if (failure)
                return done(*failure);
            const auto facts = tls::readCsr(csr);
            if (!facts)
                return done(facts.error());
            done(QList<QByteArray>{own.issue(entry.spiffeId, facts->publicKeyDer, m_clock.now(), ttl)});
        });
    }
    void newJwt(const workloads::WorkloadEntry &entry, const QStringList &audience, QObject *context,
                std::function<void(Result<workloads::IssuedToken>)> done) override
    {
        ++jwtCount;
        const auto answer = [this, entry, audience, done = std::move(done)] {
            if (failure)
                return done(*failure);
            done(own.token(entry.spiffeId, audience, m_clock.now(), std::chrono::minutes{5}));
        };
        if (isSlow)
            held.append(answer);
        else
            later(context, answer);
    }
    void tell() { Q_EMIT changed(); }

private:
    static void later(QObject *context, std::function<void()> work)
    {
        QMetaObject::invokeMethod(context, std::move(work), Qt::QueuedConnection);
    }
    const Clock &m_clock;

public:
    WorkloadDomain own;
    WorkloadDomain partner;
    QList<workloads::WorkloadEntry> list;
    bool isReady = true;
    bool knowsPartner = true;
    bool isSlow = false; // with tokens: they come when somebody calls
    QList<std::function<void()>> held;
    std::optional<Error> failure;
    std::chrono::seconds ttl{3'600};
    int x509Count = 0;
    int jwtCount = 0;
};

struct WorkloadHost {
    FakeClock clock;
    std::unique_ptr<FakeIssuer> issuer;
    QTemporaryDir dir;
    workloads::WorkloadServerOptions options;
    std::unique_ptr<workloads::WorkloadServer> server;

    /// Real clients judge certificates by the real time.
    WorkloadHost()
    {
        clock.setNow(SystemClock().now());
        issuer = std::make_unique<FakeIssuer>(clock);
    }
    [[nodiscard]] QString socketPath() const { return dir.filePath(u"api.sock"_s); }
    [[nodiscard]] QString endpoint() const { return u"unix://"_s + socketPath(); }
    [[nodiscard]] SpiffeId id(const QString &path) const
    {
        return *SpiffeId::parse(u"spiffe://building-1.smart.local"_s + path);
    }
    [[nodiscard]] static QString ownUid() { return u"unix:uid:%1"_s.arg(::getuid()); }

    workloads::WorkloadEntry entry(const QString &name, workloads::Selectors selectors) const
    {
        workloads::WorkloadEntry one;
        one.id = name;
        one.spiffeId = id(u'/' + name);
        one.selectors = std::move(selectors);
        one.createdAt = issuer->list.size() + 1;
        return one;
    }
    /// An entry for every program of this user.
    void add(const QString &name) { issuer->list.append(entry(name, {ownUid()})); }
    Result<void> start()
    {
        server.reset();
        server = std::make_unique<workloads::WorkloadServer>(*issuer, options, clock);
        return server->listen(socketPath());
    }
    /// Time passes, and the server looks at it.
    void advance(Millis by)
    {
        clock.advance(by);
        issuer->tell();
    }
    [[nodiscard]] tls::DenyList denying(const SpiffeId &denied) const
    {
        tls::DenyList denyList;
        denyList.issuer = issuer->own.name;
        denyList.sequence = 1;
        tls::DenyEntry one;
        one.id = denied;
        one.revokedAt = clock.now();
        denyList.entries = {one};
        return denyList;
    }
};

} // namespace lintel::test
