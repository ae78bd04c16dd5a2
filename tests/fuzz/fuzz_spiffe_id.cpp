// A SPIFFE ID that parses prints back to itself, obeys the letter of section 2, and goes to its
// principal and back. A principal that parses does the same the other way round.
#include "domain/principal.h"

#include <cstdlib>

using namespace lintel;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const QString text = QString::fromUtf8(reinterpret_cast<const char *>(data), static_cast<qsizetype>(size));
    if (const auto id = SpiffeId::parse(text)) {
        require(id->toString() == text);
        require(text.size() <= 2048 && text.startsWith(u"spiffe://"));
        require(!text.endsWith(u'/') && !text.sliced(9).contains(u"//") && !text.contains(u'%'));
        require(id->path().isEmpty() || id->path().startsWith(u'/'));
        const auto domain = TrustDomain::parse(id->trustDomain().name());
        require(domain && id->isMemberOf(*domain));
        const auto principal = Principal::parse(Principal(*id).toString());
        require(principal && principal->spiffeId() == *id);
    } else {
        require(id.error().code == Errc::Malformed && !id.error().message.isEmpty());
    }
    if (const auto principal = Principal::parse(text)) {
        require(principal->toString() == text);
        require(!text.contains(u'/') && !text.contains(u'.') && !text.contains(u'+') && !text.contains(u'#'));
        const auto again = SpiffeId::parse(principal->spiffeId().toString());
        require(again && *again == principal->spiffeId());
    }
    return 0;
}
