#include "adapters/yaml/common_config.h"
#include "authority/commands.h"
#include "authority/group.h"
#include "authority/text_table.h"
#include "ports/system_clock.h"
#include "tls/identity_files.h"
#include "tls/x509.h"

#include <QDir>
#include <QFileInfo>
#include <QJsonArray>

namespace lintel::cli {

using namespace Qt::StringLiterals;

namespace {

/// Where a program of that configuration has its identity; the rest of the file is that program's business.
Result<QString> directoryIn(const QString &configFile)
{
    using Provider = IdentityConfig::Provider;
    const auto document = config::readConfigFile(configFile);
    if (!document)
        return badConfiguration(document.error());
    config::Problems problems;
    config::Section root(*document, problems);
    const AgentConfig agent = readAgent(root.section(u"agent"));
    const IdentityConfig identity = readIdentity(root.section(u"identity"), agent);
    if (identity.provider == Provider::Spiffe)
        return Error{Errc::Unsupported,
                     u"The program of %1 takes its identity from a SPIFFE Workload API and keeps it in memory. Ask the "
                     "program: lintelctl call --capability status"_s.arg(configFile)};
    const QString &directory = identity.provider == Provider::Embedded ? identity.stateDir : identity.directory;
    if (!directory.isEmpty())
        return directory;
    return Error{Errc::NotFound, u"%1 names no identity; see its section identity."_s.arg(configFile)};
}

Result<QByteArray> bundleIn(const QString &dir, const TrustDomain &domain)
{
    auto pem = tls::readWholeFile(QDir(dir).filePath(tls::bundleFileName(domain)));
    if (!pem)
        return Error{pem.error().code,
                     u"There is no bundle of %1 to verify it with (%2)"_s.arg(domain.name(), pem.error().message)};
    return pem;
}

/// Empty: it verifies now.
QString whatIsWrong(const QString &dir, const QList<QByteArray> &chain, const SpiffeId &id, Timestamp now)
{
    const auto pem = bundleIn(dir, id.trustDomain());
    if (!pem)
        return pem.error().message;
    const auto roots = tls::certificatesFromPem(*pem);
    if (!roots)
        return roots.error().message;
    const auto verified = tls::verifyPeer(chain, id, {{id.trustDomain(), *roots}}, tls::PeerRole::Client, now);
    return verified ? QString() : verified.error().message;
}

Result<Answer> show(const Arguments &arguments)
{
    if (arguments.has(u"config"_s) == arguments.has(u"dir"_s))
        return wrongUsage(u"Say whose: --dir, or --config of its program. See `lintelctl svid --help`."_s);
    const auto dir = arguments.has(u"dir"_s) ? Result<QString>(arguments.value(u"dir"_s))
                                             : directoryIn(arguments.value(u"config"_s));
    if (!dir)
        return dir.error();
    const auto pem = tls::readWholeFile(QDir(*dir).filePath(tls::svidFileName()));
    if (!pem)
        return pem.error();
    const auto chain = tls::certificatesFromPem(*pem);
    if (!chain)
        return chain.error();
    const auto id = tls::leafSpiffeId(chain->first());
    if (!id)
        return id.error();
    const Timestamp now = SystemClock().now();
    QJsonArray certificates;
    QList<QStringList> rows;
    Timestamp end{};
    for (const QByteArray &der : *chain) {
        const auto facts = tls::describeCertificate(der);
        if (!facts)
            return facts.error();
        if (rows.isEmpty() || facts->notAfter < end)
            end = facts->notAfter;
        const QString what = facts->isAuthority ? u"issuing CA"_s : u"SVID"_s;
        certificates.append(QJsonObject{{u"what"_s, facts->isAuthority ? u"ca"_s : u"svid"_s},
                                        {u"serial"_s, facts->serial},
                                        {u"not_before"_s, toIso8601(facts->notBefore)},
                                        {u"not_after"_s, toIso8601(facts->notAfter)}});
        rows.append({what, facts->serial, toIso8601(facts->notBefore), toIso8601(facts->notAfter),
                     shownDistance(facts->notAfter, now)});
    }
    const QString problem = whatIsWrong(*dir, *chain, *id, now);
    const qint64 left = std::chrono::duration_cast<std::chrono::seconds>(end - now).count();
    const QJsonObject json{{u"spiffe_id"_s, id->toString()}, {u"chain"_s, certificates},
                           {u"not_after"_s, toIso8601(end)}, {u"seconds_left"_s, std::max<qint64>(left, 0)},
                           {u"valid"_s, problem.isEmpty()},  {u"problem"_s, problem}};
    return Answer{json,
                  u"%1\n\n%2\n%3\n"_s.arg(
                      id->toString(), textTable({u"WHAT"_s, u"SERIAL"_s, u"FROM"_s, u"UNTIL"_s, u"ENDS"_s}, rows),
                      problem.isEmpty() ? u"Verified with the bundle of %1."_s.arg(id->trustDomain().name())
                                        : u"Not valid: "_s + problem),
                  problem.isEmpty() ? kOk : kFailed};
}

} // namespace

int runSvid(const QStringList &arguments)
{
    return runGroup(
        {u"svid"_s,
         u"An identity: whose it is, its chain, how long it lasts, and whether it verifies with the bundle\n"
         "beside it. A program that attests shows its chain in identity.state_dir; its key is in its TPM."_s,
         {{u"show"_s,
           u"(--dir DIR|--config FILE)"_s,
           u"the identity in a folder, or the one that a program's configuration names"_s,
           {{u"dir"_s, u"DIR"_s, u"holds svid.pem and <trust domain>.pem"_s},
            {u"config"_s, u"FILE"_s, u"the YAML of a sensor, a gateway, the backend or the console"_s}},
           0,
           show}},
         u"  lintelctl svid show --dir /etc/lintel/identity\n"
         "  lintelctl svid show --config /etc/lintel/sensor.yaml --json\n"_s,
         u"0 valid, 1 not valid or not there, 2 wrong arguments or no configuration there."_s},
        arguments);
}

} // namespace lintel::cli
