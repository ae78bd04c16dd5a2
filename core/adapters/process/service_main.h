// What the mains of sensor, gateway and backend share: the command line, logging, exit codes. The main
// thread; needs QCoreApplication.
#pragma once

#include "adapters/yaml/common_config.h"
#include "domain/result.h"
#include "ports/identity_source.h"
#include "process/exit_codes.h"

#include <QCoreApplication>
#include <QList>
#include <QLoggingCategory>
#include <QString>
#include <QStringList>

#include <optional>

namespace lintel::service {

enum ExitCode : int {
    kStopped = process::kDone,     // asked to stop, and all was stored
    kCannotRun = process::kFailed, // storage, identity or something else that it needs is not usable
    kBadConfig = process::kUsage,  // wrong command line or configuration
};

struct CommandLine {
    QString config;
    bool check = false; // --check: read the configuration and stop
    QString services;   // backend only
};

using LogCategory = const QLoggingCategory &(*)();

struct Program {
    QString name; // "lintel-gateway"
    QString version;
    QString purpose; // one sentence for --help
    LogCategory category = nullptr;
    bool hasServices = false;
};

/// Handles --help and --version itself. Returns the exit code when there is nothing more to do.
[[nodiscard]] std::optional<int> parseCommandLine(const Program &program, const QStringList &arguments,
                                                  CommandLine &out);

/// What the system lets this process do: no core, which would hold keys, in a file or for a program; and as many
/// descriptors as its hard limit allows, as an authority has a connection for each device.
void setLimits(const Program &program);

/// Log lines go where the configuration says; one says what the section asks for and this version does not
/// have. From here on a file that reaches a size limit
/// (ulimit -f) is a write that fails, as on a full disk, and no signal that ends the process.
void startLogging(const Program &program, const ObservabilityConfig &config);

/// Where the provider "spiffe" asks: what the configuration names, else SPIFFE_ENDPOINT_SOCKET; empty:
/// neither does.
[[nodiscard]] QString workloadEndpoint(const IdentityConfig &identity);

/// What this version can use as an identity; Unsupported or NotFound say what it needs instead.
[[nodiscard]] Result<void> checkIdentity(const CommonConfig &config);

/// Whether the identity that lies there is this agent's own: Denied when its SPIFFE ID is another or when
/// the source refuses it for good (a key that others may read). One that is not there yet is no error, for
/// it may come; the caller says what waits for it.
[[nodiscard]] Result<void> checkIsSelf(const IdentitySource &identity, const SpiffeId &self);

/// For programs that answer calls without a policy decider: Unsupported when the configuration wants
/// one, since answering all the same would be more than was allowed.
[[nodiscard]] Result<void> checkAuthorization(const CommonConfig &config);

/// One sentence a line on standard error, after the program's name.
void complain(const Program &program, const Error &error);

/// The end of run(): an error is logged and becomes kCannotRun; repeated lines that were held back are
/// printed.
[[nodiscard]] int finish(const Program &program, const Result<int> &exitCode);

/// What --check says of a file that is right and still not enough to run: a line on standard error for
/// each of `checks` that failed.
void tellWhatIsMissing(const Program &program, const QList<Result<void>> &checks);

struct NothingToCheck {
    template <class Config>
    [[nodiscard]] QList<Result<void>> operator()(const Config &) const
    {
        return {};
    }
};

/// What main() does once QCoreApplication is there. `read` makes a Result of the program's
/// configuration (with a member `common`) from the CommandLine; `run` takes it and returns a
/// Result<int>: the exit code, or why it cannot run; `check` tells for --check what of it run() would refuse
/// before anything else.
template <class Read, class Run, class Check = NothingToCheck>
[[nodiscard]] int runProgram(const Program &program, Read read, Run run, Check check = {})
{
    CommandLine line;
    if (const auto finished = parseCommandLine(program, QCoreApplication::arguments(), line))
        return *finished;
    const auto config = read(line);
    if (!config) {
        complain(program, config.error());
        return kBadConfig;
    }
    if (line.check) {
        tellWhatIsMissing(program, check(*config));
        return kStopped;
    }
    startLogging(program, config->common.observability);
    setLimits(program);
    return finish(program, run(*config));
}

} // namespace lintel::service
