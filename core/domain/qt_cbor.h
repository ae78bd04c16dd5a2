// Reading CBOR (RFC 8949) that was sent or stored, where Qt's own accessors expect it to be sound.
// Free functions; any thread. What Lintel stores of its own values is in stored_cbor.h.
#pragma once

#include <QByteArray>
#include <QCborMap>
#include <QCborValue>

namespace lintel {

/// The integer; `fallback` for anything else. QCborValue::toInteger() converts a double of any size.
[[nodiscard]] inline qint64 wholeNumber(const QCborValue &value, qint64 fallback = 0)
{
    return value.isInteger() ? value.toInteger() : fallback;
}

/// The map; an empty one for anything else. What fromCbor() gives of broken bytes is not safe to read.
[[nodiscard]] inline QCborMap cborMap(const QByteArray &bytes)
{
    QCborParserError problem;
    const QCborValue value = QCborValue::fromCbor(bytes, &problem);
    return problem.error == QCborError::NoError ? value.toMap() : QCborMap();
}

} // namespace lintel
