// Opens the store of the CA's keys that the configuration names. Errors say what to do. Any thread.
#pragma once

#include "authority/program_config.h"
#include "ports/key_store.h"

#include <memory>

namespace lintel::authority {

[[nodiscard]] Result<std::unique_ptr<KeyStore>> openKeyStore(const ProgramConfig &config);

} // namespace lintel::authority
