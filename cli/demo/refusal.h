// How `lintelctl demo` says that it does not even begin. Any thread; writes at once.
#pragma once

#include "domain/result.h"

namespace lintel::demo {

/// With `json` one object on standard output, {"ok": false, "error": {code, message}}, as every run with
/// --json ends with one; else the sentence on standard error.
void reportRefusal(const Error &error, bool json);

} // namespace lintel::demo
