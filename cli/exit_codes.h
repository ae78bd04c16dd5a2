// lintelctl's exit codes: those of every program, the same for every command, and in `lintelctl --help`.
#pragma once

#include "domain/result.h"
#include "process/exit_codes.h"

namespace lintel::cli {

using process::ExitCode;
inline constexpr ExitCode kOk = process::kDone;
using process::kCannotConnect;
using process::kFailed;
using process::kTimeout;
using process::kUsage;

/// For an error that the other side or the way there produced.
[[nodiscard]] ExitCode exitCodeOf(const Error &error);

} // namespace lintel::cli
