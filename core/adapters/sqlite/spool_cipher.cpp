#include "adapters/sqlite/spool_cipher.h"

#include <QtEndian>

#include <array>

namespace lintel {

namespace {

constexpr char kPlainVersion = 1;
constexpr qsizetype kHeaderBytes = 1 + qsizetype(sizeof(quint32));

[[nodiscard]] constexpr std::array<quint32, 256> crcTable()
{
    std::array<quint32, 256> table{};
    for (quint32 i = 0; i < 256; ++i) {
        quint32 value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = (value & 1) != 0 ? (value >> 1) ^ 0xedb88320u : value >> 1;
        table[i] = value;
    }
    return table;
}

[[nodiscard]] quint32 crc32(quint32 crc, QByteArrayView bytes)
{
    static constexpr std::array<quint32, 256> table = crcTable();
    crc = ~crc;
    for (const char byte : bytes)
        crc = table[(crc ^ quint8(byte)) & 0xff] ^ (crc >> 8);
    return ~crc;
}

[[nodiscard]] quint32 checksum(const SpoolRecordId &record, QByteArrayView plain)
{
    std::array<char, sizeof(Msn)> number{};
    qToBigEndian(record.msn, number.data());
    return crc32(crc32(crc32(0, record.stream.toRfc4122()), QByteArrayView(number.data(), qsizetype(number.size()))),
                 plain);
}

} // namespace

Result<QByteArray> PlainCipher::seal(const SpoolRecordId &record, QByteArrayView plain) const
{
    QByteArray sealed(kHeaderBytes, Qt::Uninitialized);
    sealed.reserve(kHeaderBytes + plain.size());
    sealed[0] = kPlainVersion;
    qToBigEndian(checksum(record, plain), sealed.data() + 1);
    sealed.append(plain);
    return sealed;
}

Result<QByteArray> PlainCipher::open(const SpoolRecordId &record, QByteArrayView sealed) const
{
    if (sealed.size() < kHeaderBytes || sealed.front() != kPlainVersion)
        return Error{Errc::Malformed, QStringLiteral("Batch %1 was not stored in the plain form.").arg(record.msn)};
    const QByteArrayView plain = sealed.sliced(kHeaderBytes);
    if (qFromBigEndian<quint32>(sealed.data() + 1) != checksum(record, plain))
        return Error{Errc::Malformed,
                     QStringLiteral("The checksum of batch %1 does not match what is stored.").arg(record.msn)};
    return plain.toByteArray();
}

} // namespace lintel
