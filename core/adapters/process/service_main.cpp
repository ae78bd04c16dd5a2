#include "process/service_main.h"

#include "adapters/log/log.h"
#include "domain/workload_endpoint.h"
#include "process/command_line.h"
#include "process/own_identity.h"
#include "spire/workload_identity_source.h"

#include <csignal>

#include <sys/resource.h>

namespace lintel::service {

using namespace Qt::StringLiterals;

namespace {

QString help(const Program &program)
{
    QString text =
        u"Usage: %1 --config FILE [--check]%2\n%3\n\n"
        "  --config FILE     its configuration (YAML)\n"
        "  --check           read the configuration, say what is wrong with it or missing to run, and end\n"_s.arg(
            program.name, program.hasServices ? u" [--services NAMES]"_s : QString(), program.purpose);
    if (program.hasServices)
        text += u"  --services NAMES  which of its services to run, separated by commas: historian (default: all)\n"_s;
    text += u"  --version         print the version\n"
            "  --help            this text\n\n"
            "Example: %1 --config /etc/lintel/%2.yaml --check\n\n"
            "SIGTERM stops it in order. Exit codes: 0 stopped, 1 something that it needs is not usable,\n"
            "2 wrong command line or configuration.\n"_s.arg(program.name, program.name.section(u'-', 1));
    return text;
}

} // namespace

void complain(const Program &program, const Error &error)
{
    writeText(stderr, u"%1: %2\n"_s.arg(program.name, error.message));
}

void tellWhatIsMissing(const Program &program, const QList<Result<void>> &checks)
{
    for (const Result<void> &checked : checks) {
        if (!checked)
            writeText(stderr, u"%1: The file is right, but not enough to run. %2\n"_s.arg(program.name,
                                                                                          checked.error().message));
    }
}

std::optional<int> parseCommandLine(const Program &program, const QStringList &arguments, CommandLine &out)
{
    QList<QCommandLineOption> options{
        {{u"h"_s, u"help"_s}, QString()},
        {{u"v"_s, u"version"_s}, QString()},
        {u"config"_s, QString(), u"FILE"_s},
        {u"check"_s, QString()},
    };
    if (program.hasServices)
        options.append({u"services"_s, QString(), u"NAMES"_s});
    QCommandLineParser parser;
    const QString helpCommand = program.name + u" --help"_s;
    if (const auto parsed = parseArguments(parser, options, arguments.mid(1), helpCommand); !parsed) {
        complain(program, parsed.error());
        return kBadConfig;
    }
    if (parser.isSet(u"help"_s)) {
        writeText(stdout, help(program));
        return 0;
    }
    if (parser.isSet(u"version"_s)) {
        writeText(stdout, u"%1 %2\n"_s.arg(program.name, program.version));
        return 0;
    }
    if (!parser.isSet(u"config"_s)) {
        complain(program, {Errc::Malformed, u"--config FILE is missing. See `%1`."_s.arg(helpCommand)});
        return kBadConfig;
    }
    out.config = parser.value(u"config"_s);
    out.check = parser.isSet(u"check"_s);
    if (program.hasServices)
        out.services = parser.value(u"services"_s);
    return {};
}

namespace {

/// The address that is configured or in the environment, and which of them it is.
struct GivenEndpoint {
    QString text;
    QString from;
};

GivenEndpoint givenEndpoint(const IdentityConfig &identity)
{
    if (!identity.spiffeEndpoint.isEmpty())
        return {identity.spiffeEndpoint, u"identity.spiffe_endpoint"_s};
    return {spire::workloadEndpointFromEnvironment(), u"SPIFFE_ENDPOINT_SOCKET"_s};
}

} // namespace

QString workloadEndpoint(const IdentityConfig &identity)
{
    const QString text = givenEndpoint(identity).text;
    const auto endpoint = WorkloadEndpoint::parse(text);
    return endpoint && endpoint->isLocalSocket() ? u"unix://"_s + endpoint->socketPath() : text;
}

Result<void> checkIdentity(const CommonConfig &config)
{
    using Provider = IdentityConfig::Provider;
    const IdentityConfig &identity = config.identity;
    if (identity.provider == Provider::Spiffe) {
        const GivenEndpoint given = givenEndpoint(identity);
        if (given.text.isEmpty())
            return Error{
                Errc::NotFound,
                u"There is no SPIFFE Workload API to ask: give identity.spiffe_endpoint (unix:///path/of/socket), or set SPIFFE_ENDPOINT_SOCKET."_s};
        const auto endpoint = WorkloadEndpoint::parse(given.text);
        if (!endpoint)
            return Error{endpoint.error().code, u"%1: %2"_s.arg(given.from, endpoint.error().message)};
        if (!endpoint->isLocalSocket())
            return Error{
                Errc::Unsupported,
                u"The Workload API at %1 would send private keys over a network connection in clear text; use one on a socket of this host (identity.spiffe_endpoint unix:///path)."_s
                    .arg(given.text)};
    }
    if (identity.provider == Provider::Files && identity.directory.isEmpty())
        return Error{
            Errc::NotFound,
            u"The configuration names no identity; add section identity with provider \"embedded\", \"spiffe\", or \"files\" and a directory that \"lintelctl pki\" has filled."_s};
    return {};
}

Result<void> checkIsSelf(const IdentitySource &identity, const SpiffeId &self)
{
    const auto current = identity.current();
    if (!current)
        return current.error().code == Errc::Denied ? Result<void>(current.error()) : Result<void>();
    return checkIsOwn((*current)->svid, self);
}

Result<void> checkAuthorization(const CommonConfig &config)
{
    if (config.authorization.provider != AuthorizationConfig::Provider::Opa)
        return {};
    return Error{
        Errc::Unsupported,
        u"This version cannot ask a policy decider, and the configuration wants one (authorization.provider \"opa\"); set the provider to \"none\" to rely on the broker's rules."_s};
}

void startLogging(const Program &program, const ObservabilityConfig &config)
{
    log::Settings settings;
    settings.level = static_cast<log::Level>(config.level);
    settings.destination = static_cast<log::Destination>(config.destination);
    settings.program = program.name;
    if (const auto installed = log::install(settings); !installed)
        complain(program, installed.error());
    if (config.metricsEnabled)
        qCWarning(program.category).noquote()
            << u"observability.metrics is enabled, but %1 serves no metrics; lintelctl asks it for its status"_s.arg(
                   program.name);
    std::signal(SIGXFSZ, SIG_IGN);
}

void setLimits(const Program &program)
{
    // One byte: too little for a file, and the one limit with which Linux starts no program of core_pattern either
    // ("|/usr/lib/systemd/systemd-coredump …"); to those it hands the whole memory with a limit of 0 (decision 0013).
    const rlimit nobody{1, 1};
    const rlimit noFile{0, 0}; // where the hard limit is lower already
    if (::setrlimit(RLIMIT_CORE, &nobody) != 0 && ::setrlimit(RLIMIT_CORE, &noFile) != 0)
        qCWarning(program.category).noquote() << u"core files cannot be switched off: %1"_s.arg(qt_error_string());
    rlimit descriptors{};
    if (::getrlimit(RLIMIT_NOFILE, &descriptors) != 0)
        return;
    descriptors.rlim_cur = descriptors.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &descriptors) != 0)
        qCWarning(program.category).noquote()
            << u"no more than the usual number of open files: %1"_s.arg(qt_error_string());
}

int finish(const Program &program, const Result<int> &exitCode)
{
    if (!exitCode)
        qCCritical(program.category).noquote() << exitCode.error().message;
    log::uninstall();
    return exitCode ? *exitCode : kCannotRun;
}

} // namespace lintel::service
