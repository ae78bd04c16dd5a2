// A certificate request that is accepted carries a key that a certificate can be written for.
#include "tls/certificate_writer.h"
#include "tls/file_key_store.h"

#include <cstdlib>

using namespace lintel;
using namespace lintel::tls;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size)
{
    static const auto key = *signingKeyFrom(*newSoftwareKey());
    const auto csr = readCsr(QByteArray(reinterpret_cast<const char *>(data), qsizetype(size)));
    if (!csr)
        return 0;
    const LeafCertificate leaf{*SpiffeId::parse(u"spiffe://a/b"), csr->dnsNames, csr->publicKeyDer, fromEpochMillis(0),
                               fromEpochMillis(1'000)};
    if (!writeLeaf(leaf, {QByteArray("\x30\x00", 2), "k", {}, {}}, *key))
        std::abort();
    return 0;
}
