// Writes TCG event logs for tests, in the crypto-agile format with SHA-1 and SHA-256.
#pragma once

#include <QByteArray>
#include <QCryptographicHash>
#include <QtEndian>

namespace lintel::test {

class BootLog
{
public:
    BootLog()
    {
        QByteArray spec("Spec ID Event03\0", 16);
        spec += le<quint32>(0) + QByteArray("\x00\x02\x00\x02", 4);
        spec += le<quint32>(2) + le<quint16>(0x0004) + le<quint16>(20) + le<quint16>(0x000b) + le<quint16>(32);
        spec += '\0';
        m_bytes = le<quint32>(0) + le<quint32>(3) + QByteArray(20, '\0') + le<quint32>(quint32(spec.size())) + spec;
    }
    /// An event whose data are what was measured.
    BootLog &measured(quint32 pcr, quint32 type, const QByteArray &data)
    {
        return raw(pcr, type, QCryptographicHash::hash(data, QCryptographicHash::Sha256), data);
    }
    BootLog &raw(quint32 pcr, quint32 type, const QByteArray &sha256, const QByteArray &data)
    {
        m_bytes += le<quint32>(pcr) + le<quint32>(type) + le<quint32>(2);
        m_bytes += le<quint16>(0x0004) + QByteArray(20, 's') + le<quint16>(0x000b) + sha256;
        m_bytes += le<quint32>(quint32(data.size())) + data;
        return *this;
    }
    [[nodiscard]] const QByteArray &bytes() const { return m_bytes; }

    template <class T>
    static QByteArray le(T value)
    {
        QByteArray bytes(sizeof(T), '\0');
        qToLittleEndian(value, bytes.data());
        return bytes;
    }
    /// UEFI_VARIABLE_DATA of the variable SecureBoot.
    static QByteArray secureBoot(bool on)
    {
        const QByteArray name("S\0e\0c\0u\0r\0e\0B\0o\0o\0t\0", 20);
        return QByteArray(16, 'g') + le<quint64>(10) + le<quint64>(1) + name + (on ? '\1' : '\0');
    }

private:
    QByteArray m_bytes;
};

} // namespace lintel::test
