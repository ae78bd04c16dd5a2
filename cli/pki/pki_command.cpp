#include "pki/pki_command.h"

#include "authority/arguments.h"
#include "domain/timestamp.h"
#include "exit_codes.h"
#include "output.h"
#include "ports/system_clock.h"
#include "tls/pki.h"
#include "tls/x509.h"

#include <QDir>
#include <QJsonArray>
#include <QJsonObject>

namespace lintel::cli {

using namespace Qt::StringLiterals;

namespace {
const auto kDefaultDomains = QStringList{u"building-1.smart.local"_s, u"smart-building.cloud"_s};
const auto kHelpCommand = u"lintelctl pki --help"_s;
constexpr std::chrono::seconds kDefaultTtl = std::chrono::hours{1};

/// What the command line asks for, of either command.
struct Request {
    QString dir;
    QString out;
    QList<TrustDomain> domains; // init: whose roots to make
    QList<SpiffeId> ids;        // whom to issue SVIDs
    std::chrono::seconds ttl = kDefaultTtl;
};

struct Root {
    tls::Pki pki;
    bool isNew = false;
    Timestamp notAfter{};
};

struct Issued {
    SpiffeId id;
    QString serial;
    Timestamp notAfter{};
    QString directory;
};

QList<Option> allOptions()
{
    return {{u"dir"_s, u"DIR"_s, u"where the roots lie"_s},
            {u"trust-domain"_s, u"NAME"_s, u"init: whose root to make; may be given more than once"_s, true},
            {u"id"_s, u"SPIFFE-ID"_s, u"whose SVID to make; init takes more than one"_s, true},
            {u"out"_s, u"DIR"_s, u"where SVIDs go"_s},
            {u"ttl"_s, u"TIME"_s, u"how long SVIDs live, 1h to 24h (default: 1h)"_s}};
}

QString help()
{
    return u"Usage:\n"
           "  lintelctl pki init --dir DIR [--trust-domain NAME]... [--id SPIFFE-ID... --out DIR [--ttl TIME]]\n"
           "      Makes a root for each trust domain (default: building-1.smart.local and\n"
           "      smart-building.cloud) in DIR/<trust domain>/; a root that exists is kept. With --id it\n"
           "      issues SVIDs, too, each in a folder of its own: <out>/<trust domain>/<path of the ID>/.\n"
           "  lintelctl pki issue --dir DIR --id SPIFFE-ID --out DIR [--ttl TIME]\n"
           "      One SVID, signed by the root in --dir, in the folder --out.\n\n"
           "A folder with an SVID holds svid.pem, svid.key (mode 0600) and the bundle of every trust domain\n"
           "in --dir. Keys are P-256.\n\nOptions:\n"_s
           + describe(allOptions())
           + u"\nExample:\n"
             "  lintelctl pki init --dir pki --out identities \\\n"
             "      --id spiffe://building-1.smart.local/agent/gateway --id spiffe://smart-building.cloud/broker\n\n"
             "Exit codes: 0 done, 1 failed, 2 wrong arguments.\n"_s;
}

Error usage(const QString &sentence)
{
    return {Errc::Malformed, u"%1 See `%2`."_s.arg(sentence, kHelpCommand)};
}

/// "90m", "1h", "3600s" or plain seconds.
Result<std::chrono::seconds> parseTtl(const QString &text)
{
    const Error wrong{Errc::Malformed, u"\"%1\" is no lifetime; write for example 1h, 90m or 3600s."_s.arg(text)};
    if (text.isEmpty())
        return wrong;
    const char16_t unit = text.back().unicode();
    const qint64 factor = unit == u'h' ? 3'600 : unit == u'm' ? 60 : 1;
    const bool hasUnit = unit == u'h' || unit == u'm' || unit == u's';
    bool ok = false;
    const int number = (hasUnit ? text.chopped(1) : text).toInt(&ok);
    if (!ok || number <= 0)
        return wrong;
    return std::chrono::seconds{number * factor};
}

/// What both commands take.
Result<Request> readRequest(const Arguments &arguments)
{
    Request request;
    request.dir = arguments.value(u"dir"_s);
    request.out = arguments.value(u"out"_s);
    if (request.dir.isEmpty())
        return usage(u"Say with --dir where the roots lie."_s);
    if (arguments.has(u"ttl"_s)) {
        const auto ttl = parseTtl(arguments.value(u"ttl"_s));
        if (!ttl)
            return ttl.error();
        request.ttl = *ttl;
    }
    for (const QString &text : arguments.values(u"id"_s)) {
        const auto id = SpiffeId::parse(text);
        if (!id)
            return id.error();
        if (const auto allowed = tls::Pki::mayIssue(*id, request.ttl); !allowed)
            return allowed.error();
        if (!request.ids.contains(*id))
            request.ids.append(*id);
    }
    return request;
}

Result<Request> readInit(const Arguments &arguments)
{
    for (const QString &option : {u"out"_s, u"ttl"_s}) {
        if (arguments.has(option) && !arguments.has(u"id"_s))
            return usage(u"--%1 is for SVIDs; say with --id whose to make, or leave it out."_s.arg(option));
    }
    auto request = readRequest(arguments);
    if (!request)
        return request;
    if (!request->ids.isEmpty() && request->out.isEmpty())
        return usage(u"Say with --out where the SVIDs of --id go."_s);
    const QStringList names = arguments.has(u"trust-domain"_s) ? arguments.values(u"trust-domain"_s) : kDefaultDomains;
    for (const QString &name : names) {
        const auto domain = TrustDomain::parse(name);
        if (!domain)
            return domain.error();
        if (!request->domains.contains(*domain))
            request->domains.append(*domain);
    }
    for (const SpiffeId &id : std::as_const(request->ids)) {
        const TrustDomain &domain = id.trustDomain();
        if (!request->domains.contains(domain) && !tls::Pki::exists(request->dir, domain))
            return usage(u"There is no root for %1; add --trust-domain %2."_s.arg(id.toString(), domain.name()));
    }
    return request;
}

Result<Request> readIssue(const Arguments &arguments)
{
    if (arguments.has(u"trust-domain"_s))
        return usage(u"\"pki issue\" has no --trust-domain: the trust domain is that of --id."_s);
    if (arguments.values(u"id"_s).size() > 1)
        return usage(u"\"pki issue\" makes one SVID; \"pki init\" takes --id more than once."_s);
    if (arguments.value(u"id"_s).isEmpty() || arguments.value(u"out"_s).isEmpty())
        return usage(u"\"pki issue\" needs --id and --out."_s);
    return readRequest(arguments);
}

Result<Root> makeOrLoadRoot(const QString &dir, const TrustDomain &domain)
{
    const bool exists = tls::Pki::exists(dir, domain);
    const auto pki = exists ? tls::Pki::load(dir, domain) : tls::Pki::create(domain, SystemClock().now());
    if (!pki)
        return pki.error();
    if (!exists) {
        if (const auto saved = pki->save(dir); !saved)
            return saved.error();
    }
    const auto facts = tls::describeCertificate(pki->rootDer());
    if (!facts)
        return facts.error();
    return Root{*pki, !exists, facts->notAfter};
}

Result<TrustBundles> bundlesIn(const QString &dir)
{
    TrustBundles bundles;
    for (const TrustDomain &domain : tls::Pki::domainsIn(dir)) {
        const auto pki = tls::Pki::load(dir, domain);
        if (!pki)
            return pki.error();
        bundles.insert(domain, {pki->rootDer()});
    }
    return bundles;
}

Result<Issued> issueTo(const QString &directory, const SpiffeId &id, const Request &request)
{
    const auto pki = tls::Pki::load(request.dir, id.trustDomain());
    if (!pki)
        return pki.error();
    const auto svid = pki->issue(id, request.ttl, SystemClock().now());
    if (!svid)
        return svid.error();
    const auto bundles = bundlesIn(request.dir);
    if (!bundles)
        return bundles.error();
    if (const auto written = tls::writeIdentity(directory, *svid, *bundles); !written)
        return written.error();
    const auto facts = tls::describeCertificate(svid->chainDer.first());
    if (!facts)
        return facts.error();
    return Issued{id, facts->serial, svid->notAfter, directory};
}

QJsonObject toJson(const Issued &issued)
{
    return {{u"spiffe_id"_s, issued.id.toString()},
            {u"serial"_s, issued.serial},
            {u"not_after"_s, toIso8601(issued.notAfter)},
            {u"directory"_s, issued.directory}};
}

QString toLine(const Issued &issued)
{
    return u"%1: valid until %2, in %3\n"_s.arg(issued.id.toString(), toIso8601(issued.notAfter), issued.directory);
}

void print(const QJsonObject &object, const QString &lines, bool json)
{
    if (json)
        printJson(object);
    else
        printOut(lines);
}

Result<void> init(const Request &request, bool json)
{
    QJsonArray roots;
    QJsonArray svids;
    QString lines;
    for (const TrustDomain &domain : request.domains) {
        const auto root = makeOrLoadRoot(request.dir, domain);
        if (!root)
            return root.error();
        const QString until = toIso8601(root->notAfter);
        roots.append(
            QJsonObject{{u"trust_domain"_s, domain.name()}, {u"created"_s, root->isNew}, {u"not_after"_s, until}});
        lines += (root->isNew ? u"%1: root made, valid until %2\n"_s : u"%1: kept, valid until %2\n"_s)
                     .arg(domain.name(), until);
    }
    // After all roots, so that each SVID has everybody's bundle.
    for (const SpiffeId &id : request.ids) {
        const QString directory = QDir(request.out).filePath(id.trustDomain().name() + id.path());
        const auto issued = issueTo(directory, id, request);
        if (!issued)
            return issued.error();
        svids.append(toJson(*issued));
        lines += toLine(*issued);
    }
    print({{u"roots"_s, roots}, {u"svids"_s, svids}}, lines, json);
    return {};
}

Result<void> issue(const Request &request, bool json)
{
    const auto issued = issueTo(request.out, request.ids.first(), request);
    if (!issued)
        return issued.error();
    print(toJson(*issued), toLine(*issued), json);
    return {};
}
} // namespace

int runPki(const QStringList &arguments)
{
    const QString command = arguments.value(0);
    if (command.isEmpty() || command == u"--help"_s || command == u"-h"_s || command == u"help"_s) {
        printOut(help());
        return command.isEmpty() ? kUsage : kOk;
    }
    const bool isInit = command == u"init"_s;
    bool json = arguments.contains(u"--json"_s);
    const auto refuse = [&json](const Error &error, int code) {
        reportError(error, json);
        return code;
    };
    if (!isInit && command != u"issue"_s)
        return refuse(
            {Errc::Malformed, u"\"pki %1\" is unknown; there are \"pki init\" and \"pki issue\"."_s.arg(command)},
            kUsage);
    const auto parsed = Arguments::parse(allOptions(), arguments.mid(1), kHelpCommand);
    if (!parsed)
        return refuse(parsed.error(), kUsage);
    json = parsed->json();
    if (parsed->has(u"help"_s)) {
        printOut(help());
        return kOk;
    }
    if (!parsed->words().isEmpty())
        return refuse(usage(u"\"%1\" is not an option."_s.arg(parsed->words().first())), kUsage);
    const auto request = isInit ? readInit(*parsed) : readIssue(*parsed);
    if (!request)
        return refuse(request.error(), kUsage);
    const auto done = isInit ? init(*request, json) : issue(*request, json);
    return done ? kOk : refuse(done.error(), kFailed);
}

} // namespace lintel::cli
