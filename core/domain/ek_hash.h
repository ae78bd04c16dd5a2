// The hash of a TPM's endorsement key, by which a device is known before it has a name: SHA-256 of the public
// key's SubjectPublicKeyInfo. Free function; any thread.
#pragma once

#include <QStringView>

#include <algorithm>

namespace lintel {

/// 64 hexadecimal digits in lower case. It stands in commands that somebody copies: nothing else will do.
[[nodiscard]] inline bool isEkHash(QStringView text)
{
    return text.size() == 64 && std::all_of(text.begin(), text.end(), [](QChar c) {
               return (c >= QLatin1Char('0') && c <= QLatin1Char('9'))
                      || (c >= QLatin1Char('a') && c <= QLatin1Char('f'));
           });
}

} // namespace lintel
