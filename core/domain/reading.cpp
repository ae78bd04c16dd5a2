#include "domain/reading.h"

#include "domain/stored_cbor.h"

#include <QLocale>

#include <cmath>
#include <limits>

namespace lintel {

namespace {

using namespace stored_cbor;

constexpr quint64 version = 1;

// Integer keys of the stored form. A value equal to its default is left out: an empty text, zero,
// Unit::None, Quality::Good, not historical. Numbers here are for ever; new fields get new ones
// and a new version.
namespace batch_key {
constexpr quint64 version = 0, device = 1, baseTime = 2, readings = 3, losses = 4;
}
namespace reading_key {
constexpr quint64 point = 0, value = 1, unit = 2, timeOffset = 3, quality = 4, historical = 5;
}
namespace loss_key {
constexpr quint64 device = 0, stream = 1, first = 2, last = 3, readings = 4, from = 5, to = 6, reason = 7;
}

constexpr qsizetype uuidBytes = 16;

// Offsets wrap around, so that even absurd times of a broken clock come back as they were.
qint64 difference(qint64 a, qint64 b)
{
    return static_cast<qint64>(static_cast<quint64>(a) - static_cast<quint64>(b));
}
qint64 sum(qint64 a, qint64 b)
{
    return static_cast<qint64>(static_cast<quint64>(a) + static_cast<quint64>(b));
}

void writeValue(Writer &out, const Value &value)
{
    switch (kindOf(value)) {
    case Kind::Number: out.real(std::get<double>(value)); break;
    case Kind::Integer: out.number(std::get<qint64>(value)); break;
    case Kind::Bool: out.boolean(std::get<bool>(value)); break;
    case Kind::Text: out.text(std::get<QString>(value)); break;
    }
}

/// Bits of a double stay as they are, NaN and infinities included: a driver that reports them
/// says so with quality Bad, and a store is no place to change what was reported.
Value readValue(Reader &in)
{
    if (in.atReal())
        return in.real();
    switch (in.peek()) {
    case Major::Unsigned:
    case Major::Negative: return in.number();
    case Major::Text: return in.text();
    default: return in.boolean();
    }
}

void writeReading(Writer &out, const Reading &reading, qint64 baseTime)
{
    MapWriter map(out);
    map.textUnlessEmpty(reading_key::point, reading.point);
    writeValue(map.key(reading_key::value), reading.value);
    if (reading.unit != Unit::None)
        map.key(reading_key::unit).text(unitInfo(reading.unit).code);
    map.numberUnlessZero(reading_key::timeOffset, difference(toEpochMillis(reading.deviceTime), baseTime));
    if (reading.quality != Quality::Good)
        map.key(reading_key::quality).unsignedNumber(static_cast<quint64>(reading.quality));
    if (reading.isHistorical)
        map.key(reading_key::historical).boolean(true);
}

Unit readUnit(Reader &in)
{
    const auto unit = unitFromCode(in.text());
    in.require(unit && *unit != Unit::None);
    return in.ok() ? *unit : Unit::None;
}

Quality readQuality(Reader &in)
{
    const quint64 code = in.unsignedNumber();
    in.require(code == static_cast<quint64>(Quality::Bad) || code == static_cast<quint64>(Quality::Stale));
    return code == static_cast<quint64>(Quality::Stale) ? Quality::Stale : Quality::Bad;
}

Reading readReading(Reader &in, qint64 baseTime)
{
    Reading reading;
    reading.deviceTime = fromEpochMillis(baseTime);
    bool hasValue = false;
    MapReader map(in);
    while (map.next()) {
        switch (map.key()) {
        case reading_key::point: reading.point = in.nonEmptyText(); break;
        case reading_key::value:
            reading.value = readValue(in);
            hasValue = true;
            break;
        case reading_key::unit: reading.unit = readUnit(in); break;
        case reading_key::timeOffset: reading.deviceTime = fromEpochMillis(sum(baseTime, in.nonZeroNumber())); break;
        case reading_key::quality: reading.quality = readQuality(in); break;
        case reading_key::historical:
            reading.isHistorical = in.boolean();
            in.require(reading.isHistorical);
            break;
        default: in.fail();
        }
    }
    in.require(hasValue);
    return reading;
}

void writeLoss(Writer &out, const Loss &loss)
{
    MapWriter map(out);
    map.textUnlessEmpty(loss_key::device, loss.device);
    if (!loss.stream.isNull())
        map.key(loss_key::stream).bytes(loss.stream.toRfc4122());
    map.unsignedUnlessZero(loss_key::first, loss.first);
    map.unsignedUnlessZero(loss_key::last, loss.last);
    map.unsignedUnlessZero(loss_key::readings, loss.readings);
    map.numberUnlessZero(loss_key::from, toEpochMillis(loss.from));
    map.numberUnlessZero(loss_key::to, toEpochMillis(loss.to));
    map.key(loss_key::reason).unsignedNumber(static_cast<quint64>(loss.reason));
}

StreamId readStream(Reader &in)
{
    const QByteArrayView bytes = in.bytes();
    in.require(bytes.size() == uuidBytes);
    const StreamId stream = in.ok() ? QUuid::fromRfc4122(bytes) : StreamId();
    in.require(!stream.isNull());
    return stream;
}

LossReason readReason(Reader &in)
{
    const quint64 code = in.unsignedNumber();
    in.require(code >= static_cast<quint64>(LossReason::SpoolFull) && code <= static_cast<quint64>(kLastLossReason));
    return in.ok() ? static_cast<LossReason>(code) : LossReason::SpoolFull;
}

Loss readLoss(Reader &in)
{
    Loss loss;
    bool hasReason = false;
    MapReader map(in);
    while (map.next()) {
        switch (map.key()) {
        case loss_key::device: loss.device = in.nonEmptyText(); break;
        case loss_key::stream: loss.stream = readStream(in); break;
        case loss_key::first: loss.first = in.nonZeroUnsigned(); break;
        case loss_key::last: loss.last = in.nonZeroUnsigned(); break;
        case loss_key::readings: loss.readings = in.nonZeroUnsigned(); break;
        case loss_key::from: loss.from = fromEpochMillis(in.nonZeroNumber()); break;
        case loss_key::to: loss.to = fromEpochMillis(in.nonZeroNumber()); break;
        case loss_key::reason:
            loss.reason = readReason(in);
            hasReason = true;
            break;
        default: in.fail();
        }
    }
    in.require(hasReason);
    return loss;
}

/// The first reading defines the base time, so an offset of its own would be a second spelling.
void readReadings(Reader &in, ReadingBatch &batch, qint64 baseTime)
{
    const qsizetype count = in.arraySize();
    in.require(count > 0);
    for (qsizetype i = 0; i < count && in.ok(); ++i)
        batch.readings.append(readReading(in, baseTime));
    in.require(!in.ok() || toEpochMillis(batch.readings.first().deviceTime) == baseTime);
}

void readLosses(Reader &in, ReadingBatch &batch)
{
    const qsizetype count = in.arraySize();
    in.require(count > 0);
    for (qsizetype i = 0; i < count && in.ok(); ++i)
        batch.losses.append(readLoss(in));
}

} // namespace

double toDouble(const Value &value)
{
    switch (kindOf(value)) {
    case Kind::Number: return std::get<double>(value);
    case Kind::Integer: return static_cast<double>(std::get<qint64>(value));
    case Kind::Bool: return std::get<bool>(value) ? 1.0 : 0.0;
    case Kind::Text: break;
    }
    return std::numeric_limits<double>::quiet_NaN();
}

QString toText(const Value &value)
{
    switch (kindOf(value)) {
    case Kind::Number: {
        const double number = std::get<double>(value);
        if (number == 0)
            return QStringLiteral("0"); // also for -0
        const double size = std::abs(number);
        const char format = size >= 1e-4 && size < 1e15 ? 'f' : 'g';
        return QString::number(number, format, QLocale::FloatingPointShortest);
    }
    case Kind::Integer: return QString::number(std::get<qint64>(value));
    case Kind::Bool: return std::get<bool>(value) ? QStringLiteral("on") : QStringLiteral("off");
    case Kind::Text: break;
    }
    return std::get<QString>(value);
}

QString toText(LossReason reason)
{
    switch (reason) {
    case LossReason::SpoolFull: return QStringLiteral("spool full");
    case LossReason::StorageFailed: return QStringLiteral("storage failed");
    case LossReason::Unreadable: return QStringLiteral("unreadable");
    case LossReason::NeverSent: return QStringLiteral("never sent");
    case LossReason::Refused: return QStringLiteral("refused by the store");
    case LossReason::RemovedForSize: return QStringLiteral("removed by size limit");
    }
    return QStringLiteral("unknown");
}

QByteArray encodeBatch(const ReadingBatch &batch)
{
    Writer out;
    {
        MapWriter map(out);
        map.key(batch_key::version).unsignedNumber(version);
        map.textUnlessEmpty(batch_key::device, batch.device);
        if (!batch.readings.isEmpty()) {
            const qint64 baseTime = toEpochMillis(batch.readings.first().deviceTime);
            map.numberUnlessZero(batch_key::baseTime, baseTime);
            map.key(batch_key::readings).arraySize(batch.readings.size());
            for (const Reading &reading : batch.readings)
                writeReading(out, reading, baseTime);
        }
        if (!batch.losses.isEmpty()) {
            map.key(batch_key::losses).arraySize(batch.losses.size());
            for (const Loss &loss : batch.losses)
                writeLoss(out, loss);
        }
    }
    return out.take();
}

Result<ReadingBatch> decodeBatch(QByteArrayView bytes)
{
    Reader in(bytes);
    ReadingBatch batch;
    quint64 found = 0;
    qint64 baseTime = 0;
    MapReader map(in);
    while (map.next()) {
        switch (map.key()) {
        case batch_key::version:
            found = in.unsignedNumber();
            in.require(found == version);
            break;
        case batch_key::device: batch.device = in.nonEmptyText(); break;
        case batch_key::baseTime: baseTime = in.nonZeroNumber(); break;
        case batch_key::readings: readReadings(in, batch, baseTime); break;
        case batch_key::losses: readLosses(in, batch); break;
        default: in.fail();
        }
    }
    in.require(baseTime == 0 || !batch.readings.isEmpty());
    if (in.atEnd() && found == version)
        return batch;
    if (found > version) {
        return Error{
            Errc::Malformed,
            QStringLiteral(
                "A stored batch of version %1 cannot be read by this program, which knows version %2; update it.")
                .arg(found)
                .arg(version)};
    }
    return Error{Errc::Malformed, QStringLiteral("%1 bytes are not a stored batch of readings.").arg(bytes.size())};
}

} // namespace lintel
