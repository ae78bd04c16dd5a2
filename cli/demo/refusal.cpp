#include "demo/refusal.h"

#include "calls/call.h"
#include "output.h"

namespace lintel::demo {

using namespace Qt::StringLiterals;

void reportRefusal(const Error &error, bool json)
{
    if (!json) {
        cli::printError(error.message);
        return;
    }
    cli::printJson({{u"ok"_s, false},
                    {u"error"_s, QJsonObject{{u"code"_s, wireName(error.code)}, {u"message"_s, error.message}}}});
}

} // namespace lintel::demo
