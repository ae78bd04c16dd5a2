// What the exit codes of all programs mean; for people: docs/configuration.md, "Exit codes". A program that
// keeps running uses the first three, so that whoever starts it again knows when that is of no use.
#pragma once

namespace lintel::process {

enum ExitCode : int {
    kDone = 0,          // also: stopped when asked to, with all stored
    kFailed = 1,        // something that it needs is not usable, or whoever was asked said no
    kUsage = 2,         // wrong options, arguments or configuration file, also one that is not there
    kTimeout = 3,       // no answer in time
    kCannotConnect = 4, // no connection, identity, display or program that a person's command needs
};

} // namespace lintel::process
