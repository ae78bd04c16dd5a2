// What a stolen signing key could put into a deny list: it is read or refused, and what was read is
// signed and read again.
#include "tls/deny_list.h"
#include "tls/file_key_store.h"
#include "tls/jws.h"

#include <QJsonDocument>

#include <cstdlib>

using namespace lintel;
using namespace lintel::tls;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size)
{
    static const auto key = *signingKeyFrom(*newSoftwareKey());
    static const QList<JwtAuthority> keys{{QStringLiteral("k1"), key->publicKeyDer()}};
    static const TrustDomain domain = *TrustDomain::parse(u"building-1.smart.local");
    const QByteArray bytes(reinterpret_cast<const char *>(data), qsizetype(size));
    if (verifyDenyList(bytes, domain, keys, 0))
        std::abort(); // nobody has signed it
    const QJsonObject payload = QJsonDocument::fromJson(bytes).object();
    const auto token = signToken(payload, QStringLiteral("lintel-deny-list+jwt"), QStringLiteral("k1"), *key);
    const auto list = verifyDenyList(*token, domain, keys, 0);
    if (!list)
        return 0;
    const auto again = verifyDenyList(*signDenyList(*list, QStringLiteral("k1"), *key), domain, keys, list->sequence);
    if (!again || again->entries != list->entries)
        std::abort();
    return 0;
}
