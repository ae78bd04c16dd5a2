// An authority in a folder of its own, with time in the test's hands, and devices to attest to it.
#pragma once

#include "authority/authority.h"
#include "fakes/fake_clock.h"
#include "tls/file_key_store.h"
#include "tls/x509.h"

#include <QTemporaryDir>

#include <functional>

namespace lintel::test {

inline QString ekHashOf(int number)
{
    return QStringLiteral("%1").arg(number, 64, 16, QLatin1Char('0'));
}

/// A key and what it asks for with it.
struct DeviceKey {
    std::shared_ptr<EVP_PKEY> key = *tls::newSoftwareKey();
    std::shared_ptr<SigningKey> signer = *tls::signingKeyFrom(key);
    QByteArray csr = *tls::makeCsr(*signer);
};

struct AuthorityFixture {
    QTemporaryDir dir;
    FakeClock clock;
    authority::AuthorityConfig config;
    std::unique_ptr<authority::Authority> authority;
    const QString actor = QStringLiteral("operator:test");
    std::function<std::unique_ptr<KeyStore>()> otherKeys; // instead of files

    AuthorityFixture()
    {
        config.domain = *TrustDomain::parse(u"building-1.smart.local");
        config.stateDir = dir.filePath(QStringLiteral("state"));
    }
    Result<void> open()
    {
        authority.reset();
        auto opened = authority::Authority::open(
            config, otherKeys ? otherKeys() : std::make_unique<tls::FileKeyStore>(config.keysDir()), clock);
        if (!opened)
            return opened.error();
        authority = std::move(*opened);
        return {};
    }
    SpiffeId id(const QString &path) const
    {
        return *SpiffeId::parse(QStringLiteral("spiffe://building-1.smart.local") + path);
    }

    authority::AttestedNode node(const QString &ekHash, const DeviceKey &key) const
    {
        authority::AttestedNode n;
        n.type = QStringLiteral("lintel_tpm");
        n.ekHash = ekHash;
        n.address = QStringLiteral("192.0.2.7");
        n.csrDer = key.csr;
        return n;
    }
    authority::AttestedNode tokenNode(const QString &token, const DeviceKey &key) const
    {
        authority::AttestedNode n;
        n.type = QStringLiteral("join_token");
        n.token = token;
        n.csrDer = key.csr;
        return n;
    }
    Result<void> verify(const authority::IssuedSvid &svid)
    {
        return tls::verifyPeer(svid.chainDer, svid.id, {{config.domain, authority->bundle()->x509Authorities}},
                               tls::PeerRole::Client, clock.now());
    }
};

} // namespace lintel::test
