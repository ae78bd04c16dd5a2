// No token that a fuzzer can make is accepted, and none does harm.
#include "tls/jws.h"
#include "tls/jwt_svid.h"

#include "tls/file_key_store.h"

#include <cstdlib>

using namespace lintel;
using namespace lintel::tls;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size)
{
    static const QByteArray key = (*signingKeyFrom(*newSoftwareKey()))->publicKeyDer();
    static const JwtBundles bundles{{*TrustDomain::parse(u"building-1.smart.local"), {{QStringLiteral("k1"), key}}}};
    const QByteArray token(reinterpret_cast<const char *>(data), qsizetype(size));
    if (validateJwtSvid(token, QStringLiteral("reports"), bundles, fromEpochMillis(1'768'435'200'000)))
        std::abort();
    (void)parseToken(token);
    return 0;
}
