#include "authority/program_config.h"

#include <QSet>

#include <algorithm>
#include <utility>

namespace lintel::authority {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using config::Section;

namespace {

constexpr Millis kDay = 24h;
constexpr int kMostPcrs = 24;

void readAuthority(Section section, AuthorityConfig &authority)
{
    section.require({u"trust_domain"});
    section.trustDomain(u"trust_domain", authority.domain);
    authority.stateDir = u"/var/lib/lintel/authority"_s;
    section.text(u"state_dir", authority.stateDir);
    section.integer(u"signing_threads", authority.signingThreads, 0, 256);
}

/// As chmod has it: "0600", "0660".
void readMode(Section &section, uint &mode)
{
    QString text;
    section.text(u"mode", text);
    if (text.isEmpty())
        return;
    bool ok = false;
    const uint value = text.toUInt(&ok, 8);
    ok = ok && value <= 0777 && (value & 0600) == 0600 && (value & 0117) == 0;
    section.check(u"mode", ok, u"0600, or 0660 for a group of operators (nobody else may ever manage devices)"_s);
    if (ok)
        mode = value;
}

void readBundleEndpoint(Section section, BundleEndpointConfig &bundles)
{
    bundles.isEnabled = section.isPresent();
    section.text(u"host", bundles.host);
    section.integer(u"port", bundles.port, 0, 65'535);
    section.choice<bool>(u"profile", bundles.isWeb, {{u"https_spiffe", false}, {u"https_web", true}});
    section.text(u"certificate", bundles.certificate);
    section.text(u"key", bundles.key);
    if (bundles.isWeb && (bundles.certificate.isEmpty() || bundles.key.isEmpty()))
        section.complain(u"profile", u"https_web needs the files certificate and key."_s);
    if (!bundles.isWeb && (section.has(u"certificate") || section.has(u"key")))
        section.complain(u"profile", u"certificate and key are for https_web; with https_spiffe the endpoint shows the "
                                     "authority's own SVID."_s);
}

void readPcrs(Section &section, QList<int> &pcrs)
{
    QStringList numbers;
    section.texts(u"pcrs", numbers, kMostPcrs);
    if (numbers.isEmpty())
        return;
    QList<int> chosen;
    bool good = true;
    for (const QString &text : std::as_const(numbers)) {
        bool ok = false;
        const int number = text.toInt(&ok);
        good = good && ok && number >= 0 && number < kMostPcrs && !chosen.contains(number);
        chosen.append(number);
    }
    if (!good)
        return section.complain(u"pcrs", u"expected different numbers from 0 to 23"_s);
    std::sort(chosen.begin(), chosen.end());
    pcrs = std::move(chosen);
}

void readTypes(Section &section, QStringList &types)
{
    const QStringList all = AuthorityConfig::allAttestationTypes();
    QStringList chosen;
    section.texts(u"types", chosen, all.size());
    if (!section.has(u"types"))
        return;
    bool good = !chosen.isEmpty() && QSet<QString>(chosen.cbegin(), chosen.cend()).size() == chosen.size();
    for (const QString &type : std::as_const(chosen))
        good = good && all.contains(type);
    if (!good)
        return section.complain(u"types", u"expected some of %1, each once"_s.arg(all.join(u", "_s)));
    types = std::move(chosen);
}

void readChannelBindings(Section &section, QList<ChannelBinding> &bindings)
{
    constexpr int kMost = 2;
    QStringList names;
    section.texts(u"channel_bindings", names, kMost);
    if (!section.has(u"channel_bindings"))
        return;
    QList<ChannelBinding> chosen;
    for (const QString &name : std::as_const(names))
        if (const auto binding = channelBindingNamed(name); binding && !chosen.contains(*binding))
            chosen.append(*binding);
    if (chosen.isEmpty() || chosen.size() != names.size())
        return section.complain(u"channel_bindings", u"expected exporter, server_certificate or both"_s);
    bindings = std::move(chosen);
}

void readAttestation(Section section, ProgramConfig &config)
{
    readTypes(section, config.authority.attestationTypes);
    section.text(u"vendor_ca_dir", config.vendorDir);
    section.flag(u"require_vendor_certificate", config.requiresVendorCertificate);
    if (config.requiresVendorCertificate && config.vendorDir.isEmpty())
        section.complain(u"require_vendor_certificate", u"needs vendor_ca_dir, or no TPM would be let in"_s);
    // Where makers are known, made-up keys have no business in the queue.
    if (!config.vendorDir.isEmpty())
        config.authority.firstSeen = FirstSeen::QueueGenuine;
    section.choice<FirstSeen>(
        u"first_seen", config.authority.firstSeen,
        {{u"refuse", FirstSeen::Refuse}, {u"queue_genuine", FirstSeen::QueueGenuine}, {u"queue", FirstSeen::QueueAll}});
    section.integer(u"max_pending", config.authority.maxPending, 1, 1'000'000);
    section.duration(u"pending_kept", config.authority.pendingKept, 1h, 366 * kDay);
    section.flag(u"require_measured_boot", config.authority.requireMeasuredBoot);
    section.duration(u"challenge_lifetime", config.challengeLifetime, 5s, 10min);
    readChannelBindings(section, config.channelBindings);
    readPcrs(section, config.pcrs);
    // Without registers no boot is measured, and nobody of this type would get in.
    config.quotesSpireTpm = config.authority.requireMeasuredBoot;
    section.flag(u"spire_tpm_quote", config.quotesSpireTpm);
    if (config.authority.requireMeasuredBoot && !config.quotesSpireTpm)
        section.complain(u"spire_tpm_quote", u"require_measured_boot needs it"_s);
    if (config.authority.firstSeen == FirstSeen::QueueGenuine && config.vendorDir.isEmpty())
        section.complain(u"first_seen", u"queue_genuine needs vendor_ca_dir, or nothing would be genuine"_s);
}

void readLifetimes(Section section, AuthorityConfig &authority)
{
    section.duration(u"root", authority.rootLifetime, 1min, 36'600 * kDay);
    section.duration(u"root_overlap", authority.rootOverlap, 1s, 3'660 * kDay);
    section.duration(u"issuing_ca", authority.issuingLifetime, 1min, 3'660 * kDay);
    section.duration(u"jwt_key", authority.jwtKeyLifetime, 1min, 3'660 * kDay);
    section.duration(u"x509_svid", authority.x509Ttl, 10s, 30 * kDay);
    section.duration(u"jwt_svid", authority.jwtTtl, 10s, kDay);
    section.duration(u"refresh_hint", authority.refreshHint, 1s, kDay);
    if (authority.domain.isEmpty())
        return;
    if (const auto sound = authority.check(); !sound)
        section.complain(u"", sound.error().message);
}

void readKeyStore(Section section, KeyStoreConfig &keys)
{
    using Provider = KeyStoreConfig::Provider;
    section.choice<Provider>(u"provider", keys.provider,
                             {{u"files", Provider::Files}, {u"pkcs11", Provider::Pkcs11}, {u"tpm", Provider::Tpm}});
    section.text(u"module", keys.module);
    section.text(u"token", keys.token);
    section.text(u"pin_file", keys.pinFile);
    section.text(u"tcti", keys.tcti);
    if (keys.provider == Provider::Pkcs11)
        section.require({u"module", u"token", u"pin_file"});
}

} // namespace

Result<ProgramConfig> readProgramConfig(const QString &path)
{
    const auto document = config::readConfigFile(path);
    if (!document)
        return document.error();
    config::Problems problems;
    Section root(*document, problems);
    root.require({u"authority"});
    ProgramConfig config;
    readAuthority(root.section(u"authority"), config.authority);
    {
        Section server = root.section(u"server");
        server.text(u"host", config.host);
        server.integer(u"port", config.port, 0, 65'535);
        Section admin = root.section(u"admin");
        admin.text(u"socket", config.adminSocket);
        readMode(admin, config.adminMode);
    }
    readBundleEndpoint(root.section(u"bundle_endpoint"), config.bundles);
    readAttestation(root.section(u"attestation"), config);
    root.section(u"ca").flag(u"name_constraint", config.authority.nameConstraint);
    readLifetimes(root.section(u"lifetimes"), config.authority);
    {
        Section limits = root.section(u"limits");
        limits.integer(u"signatures_per_agent", config.authority.signaturesPerAgent, 1, 1'000'000);
        limits.integer(u"writes_per_agent", config.authority.writesPerAgent, 1, 1'000'000);
    }
    readKeyStore(root.section(u"key_store"), config.keys);
    config.common.observability = readObservability(root.section(u"observability"));
    root.finish();
    if (!problems.isEmpty())
        return problems.error();
    return config;
}

} // namespace lintel::authority
