// How a stored batch is protected on the disk. The spool seals what it writes and opens what it
// reads; what the sealed bytes look like, and where keys come from, is the cipher's own affair.
//
// Owner: whoever makes the spool; it outlives the spool. Thread: the spool's. Failure: open() is
// Malformed for bytes that are not exactly what seal() made for that record; the spool then counts
// the batch as unreadable.
#pragma once

#include "domain/reading.h"

namespace lintel {

/// Which record the bytes belong to: sealed bytes moved to another record do not open.
struct SpoolRecordId {
    StreamId stream;
    Msn msn = 0;
};

class SpoolCipher
{
public:
    SpoolCipher() = default;
    SpoolCipher(const SpoolCipher &) = delete;
    SpoolCipher &operator=(const SpoolCipher &) = delete;
    virtual ~SpoolCipher() = default;

    [[nodiscard]] virtual Result<QByteArray> seal(const SpoolRecordId &record, QByteArrayView plain) const = 0;
    [[nodiscard]] virtual Result<QByteArray> open(const SpoolRecordId &record, QByteArrayView sealed) const = 0;
};

/// No secrecy: the bytes as they are, behind a CRC-32 over record and bytes, so that a flipped bit
/// or a row in the wrong place is noticed.
class PlainCipher final : public SpoolCipher
{
public:
    [[nodiscard]] Result<QByteArray> seal(const SpoolRecordId &record, QByteArrayView plain) const override;
    [[nodiscard]] Result<QByteArray> open(const SpoolRecordId &record, QByteArrayView sealed) const override;
};

} // namespace lintel
