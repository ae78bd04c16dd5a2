// Payloads as values: looking into them, comparing them, and numbers as their data types want them.
#include "sparkplug/payload.h"

#include <cmath>
#include <limits>

namespace lintel::sparkplug {
namespace {

Error doesNotFit(DataType type)
{
    return Error{Errc::OutOfRange,
                 QStringLiteral("A value does not fit its Sparkplug data type %1.").arg(quint32(type))};
}

/// A signed integer of `bits`, which on the wire stands as an unsigned one, either sign-extended or
/// cut to its width: both are in use.
Result<Scalar> toSigned(const Scalar &scalar, int bits, DataType type)
{
    const qint64 highest = bits == 64 ? std::numeric_limits<qint64>::max() : (qint64(1) << (bits - 1)) - 1;
    const qint64 lowest = -highest - 1;
    if (const auto *s = std::get_if<qint64>(&scalar)) {
        if (*s < lowest || *s > highest)
            return doesNotFit(type);
        return Scalar(*s);
    }
    const auto *u = std::get_if<quint64>(&scalar);
    if (!u)
        return doesNotFit(type);
    if (bits == 64 || *u <= quint64(highest))
        return Scalar(qint64(*u));
    const quint64 width = quint64(1) << bits;
    if (*u < width)
        return Scalar(qint64(*u) - qint64(width)); // cut to its width
    if (*u <= 0xFFFFFFFFu && qint64(qint32(quint32(*u))) >= lowest && qint32(quint32(*u)) < 0)
        return Scalar(qint64(qint32(quint32(*u)))); // sign-extended to 32 bits
    if (qint64(*u) < 0 && qint64(*u) >= lowest)
        return Scalar(qint64(*u)); // sign-extended to 64 bits
    return doesNotFit(type);
}

Result<Scalar> toUnsigned(const Scalar &scalar, int bits, DataType type)
{
    const quint64 highest = bits == 64 ? std::numeric_limits<quint64>::max() : (quint64(1) << bits) - 1;
    if (const auto *u = std::get_if<quint64>(&scalar); u && *u <= highest)
        return Scalar(*u);
    if (const auto *s = std::get_if<qint64>(&scalar); s && *s >= 0 && quint64(*s) <= highest)
        return Scalar(quint64(*s));
    return doesNotFit(type);
}

std::optional<double> asNumber(const Scalar &scalar)
{
    if (const auto *f = std::get_if<float>(&scalar))
        return double(*f);
    if (const auto *d = std::get_if<double>(&scalar))
        return *d;
    if (const auto *s = std::get_if<qint64>(&scalar))
        return double(*s);
    if (const auto *u = std::get_if<quint64>(&scalar))
        return double(*u);
    return std::nullopt;
}

Result<Scalar> toFloat(const Scalar &scalar, DataType type)
{
    const auto number = asNumber(scalar);
    if (!number || (std::isfinite(*number) && std::abs(*number) > double(std::numeric_limits<float>::max())))
        return doesNotFit(type);
    return Scalar(float(*number));
}

Result<Scalar> toBoolean(const Scalar &scalar, DataType type)
{
    if (std::holds_alternative<bool>(scalar))
        return scalar;
    if (const auto number = asNumber(scalar); number && (*number == 0.0 || *number == 1.0))
        return Scalar(*number == 1.0);
    return doesNotFit(type);
}

} // namespace

Result<Scalar> retype(const Scalar &scalar, DataType type)
{
    switch (type) {
    case DataType::Int8: return toSigned(scalar, 8, type);
    case DataType::Int16: return toSigned(scalar, 16, type);
    case DataType::Int32: return toSigned(scalar, 32, type);
    case DataType::Int64: return toSigned(scalar, 64, type);
    case DataType::UInt8: return toUnsigned(scalar, 8, type);
    case DataType::UInt16: return toUnsigned(scalar, 16, type);
    case DataType::UInt32: return toUnsigned(scalar, 32, type);
    case DataType::UInt64:
    case DataType::DateTime: return toUnsigned(scalar, 64, type);
    case DataType::Float: return toFloat(scalar, type);
    case DataType::Double:
        if (const auto number = asNumber(scalar))
            return Scalar(*number);
        return doesNotFit(type);
    case DataType::Boolean: return toBoolean(scalar, type);
    case DataType::String:
    case DataType::Text:
    case DataType::Uuid:
        if (std::holds_alternative<QString>(scalar))
            return scalar;
        return doesNotFit(type);
    case DataType::Unknown: return scalar;
    default:
        if (std::holds_alternative<QByteArray>(scalar))
            return scalar;
        return doesNotFit(type);
    }
}

const PropertyValue *PropertySet::find(QStringView key) const
{
    for (qsizetype i = 0; i < keys.size() && i < values.size(); ++i) {
        if (keys[i] == key)
            return &values[i];
    }
    return nullptr;
}

void PropertySet::set(const QString &key, DataType type, Scalar value)
{
    keys.append(key);
    values.append(PropertyValue{type, false, std::move(value), {}});
}

Metric Metric::named(const QString &name, DataType type, Scalar value)
{
    Metric metric;
    metric.name = name;
    metric.type = type;
    metric.value = std::move(value);
    return metric;
}

const Metric *Payload::find(QStringView name) const
{
    for (const Metric &metric : metrics) {
        if (metric.name && *metric.name == name)
            return &metric;
    }
    return nullptr;
}

bool operator==(const PropertyValue &a, const PropertyValue &b)
{
    return a.type == b.type && a.isNull == b.isNull && a.scalar == b.scalar && a.sets == b.sets;
}

bool operator==(const Template &a, const Template &b)
{
    return a.version == b.version && a.metrics == b.metrics && a.parameters == b.parameters
           && a.templateRef == b.templateRef && a.isDefinition == b.isDefinition;
}

bool operator==(const Metric &a, const Metric &b)
{
    const bool sameTemplate =
        a.templateValue && b.templateValue ? *a.templateValue == *b.templateValue : a.templateValue == b.templateValue;
    return sameTemplate && a.name == b.name && a.alias == b.alias && a.timestamp == b.timestamp && a.type == b.type
           && a.isHistorical == b.isHistorical && a.isTransient == b.isTransient && a.isNull == b.isNull
           && a.metaData == b.metaData && a.properties == b.properties && a.value == b.value && a.dataSet == b.dataSet;
}

} // namespace lintel::sparkplug
