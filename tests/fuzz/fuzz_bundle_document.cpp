// A bundle that parses prints back to itself.
#include "tls/bundle_document.h"

#include <cstdlib>

using namespace lintel::tls;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size)
{
    const auto bundle = parseBundle(QByteArray(reinterpret_cast<const char *>(data), qsizetype(size)));
    if (!bundle)
        return 0;
    const auto printed = printBundle(*bundle);
    if (!printed)
        return 0; // an authority's certificate with a key that no bundle can hold
    const auto again = parseBundle(*printed);
    if (!again || *again != *bundle)
        std::abort();
    return 0;
}
