#include "pki/pki_command.h"

#include "domain/timestamp.h"
#include "exit_codes.h"
#include "output.h"
#include "ports/system_clock.h"
#include "tls/pki.h"
#include "tls/x509.h"

#include <QJsonArray>
#include <QJsonObject>

#include <optional>

namespace lintel::cli {

using namespace Qt::StringLiterals;

namespace {
const auto kDefaultDomains = QStringList{u"building-1.smart.local"_s, u"smart-building.cloud"_s};

struct Options {
    QString dir;
    QString out;
    QString id;
    QStringList domains;
    std::chrono::seconds ttl = std::chrono::hours{1};
    bool json = false;
    bool help = false;
};

QString help()
{
    return u"Usage:\n"
           "  lintelctl pki init --dir DIR [--trust-domain NAME]... [--json]\n"
           "      Makes a root for each trust domain (default: building-1.smart.local and\n"
           "      smart-building.cloud) in DIR/<trust domain>/. A root that exists is kept.\n"
           "  lintelctl pki issue --dir DIR --id spiffe://... --out DIR [--ttl 1h] [--json]\n"
           "      Makes a key and an X.509-SVID of 1 to 24 hours, signed by the root in --dir, and writes\n"
           "      svid.pem, svid.key (mode 0600) and the bundle of every trust domain to --out.\n"
           "Exit codes: 0 done, 1 failed, 2 wrong arguments.\n"_s;
}

int report(const Error &error, const Options &options, int code)
{
    reportError(error, options.json);
    return code;
}

void printResult(const QJsonObject &object, const QString &sentence, const Options &options)
{
    if (options.json)
        printJson(object);
    else
        printOut(sentence + u'\n');
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

Result<Options> parse(const QStringList &arguments)
{
    Options options;
    for (qsizetype i = 1; i < arguments.size(); ++i) {
        const QString &name = arguments[i];
        if (name == u"--json"_s || name == u"--help"_s || name == u"-h"_s) {
            (name == u"--json"_s ? options.json : options.help) = true;
            continue;
        }
        const bool known = name == u"--dir"_s || name == u"--out"_s || name == u"--id"_s || name == u"--ttl"_s
                           || name == u"--trust-domain"_s;
        if (!known)
            return Error{Errc::Malformed, u"There is no option %1. See `lintelctl pki --help`."_s.arg(name)};
        ++i;
        if (i == arguments.size() || arguments[i].startsWith("--"_L1))
            return Error{Errc::Malformed, u"The option %1 needs a value. See `lintelctl pki --help`."_s.arg(name)};
        const QString &value = arguments[i];
        if (name == u"--ttl"_s) {
            const auto ttl = parseTtl(value);
            if (!ttl)
                return ttl.error();
            options.ttl = *ttl;
        } else if (name == u"--trust-domain"_s) {
            options.domains << value;
        } else {
            (name == u"--dir"_s ? options.dir : name == u"--out"_s ? options.out : options.id) = value;
        }
    }
    return options;
}

int init(const Options &options)
{
    QJsonArray made;
    QStringList lines;
    for (const QString &name : options.domains.isEmpty() ? kDefaultDomains : options.domains) {
        const auto domain = TrustDomain::parse(name);
        if (!domain)
            return report(domain.error(), options, kUsage);
        const bool exists = tls::Pki::exists(options.dir, *domain);
        const auto pki = exists ? tls::Pki::load(options.dir, *domain) : tls::Pki::create(*domain, SystemClock().now());
        if (!pki)
            return report(pki.error(), options, kFailed);
        if (!exists)
            if (const auto saved = pki->save(options.dir); !saved)
                return report(saved.error(), options, kFailed);
        const auto facts = tls::describeCertificate(pki->rootDer());
        const QString until = facts ? toIso8601(facts->notAfter) : QString();
        made.append(QJsonObject{{u"trust_domain"_s, name}, {u"created"_s, !exists}, {u"not_after"_s, until}});
        lines << (exists ? u"%1: kept, valid until %2"_s : u"%1: root made, valid until %2"_s).arg(name, until);
    }
    printResult({{u"roots"_s, made}}, lines.join(u'\n'), options);
    return kOk;
}

int issue(const Options &options)
{
    const auto id = SpiffeId::parse(options.id);
    if (!id)
        return report(id.error(), options, kUsage);
    const auto pki = tls::Pki::load(options.dir, id->trustDomain());
    if (!pki)
        return report(pki.error(), options, kFailed);
    const auto svid = pki->issue(*id, options.ttl, SystemClock().now());
    if (!svid)
        return report(svid.error(), options, svid.error().code == Errc::Io ? kFailed : kUsage);
    TrustBundles bundles;
    for (const TrustDomain &domain : tls::Pki::domainsIn(options.dir)) {
        const auto other = tls::Pki::load(options.dir, domain);
        if (!other)
            return report(other.error(), options, kFailed);
        bundles.insert(domain, {other->rootDer()});
    }
    if (const auto written = tls::writeIdentity(options.out, *svid, bundles); !written)
        return report(written.error(), options, kFailed);
    const auto facts = tls::describeCertificate(svid->chainDer.first());
    const QString until = toIso8601(svid->notAfter);
    printResult({{u"spiffe_id"_s, id->toString()},
                 {u"serial"_s, facts ? facts->serial : QString()},
                 {u"not_after"_s, until},
                 {u"directory"_s, options.out}},
                u"%1: valid until %2, in %3"_s.arg(id->toString(), until, options.out), options);
    return kOk;
}
} // namespace

QString pkiSummary()
{
    return u"  pki init   make a root per trust domain\n  pki issue  make an X.509-SVID\n"_s;
}

int runPki(const QStringList &arguments)
{
    const QString command = arguments.value(0);
    if (command.isEmpty() || command == u"--help"_s || command == u"-h"_s || command == u"help"_s) {
        printOut(help());
        return command.isEmpty() ? kUsage : kOk;
    }
    const auto options = parse(arguments);
    if (!options) {
        reportError(options.error(), arguments.contains(u"--json"_s));
        return kUsage;
    }
    if (options->help) {
        printOut(help());
        return kOk;
    }
    if (command != u"init"_s && command != u"issue"_s)
        return report(
            {Errc::Malformed, u"\"pki %1\" is unknown; there are \"pki init\" and \"pki issue\"."_s.arg(command)},
            *options, kUsage);
    if (options->dir.isEmpty())
        return report({Errc::Malformed, u"Say with --dir where the roots lie. See `lintelctl pki --help`."_s}, *options,
                      kUsage);
    if (command == u"init"_s)
        return init(*options);
    if (options->id.isEmpty() || options->out.isEmpty())
        return report({Errc::Malformed, u"\"pki issue\" needs --id and --out. See `lintelctl pki --help`."_s}, *options,
                      kUsage);
    return issue(*options);
}

} // namespace lintel::cli
