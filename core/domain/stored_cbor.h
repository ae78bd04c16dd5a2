// The small part of CBOR (RFC 8949) in which Lintel stores its own values: one writer and one
// reader for one canonical form (section 4.2.1: shortest integers, definite lengths, map keys in
// ascending order; doubles always in 64 bits, so that each bit of them survives). Equal values
// have equal bytes, and bytes that are not exactly canonical are refused.
//
// Private to core/domain. Values only; any thread. The reader never reads past its input and never
// throws; after the first failure every further step fails, yields nothing and ends every loop.
#pragma once

#include <QByteArray>
#include <QByteArrayView>
#include <QString>

#include <utility>

namespace lintel::stored_cbor {

enum class Major : quint8 { Unsigned = 0, Negative = 1, Bytes = 2, Text = 3, Array = 4, Map = 5, Tag = 6, Simple = 7 };

class Writer
{
public:
    void unsignedNumber(quint64 value) { head(Major::Unsigned, value); }
    void number(qint64 value);
    void text(const QString &value);
    void bytes(QByteArrayView value);
    void boolean(bool value);
    void real(double value);
    void arraySize(qsizetype items) { head(Major::Array, static_cast<quint64>(items)); }

    [[nodiscard]] QByteArray take() { return std::move(m_out); }

private:
    friend class MapWriter;
    void head(Major major, quint64 argument);

    QByteArray m_out;
};

/// Writes one map with integer keys, at most 23 of them; its head is completed when it ends.
class MapWriter
{
public:
    explicit MapWriter(Writer &out);
    ~MapWriter();
    MapWriter(const MapWriter &) = delete;
    MapWriter &operator=(const MapWriter &) = delete;

    /// Keys must come in ascending order.
    Writer &key(quint64 key);
    void textUnlessEmpty(quint64 key, const QString &value);
    void unsignedUnlessZero(quint64 key, quint64 value);
    void numberUnlessZero(quint64 key, qint64 value);

private:
    Writer &m_out;
    qsizetype m_headAt = 0;
    quint8 m_pairs = 0;
};

class Reader
{
public:
    explicit Reader(QByteArrayView in) : m_in(in) {}

    [[nodiscard]] bool ok() const { return m_ok; }
    [[nodiscard]] bool atEnd() const { return m_ok && m_at == m_in.size(); }
    void fail() { m_ok = false; }
    void require(bool condition) { m_ok = m_ok && condition; }

    /// What comes next; Tag, which nobody asks for, at the end and after a failure.
    [[nodiscard]] Major peek() const;
    [[nodiscard]] bool atReal() const;

    [[nodiscard]] quint64 unsignedNumber() { return argument(Major::Unsigned); }
    [[nodiscard]] qint64 number();
    [[nodiscard]] QString text();
    [[nodiscard]] QByteArrayView bytes() { return run(Major::Bytes); }
    [[nodiscard]] bool boolean();
    [[nodiscard]] double real();
    /// Number of items; fails when so many cannot stand in what is left of the input.
    [[nodiscard]] qsizetype arraySize() { return size(Major::Array, 1); }
    [[nodiscard]] qsizetype mapSize() { return size(Major::Map, 2); }

    /// What is left out when it is empty or zero is refused when it stands there all the same.
    [[nodiscard]] QString nonEmptyText();
    [[nodiscard]] quint64 nonZeroUnsigned();
    [[nodiscard]] qint64 nonZeroNumber();

private:
    quint64 argument(Major major);
    qsizetype size(Major major, qsizetype bytesPerItem);
    QByteArrayView run(Major major);
    [[nodiscard]] qsizetype left() const { return m_in.size() - m_at; }
    [[nodiscard]] quint8 byteAt(qsizetype i) const { return static_cast<quint8>(m_in[i]); }

    QByteArrayView m_in;
    qsizetype m_at = 0;
    bool m_ok = true;
};

/// Reads one map with integer keys in ascending order: while (map.next()) switch (map.key()) …
class MapReader
{
public:
    explicit MapReader(Reader &in) : m_in(in), m_left(in.mapSize()) {}

    [[nodiscard]] bool next();
    [[nodiscard]] quint64 key() const { return m_key; }

private:
    Reader &m_in;
    qsizetype m_left = 0;
    quint64 m_key = 0;
    bool m_first = true;
};

} // namespace lintel::stored_cbor
