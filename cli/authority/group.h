// What the authority commands have in common: a group ("device") has verbs ("revoke"), each with options
// and a function; help, errors, JSON and exit codes are the same everywhere.
#pragma once

#include "authority/admin_client.h"
#include "authority/arguments.h"
#include "exit_codes.h"

#include <QJsonObject>

#include <functional>

namespace lintel::cli {

/// What a command prints: one object with --json, else text.
struct Answer {
    QJsonObject json;
    QString text;
    ExitCode exitCode = kOk; // kFailed: it could be answered, and the answer is bad news
    QStringList failures{};  // of several that were asked for; on standard error, where `json` has them itself
};

struct Verb {
    QString name;  // empty: the group is the command ("enroll")
    QString usage; // behind the name: "DEVICE [--reason TEXT]"
    QString summary;
    QList<Option> options;
    int words = 0; // that must follow the name
    std::function<Result<Answer>(const Arguments &)> run;
    bool takesMore = false; // words than that
};

struct Group {
    QString name;
    QString purpose;
    QList<Verb> verbs;
    QString examples;
    QString exitCodes{}; // for the help; empty: those of a command that asks the authority
};

/// Prints the answer, the help or the error; the exit code.
[[nodiscard]] int runGroup(const Group &group, const QStringList &arguments);

/// --socket, and the client that it leads to.
[[nodiscard]] Option socketOption();
[[nodiscard]] AdminClient clientFor(const Arguments &arguments);

/// For arguments that are wrong: exit code 2.
[[nodiscard]] Error wrongUsage(const QString &what);

/// For a configuration file that is not there or not right: its error, and exit code 2 as in every program.
[[nodiscard]] Error badConfiguration(const Error &error);

} // namespace lintel::cli
