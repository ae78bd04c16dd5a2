// What lintelctl's exit codes mean; the same for every command, and in `lintelctl --help`.
#pragma once

#include "domain/result.h"

namespace lintel::cli {

enum ExitCode : int {
    kOk = 0,
    kFailed = 1,        // the callee answered with an error; or what was watched went wrong
    kUsage = 2,         // wrong options or arguments
    kTimeout = 3,       // no answer in time
    kCannotConnect = 4, // no connection, no identity, or a program that is needed is missing
};

/// For an error that the other side or the way there produced.
[[nodiscard]] ExitCode exitCodeOf(const Error &error);

} // namespace lintel::cli
