#include "bench/authority_core.h"

#include "fakes/authority_fixture.h"
#include "tls/openssl_handles.h"

#include <QElapsedTimer>

#include <algorithm>
#include <array>
#include <ctime>

namespace lintel::bench {

using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {

/// Processor time counts where other programs run beside this one.
double microseconds(int count, const std::function<void(int)> &work)
{
    const std::clock_t begin = std::clock();
    for (int i = 0; i < count; ++i)
        work(i);
    return double(std::clock() - begin) / CLOCKS_PER_SEC / count * 1e6;
}

double perSecond(const std::function<bool()> &work)
{
    constexpr qint64 kMs = 1'000;
    QElapsedTimer timer;
    timer.start();
    qint64 count = 0;
    while (timer.elapsed() < kMs) {
        if (!work())
            return 0;
        ++count;
    }
    return double(count) / (double(timer.nsecsElapsed()) / 1e9);
}

} // namespace

RawRates measureRawRates()
{
    using ContextPtr = std::unique_ptr<EVP_PKEY_CTX, tls::Freer<EVP_PKEY_CTX_free>>;
    const auto key = tls::newSoftwareKey();
    const ContextPtr signing{key ? EVP_PKEY_CTX_new(key->get(), nullptr) : nullptr};
    const ContextPtr verifying{key ? EVP_PKEY_CTX_new(key->get(), nullptr) : nullptr};
    if (!signing || !verifying || EVP_PKEY_sign_init(signing.get()) != 1 || EVP_PKEY_verify_init(verifying.get()) != 1)
        return {};
    const std::array<unsigned char, 32> digest{1, 2, 3};
    std::array<unsigned char, 128> signature{};
    size_t size = signature.size();
    RawRates rates;
    rates.signaturesPerSecond = perSecond([&] {
        size = signature.size();
        return EVP_PKEY_sign(signing.get(), signature.data(), &size, digest.data(), digest.size()) == 1;
    });
    rates.verificationsPerSecond = perSecond(
        [&] { return EVP_PKEY_verify(verifying.get(), signature.data(), size, digest.data(), digest.size()) == 1; });
    return rates;
}

QJsonObject measureCore()
{
    AuthorityFixture f;
    f.config.signingThreads = 1;
    if (const auto opened = f.open(); !opened)
        return {{u"problem"_s, opened.error().message}};
    Authority &authority = *f.authority;
    const DeviceKey device;
    (void)authority.enroll(ekHashOf(1), {u"a"_s, {}, {}, {}, {}}, f.actor);
    const auto svid = authority.attest(f.node(ekHashOf(1), device));
    if (!svid)
        return {{u"problem"_s, svid.error().message}};
    const QByteArray leaf = svid->svid.chainDer.first();
    const Agent agent = authority.checkAgent(leaf).agent;
    constexpr int kEntries = 500;
    QList<SvidRequest> requests;
    for (int i = 0; i < kEntries; ++i) {
        Entry entry;
        entry.spiffeId = f.id(u"/w/%1"_s.arg(i));
        entry.parentId = agent.id;
        entry.selectors = {{u"unix"_s, u"uid:%1"_s.arg(i)}};
        requests.append({authority.createEntry(entry, f.actor)->id, DeviceKey().csr});
    }
    constexpr int kTokens = 300;
    QStringList tokens;
    for (int i = 0; i < kTokens; ++i)
        tokens.append(authority.createToken(std::chrono::minutes{5}, {}, f.actor)->token);
    return {
        {u"svid_us"_s, microseconds(10, [&](int) { (void)authority.issueX509(agent, requests); }) / kEntries},
        {u"tpm_reattestation_after_verification_us"_s,
         microseconds(500, [&](int) { (void)authority.attest(f.node(ekHashOf(1), device)); })},
        {u"token_attestation_us"_s,
         microseconds(kTokens, [&](int i) { (void)authority.attest(f.tokenNode(tokens.at(i), device)); })},
        {u"jwt_svid_us"_s,
         microseconds(5'000, [&](int) { (void)authority.issueJwt(agent, requests.first().entryId, {u"x"_s}); })},
        {u"agent_check_us"_s, microseconds(5'000, [&](int) { (void)authority.checkAgent(leaf); })},
    };
}

} // namespace lintel::bench
