#include "domain/stored_cbor.h"

#include <QStringDecoder>
#include <QtEndian>

#include <bit>
#include <limits>

namespace lintel::stored_cbor {

namespace {

constexpr quint8 simpleFalse = 0xf4;
constexpr quint8 simpleTrue = 0xf5;
constexpr quint8 simpleReal = 0xfb;

constexpr quint8 initialByte(Major major, quint8 info)
{
    return static_cast<quint8>((static_cast<unsigned>(major) << 5) | info);
}

template <class T>
void appendBigEndian(QByteArray &out, T value)
{
    const T big = qToBigEndian(value);
    out.append(reinterpret_cast<const char *>(&big), sizeof big);
}

} // namespace

void Writer::head(Major major, quint64 argument)
{
    if (argument < 24) {
        m_out.append(static_cast<char>(initialByte(major, static_cast<quint8>(argument))));
    } else if (argument <= 0xff) {
        m_out.append(static_cast<char>(initialByte(major, 24)));
        m_out.append(static_cast<char>(argument));
    } else if (argument <= 0xffff) {
        m_out.append(static_cast<char>(initialByte(major, 25)));
        appendBigEndian(m_out, static_cast<quint16>(argument));
    } else if (argument <= 0xffff'ffff) {
        m_out.append(static_cast<char>(initialByte(major, 26)));
        appendBigEndian(m_out, static_cast<quint32>(argument));
    } else {
        m_out.append(static_cast<char>(initialByte(major, 27)));
        appendBigEndian(m_out, argument);
    }
}

void Writer::number(qint64 value)
{
    if (value >= 0)
        head(Major::Unsigned, static_cast<quint64>(value));
    else
        head(Major::Negative, ~static_cast<quint64>(value)); // -1 - value
}

void Writer::text(const QString &value)
{
    const QByteArray utf8 = value.toUtf8();
    head(Major::Text, static_cast<quint64>(utf8.size()));
    m_out.append(utf8);
}

void Writer::bytes(QByteArrayView value)
{
    head(Major::Bytes, static_cast<quint64>(value.size()));
    m_out.append(value);
}

void Writer::boolean(bool value)
{
    m_out.append(static_cast<char>(value ? simpleTrue : simpleFalse));
}

void Writer::real(double value)
{
    m_out.append(static_cast<char>(simpleReal));
    appendBigEndian(m_out, std::bit_cast<quint64>(value));
}

MapWriter::MapWriter(Writer &out) : m_out(out), m_headAt(out.m_out.size())
{
    m_out.head(Major::Map, 0);
}

MapWriter::~MapWriter()
{
    Q_ASSERT(m_pairs < 24);
    m_out.m_out[m_headAt] = static_cast<char>(initialByte(Major::Map, m_pairs));
}

Writer &MapWriter::key(quint64 key)
{
    ++m_pairs;
    m_out.unsignedNumber(key);
    return m_out;
}

void MapWriter::textUnlessEmpty(quint64 k, const QString &value)
{
    if (!value.isEmpty())
        key(k).text(value);
}

void MapWriter::unsignedUnlessZero(quint64 k, quint64 value)
{
    if (value != 0)
        key(k).unsignedNumber(value);
}

void MapWriter::numberUnlessZero(quint64 k, qint64 value)
{
    if (value != 0)
        key(k).number(value);
}

Major Reader::peek() const
{
    return m_ok && left() > 0 ? static_cast<Major>(byteAt(m_at) >> 5) : Major::Tag;
}

bool Reader::atReal() const
{
    return m_ok && left() > 0 && byteAt(m_at) == simpleReal;
}

/// The argument of the next item's head, which must be of this type and in the shortest form.
quint64 Reader::argument(Major major)
{
    if (peek() != major) {
        fail();
        return 0;
    }
    const quint8 info = byteAt(m_at++) & 0x1f;
    if (info < 24)
        return info;
    const qsizetype width = info <= 27 ? qsizetype{1} << (info - 24) : 0; // 28 … 31: reserved, indefinite
    if (width == 0 || width > left()) {
        fail();
        return 0;
    }
    quint64 value = 0;
    for (qsizetype i = 0; i < width; ++i)
        value = (value << 8) | byteAt(m_at++);
    const quint64 smallest = width == 1 ? 24 : quint64{1} << (4 * width);
    require(value >= smallest);
    return m_ok ? value : 0;
}

qint64 Reader::number()
{
    const bool negative = peek() == Major::Negative;
    const quint64 value = argument(negative ? Major::Negative : Major::Unsigned);
    require(value <= static_cast<quint64>(std::numeric_limits<qint64>::max()));
    if (!m_ok)
        return 0;
    return negative ? -1 - static_cast<qint64>(value) : static_cast<qint64>(value);
}

QByteArrayView Reader::run(Major major)
{
    const quint64 length = argument(major);
    require(length <= static_cast<quint64>(left()));
    if (!m_ok)
        return {};
    const QByteArrayView found = m_in.sliced(m_at, static_cast<qsizetype>(length));
    m_at += found.size();
    return found;
}

QString Reader::text()
{
    const QByteArrayView utf8 = run(Major::Text);
    // Not QString::fromUtf8, which swallows a byte order mark at the beginning.
    QStringDecoder decoder(QStringDecoder::Utf8,
                           QStringDecoder::Flag::Stateless | QStringDecoder::Flag::ConvertInitialBom);
    const QString text = decoder(utf8);
    require(!decoder.hasError());
    return m_ok ? text : QString();
}

bool Reader::boolean()
{
    const quint8 found = m_ok && left() > 0 ? byteAt(m_at++) : 0;
    require(found == simpleFalse || found == simpleTrue);
    return m_ok && found == simpleTrue;
}

double Reader::real()
{
    if (!atReal() || left() < 9) {
        fail();
        return 0;
    }
    const auto bits = qFromBigEndian<quint64>(m_in.data() + m_at + 1);
    m_at += 9;
    return std::bit_cast<double>(bits);
}

qsizetype Reader::size(Major major, qsizetype bytesPerItem)
{
    const quint64 items = argument(major);
    require(items <= static_cast<quint64>(left() / bytesPerItem));
    return m_ok ? static_cast<qsizetype>(items) : 0;
}

QString Reader::nonEmptyText()
{
    QString value = text();
    require(!value.isEmpty());
    return value;
}

quint64 Reader::nonZeroUnsigned()
{
    const quint64 value = unsignedNumber();
    require(value != 0);
    return value;
}

qint64 Reader::nonZeroNumber()
{
    const qint64 value = number();
    require(value != 0);
    return value;
}

bool MapReader::next()
{
    if (!m_in.ok() || m_left == 0)
        return false;
    --m_left;
    const quint64 key = m_in.unsignedNumber();
    m_in.require(m_first || key > m_key);
    m_first = false;
    m_key = key;
    return m_in.ok();
}

} // namespace lintel::stored_cbor
