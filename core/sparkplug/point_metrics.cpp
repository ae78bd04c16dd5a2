#include "sparkplug/point_metrics.h"

#include "sparkplug/names.h"
#include "sparkplug/sf_extension.h"
#include "sparkplug/trust_metrics.h"

#include <cmath>
#include <limits>

namespace lintel::sparkplug {
namespace {

// Properties of a birth metric. engUnit is what other Sparkplug software shows beside a value.
constexpr QStringView kEngUnit = u"engUnit";
constexpr QStringView kUnit = u"Lintel/Unit"; // Unit code; also in DATA where it differs
constexpr QStringView kName = u"Lintel/Name";
constexpr QStringView kTags = u"Lintel/Tags"; // separated by spaces
constexpr QStringView kBrick = u"Lintel/Brick";
constexpr QStringView kSite = u"Lintel/Site";
constexpr QStringView kSpace = u"Lintel/Space";
constexpr QStringView kEquip = u"Lintel/Equip";
constexpr QStringView kStaleAfter = u"Lintel/StaleAfter"; // UInt64, ms

// Columns of the loss table.
constexpr QStringView kStream = u"stream";
constexpr QStringView kFirst = u"first";
constexpr QStringView kLast = u"last";
constexpr QStringView kReadings = u"readings";
constexpr QStringView kFrom = u"from";
constexpr QStringView kTo = u"to";
constexpr QStringView kReason = u"reason";
constexpr QStringView kDevice = u"device";

constexpr qint64 kWireStale = 500;

qint64 toWire(Quality quality)
{
    return quality == Quality::Stale ? kWireStale : qint64(quality);
}

Quality qualityFrom(const PropertySet *properties)
{
    const PropertyValue *value = properties ? properties->find(names::kQuality) : nullptr;
    const auto code = value ? retype(value->scalar, DataType::Int32) : Result<Scalar>(Scalar(qint64(Quality::Good)));
    if (!code || !std::holds_alternative<qint64>(*code))
        return Quality::Good;
    const qint64 number = std::get<qint64>(*code);
    if (number == kWireStale)
        return Quality::Stale;
    return number >= qint64(Quality::Good) ? Quality::Good : Quality::Bad;
}

QString textOf(const PropertySet *properties, QStringView key)
{
    const PropertyValue *value = properties ? properties->find(key) : nullptr;
    const auto *text = value ? std::get_if<QString>(&value->scalar) : nullptr;
    return text ? *text : QString();
}

void setText(PropertySet &properties, QStringView key, const QString &text)
{
    if (!text.isEmpty())
        properties.set(key.toString(), DataType::String, text);
}

/// A foreign node names its unit as it likes: by symbol, UCUM, QUDT or Haystack.
Unit unitFromSymbol(const QString &symbol)
{
    if (symbol.isEmpty())
        return Unit::None;
    for (const UnitInfo &info : allUnits()) {
        if (symbol == info.symbol || symbol == info.ucum || symbol == info.qudt || symbol == info.haystack
            || symbol == info.code)
            return info.unit;
    }
    return Unit::None;
}

QString legalId(const QString &name, const QSet<QString> &taken)
{
    QString id;
    id.reserve(name.size());
    for (const QChar c : name) {
        const bool plain =
            (c >= u'a' && c <= u'z') || (c >= u'A' && c <= u'Z') || (c >= u'0' && c <= u'9') || c == u'_' || c == u'-';
        id.append(plain ? c : (c == u'/' || c == u'.') ? QChar(u'.') : QChar(u'_'));
    }
    if (id.isEmpty())
        id = QStringLiteral("unnamed");
    QString candidate = id;
    for (int n = 2; taken.contains(candidate); ++n)
        candidate = id + u'_' + QString::number(n);
    return candidate;
}

void setUnit(PropertySet &properties, Unit unit)
{
    if (unit == Unit::None)
        return;
    setText(properties, kEngUnit, unitInfo(unit).symbol.toString());
    setText(properties, kUnit, unitInfo(unit).code);
}

bool isMeasurement(QStringView name)
{
    return !name.isEmpty() && name != names::kBdSeq && !name.startsWith(names::kNodeControl)
           && !name.startsWith(names::kDeviceControl) && !name.startsWith(names::kLintel) && !isTrustMetric(name);
}

Value emptyValue(Kind kind)
{
    switch (kind) {
    case Kind::Integer: return qint64(0);
    case Kind::Bool: return false;
    case Kind::Text: return QString();
    case Kind::Number: break;
    }
    return std::numeric_limits<double>::quiet_NaN();
}

void setQuality(Metric &metric, Quality quality)
{
    if (quality == Quality::Good)
        return;
    if (!metric.properties)
        metric.properties.emplace();
    metric.properties->set(names::kQuality.toString(), DataType::Int32, toWire(quality));
}

} // namespace

DataType dataTypeOf(Kind kind)
{
    switch (kind) {
    case Kind::Integer: return DataType::Int64;
    case Kind::Bool: return DataType::Boolean;
    case Kind::Text: return DataType::String;
    case Kind::Number: break;
    }
    return DataType::Double;
}

std::optional<Kind> kindOf(DataType type)
{
    switch (type) {
    case DataType::Int8:
    case DataType::Int16:
    case DataType::Int32:
    case DataType::Int64:
    case DataType::UInt8:
    case DataType::UInt16:
    case DataType::UInt32:
    case DataType::UInt64:
    case DataType::DateTime: return Kind::Integer;
    case DataType::Float:
    case DataType::Double: return Kind::Number;
    case DataType::Boolean: return Kind::Bool;
    case DataType::String:
    case DataType::Text:
    case DataType::Uuid: return Kind::Text;
    default: return std::nullopt;
    }
}

DataType guessDataType(const Scalar &scalar)
{
    switch (scalar.index()) {
    case 1:
    case 2: return DataType::Int64;
    case 3: return DataType::Float;
    case 4: return DataType::Double;
    case 5: return DataType::Boolean;
    case 6: return DataType::String;
    case 7: return DataType::Bytes;
    default: return DataType::Unknown;
    }
}

Scalar toScalar(const Value &value)
{
    return std::visit([](const auto &v) { return Scalar(v); }, value);
}

std::optional<Value> toValue(const Scalar &scalar)
{
    if (const auto *s = std::get_if<qint64>(&scalar))
        return Value(*s);
    if (const auto *u = std::get_if<quint64>(&scalar))
        return *u <= quint64(std::numeric_limits<qint64>::max()) ? Value(qint64(*u)) : Value(double(*u));
    if (const auto *f = std::get_if<float>(&scalar))
        return Value(double(*f));
    if (const auto *d = std::get_if<double>(&scalar))
        return Value(*d);
    if (const auto *b = std::get_if<bool>(&scalar))
        return Value(*b);
    if (const auto *t = std::get_if<QString>(&scalar))
        return Value(*t);
    return std::nullopt;
}

Metric birthMetric(const Point &point, quint64 alias, const Reading *current, Timestamp now)
{
    Metric metric;
    metric.name = point.id;
    metric.alias = alias;
    metric.type = dataTypeOf(point.kind);
    metric.properties.emplace();
    PropertySet &properties = *metric.properties;
    setUnit(properties, point.unit);
    setText(properties, kName, point.name);
    setText(properties, kTags, point.tags.join(u' '));
    setText(properties, kBrick, point.brickClass);
    setText(properties, kSite, point.siteRef);
    setText(properties, kSpace, point.spaceRef);
    setText(properties, kEquip, point.equipRef);
    properties.set(kStaleAfter.toString(), DataType::UInt64, quint64(std::max<qint64>(0, point.staleAfter.count())));
    // A value of another kind than the point's cannot stand in a birth, whose type holds for the session.
    if (!current || lintel::kindOf(current->value) != point.kind) {
        metric.isNull = true;
        metric.timestamp = now;
        return metric;
    }
    metric.timestamp = current->deviceTime;
    metric.value = toScalar(current->value);
    setQuality(metric, current->quality);
    return metric;
}

Metric dataMetric(const Point &point, std::optional<quint64> alias, const Reading &reading, bool historical)
{
    Metric metric;
    if (alias)
        metric.alias = alias;
    else
        metric.name = point.id;
    metric.type = dataTypeOf(lintel::kindOf(reading.value));
    metric.timestamp = reading.deviceTime;
    metric.isHistorical = historical || reading.isHistorical;
    metric.value = toScalar(reading.value);
    if (reading.unit != point.unit) {
        metric.properties.emplace();
        setText(*metric.properties, kUnit, unitInfo(reading.unit).code);
    }
    setQuality(metric, reading.quality);
    return metric;
}

std::optional<Point> pointOf(const Metric &metric, const QSet<QString> &taken)
{
    if (!metric.name || !isMeasurement(*metric.name))
        return std::nullopt;
    const DataType type = metric.type == DataType::Unknown ? guessDataType(metric.value) : metric.type;
    const auto kind = kindOf(type);
    if (!kind)
        return std::nullopt;
    const PropertySet *properties = metric.properties ? &*metric.properties : nullptr;
    Point point;
    point.kind = *kind;
    point.id = legalId(*metric.name, taken);
    point.name = textOf(properties, kName);
    const auto unit = unitFromCode(textOf(properties, kUnit));
    point.unit = unit ? *unit : unitFromSymbol(textOf(properties, kEngUnit));
    point.tags = textOf(properties, kTags).split(u' ', Qt::SkipEmptyParts);
    point.brickClass = textOf(properties, kBrick);
    point.siteRef = textOf(properties, kSite);
    point.spaceRef = textOf(properties, kSpace);
    point.equipRef = textOf(properties, kEquip);
    const PropertyValue *staleAfter = properties ? properties->find(kStaleAfter) : nullptr;
    if (!staleAfter) { // a foreign node
        if (point.name.isEmpty())
            point.name = *metric.name;
    } else if (const auto ms = retype(staleAfter->scalar, DataType::Int64); ms && std::holds_alternative<qint64>(*ms)) {
        constexpr qint64 year = 366LL * 24 * 3600 * 1000;
        point.staleAfter = Millis(std::clamp<qint64>(std::get<qint64>(*ms), 0, year));
    }
    return point;
}

Point inferPoint(const Reading &reading)
{
    Point point;
    point.id = reading.point;
    point.name = reading.point;
    point.kind = lintel::kindOf(reading.value);
    point.unit = reading.unit;
    return point;
}

Result<Reading> readingOf(const Metric &metric, const Point &point, DataType type, Timestamp fallback)
{
    const PropertySet *properties = metric.properties ? &*metric.properties : nullptr;
    Reading reading;
    reading.point = point.id;
    reading.unit = point.unit;
    if (const QString code = textOf(properties, kUnit); !code.isEmpty()) {
        if (const auto unit = unitFromCode(code))
            reading.unit = *unit;
    }
    reading.deviceTime = metric.timestamp.value_or(fallback);
    reading.isHistorical = metric.isHistorical;
    reading.quality = qualityFrom(properties);
    if (metric.isNull) {
        reading.value = emptyValue(point.kind);
        reading.quality = Quality::Bad;
        return reading;
    }
    const auto scalar = retype(metric.value, metric.type == DataType::Unknown ? type : metric.type);
    if (!scalar)
        return scalar.error();
    auto value = toValue(*scalar);
    if (!value)
        return Error{Errc::OutOfRange, QStringLiteral("The metric of point \"%1\" carries no value.").arg(point.id)};
    // Integers too large for us arrive as numbers; a foreign Float may stand for a point of ours.
    reading.value = *std::move(value);
    return reading;
}

DataSet toDataSet(const QList<Loss> &losses)
{
    DataSet set;
    set.columns = {kStream.toString(), kFirst.toString(), kLast.toString(),   kReadings.toString(),
                   kFrom.toString(),   kTo.toString(),    kReason.toString(), kDevice.toString()};
    // Int64 and String are what every decoder understands in a data set; the common JavaScript one
    // refuses most other types.
    constexpr auto number = DataType::Int64;
    set.types = {DataType::String, number, number, number, number, number, number, DataType::String};
    for (const Loss &loss : losses) {
        set.rows.append({Scalar(loss.stream.toString(QUuid::WithoutBraces)), Scalar(qint64(loss.first)),
                         Scalar(qint64(loss.last)), Scalar(qint64(loss.readings)), Scalar(toEpochMillis(loss.from)),
                         Scalar(toEpochMillis(loss.to)), Scalar(qint64(loss.reason)), Scalar(loss.device)});
    }
    return set;
}

Result<QList<Loss>> lossesOf(const DataSet &set)
{
    const auto column = [&set](QStringView name) { return set.columns.indexOf(name); };
    const qsizetype stream = column(kStream), first = column(kFirst), last = column(kLast),
                    readings = column(kReadings), from = column(kFrom), to = column(kTo), reason = column(kReason),
                    device = column(kDevice);
    if (std::min({stream, first, last, readings, from, to, reason, device}) < 0)
        return Error{Errc::Malformed,
                     QStringLiteral("A loss table lacks one of its columns; the sender speaks another version.")};
    QList<Loss> losses;
    for (const QList<Scalar> &row : set.rows) {
        if (row.size() != set.columns.size())
            return Error{Errc::Malformed,
                         QStringLiteral("A row of a loss table has not as many values as it has columns.")};
        const auto number = [&row](qsizetype i) {
            const auto value = retype(row[i], DataType::UInt64);
            if (!value) // a negative one, or none at all
                return std::numeric_limits<quint64>::max();
            return std::holds_alternative<quint64>(*value) ? std::get<quint64>(*value) : quint64(0);
        };
        const auto time = [&row](qsizetype i) {
            const auto value = retype(row[i], DataType::Int64);
            return fromEpochMillis(value && std::holds_alternative<qint64>(*value) ? std::get<qint64>(*value) : 0);
        };
        const auto text = [&row](qsizetype i) {
            const auto *value = std::get_if<QString>(&row[i]);
            return value ? *value : QString();
        };
        if (std::max({number(first), number(last), number(readings)}) > sf::kHighestNumber)
            return Error{
                Errc::Malformed,
                QStringLiteral("A row of a loss table has a number that is not from 0 to %1.").arg(sf::kHighestNumber)};
        const quint64 code = number(reason);
        const bool known = code >= quint64(LossReason::SpoolFull) && code <= quint64(kLastLossReason);
        losses.append({text(device), QUuid::fromString(text(stream)), number(first), number(last), number(readings),
                       time(from), time(to), known ? LossReason(code) : LossReason::NeverSent});
    }
    return losses;
}

} // namespace lintel::sparkplug
