#include "spire/join_token_attestor.h"

#include "tls/file_key_store.h"
#include "tls/identity_files.h"

namespace lintel::spire {

using namespace Qt::StringLiterals;

Result<std::shared_ptr<EVP_PKEY>> JoinTokenAttestor::newKey()
{
    return tls::newSoftwareKey();
}

Result<QByteArray> JoinTokenAttestor::begin()
{
    auto token = tls::readWholeFile(m_tokenFile);
    if (!token)
        return Error{token.error().code, u"There is no join token: %1 Make one with \"lintelctl token create\"."_s.arg(
                                             token.error().message)};
    const QByteArray text = token->trimmed();
    if (text.isEmpty() || text.size() > 512 || text.contains('\n'))
        return Error{Errc::Malformed, u"%1 does not hold one join token on one line."_s.arg(m_tokenFile)};
    return text;
}

Result<QByteArray> JoinTokenAttestor::answer(const QByteArray &, const AttestationBinding &)
{
    return Error{Errc::Malformed, u"The authority asked for more than the join token, which has no more."_s};
}

} // namespace lintel::spire
