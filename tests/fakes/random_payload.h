// Random Sparkplug payloads that any correct codec must carry there and back: every scalar data
// type with its extremes, null values, data sets, properties, meta data, templates.
#pragma once

#include "sparkplug/payload.h"

#include <cmath>
#include <random>

namespace lintel::sparkplug {

class RandomPayload
{
public:
    explicit RandomPayload(quint32 seed) : m_random(seed) {}

    Payload next()
    {
        Payload payload;
        payload.timestamp = time();
        if (chance(4, 5))
            payload.seq = below(256);
        const quint64 count = below(12);
        for (quint64 i = 0; i < count; ++i)
            payload.metrics.append(metric(0));
        if (chance(1, 8))
            payload.uuid = text();
        if (chance(1, 8))
            payload.body = bytes();
        return payload;
    }

    Metric metric(int depth)
    {
        Metric m;
        if (chance(3, 4))
            m.name = QStringLiteral("m/") + text();
        if (!m.name || chance(1, 2))
            m.alias = below(1'000'000);
        m.timestamp = time();
        m.isHistorical = chance(1, 5);
        m.isTransient = chance(1, 8);
        if (chance(1, 4))
            m.properties = properties(0);
        if (chance(1, 8))
            m.metaData = metaData();
        const quint64 shape = below(20);
        if (shape == 0) {
            m.type = DataType::DataSet;
            m.dataSet = dataSet();
        } else if (shape == 1 && depth < 3) {
            m.type = DataType::Template;
            m.templateValue = std::make_shared<Template>(templateValue(depth + 1));
        } else if (shape == 2) {
            m.type = chance(1, 2) ? DataType::Bytes : DataType::File;
            m.value = bytes();
        } else {
            m.type = scalarType();
            m.value = scalar(m.type);
        }
        if (chance(1, 10) && !(forJavaScript && (m.dataSet || m.templateValue))) {
            m.isNull = true;
            m.value = {};
            m.dataSet.reset();
            m.templateValue.reset();
        }
        return m;
    }

    DataType scalarType()
    {
        const auto type = DataType(1 + below(15));
        return !allowUInt32 && type == DataType::UInt32 ? DataType::UInt16 : type;
    }
    DataType tableType()
    {
        static constexpr DataType understood[] = {DataType::Int64, DataType::Float, DataType::Double, DataType::Boolean,
                                                  DataType::String};
        return forJavaScript ? understood[below(std::size(understood))] : DataType(1 + below(14));
    }

    Scalar scalar(DataType type)
    {
        switch (type) {
        case DataType::Int8: return signedOf(8);
        case DataType::Int16: return signedOf(16);
        case DataType::Int32: return signedOf(32);
        case DataType::Int64: return signedOf(64);
        case DataType::UInt8: return unsignedOf(8);
        case DataType::UInt16: return unsignedOf(16);
        case DataType::UInt32: return unsignedOf(32);
        case DataType::UInt64: return unsignedOf(64);
        case DataType::DateTime: return below(4'000'000'000'000ull);
        case DataType::Float:
            return float(std::ldexp(double(qint64(below(1u << 24)) - (1 << 23)), int(below(40)) - 20));
        case DataType::Double: return std::ldexp(double(qint64(below(1ull << 53)) - (1ll << 52)), int(below(80)) - 60);
        case DataType::Boolean: return chance(1, 2);
        default: return text();
        }
    }

    /// Leaves out what the npm package sparkplug-payload cannot carry: most types in data sets and
    /// template parameters, negative integers in data sets, null data sets and templates (it throws),
    /// templates without reference.
    bool forJavaScript = false;
    /// It looks for a UInt32 in long_value only, while Sparkplug puts it into int_value.
    bool allowUInt32 = true;

private:
    quint64 below(quint64 limit) { return std::uniform_int_distribution<quint64>(0, limit - 1)(m_random); }
    bool chance(quint64 of, quint64 in) { return below(in) < of; }
    Timestamp time() { return fromEpochMillis(qint64(below(4'000'000'000'000ull))); }

    Scalar signedOf(int bits)
    {
        const qint64 highest = bits == 64 ? std::numeric_limits<qint64>::max() : (qint64(1) << (bits - 1)) - 1;
        switch (below(5)) {
        case 0: return highest;
        case 1: return -highest - 1;
        case 2: return qint64(-1);
        default: return std::uniform_int_distribution<qint64>(-highest - 1, highest)(m_random);
        }
    }
    Scalar unsignedOf(int bits)
    {
        const quint64 highest = bits == 64 ? std::numeric_limits<quint64>::max() : (quint64(1) << bits) - 1;
        return chance(1, 4) ? highest : std::uniform_int_distribution<quint64>(0, highest)(m_random);
    }
    QString text()
    {
        static const QString alphabet = QStringLiteral("abc XYZ019_-/.äß°Δ→中\"\\{}");
        QString out;
        for (quint64 i = below(12); i > 0; --i)
            out.append(alphabet[qsizetype(below(quint64(alphabet.size())))]);
        return out;
    }
    QByteArray bytes()
    {
        QByteArray out;
        for (quint64 i = 1 + below(24); i > 0; --i)
            out.append(char(below(256)));
        return out;
    }
    DataSet dataSet()
    {
        DataSet set;
        const quint64 columns = 1 + below(4);
        for (quint64 c = 0; c < columns; ++c) {
            set.columns.append(QStringLiteral("c%1").arg(c));
            set.types.append(tableType());
        }
        for (quint64 r = below(5); r > 0; --r) {
            QList<Scalar> row;
            for (const DataType type : std::as_const(set.types))
                row.append(forJavaScript && type == DataType::Int64 ? Scalar(qint64(below(1ull << 62))) : scalar(type));
            set.rows.append(row);
        }
        return set;
    }
    PropertySet properties(int depth)
    {
        PropertySet set;
        const quint64 count = 1 + below(3);
        for (quint64 i = 0; i < count; ++i) {
            const QString key = QStringLiteral("p%1").arg(i);
            if (depth < 2 && chance(1, 6)) {
                PropertyValue value;
                value.type = chance(1, 2) ? DataType::PropertySet : DataType::PropertySetList;
                value.sets.append(properties(depth + 1));
                if (value.type == DataType::PropertySetList && chance(1, 2))
                    value.sets.append(properties(depth + 1));
                set.keys.append(key);
                set.values.append(value);
            } else {
                const auto type = forJavaScript ? tableType() : DataType(1 + below(14));
                set.set(key, type, scalar(type));
            }
        }
        return set;
    }
    MetaData metaData()
    {
        MetaData meta;
        meta.isMultiPart = chance(1, 2);
        meta.contentType = text();
        meta.size = below(1u << 31);
        meta.seq = below(1000);
        meta.fileName = text();
        meta.fileType = text();
        meta.md5 = text();
        meta.description = text();
        return meta;
    }
    Template templateValue(int depth)
    {
        Template t;
        t.version = text();
        t.isDefinition = chance(1, 2);
        if (!t.isDefinition || forJavaScript)
            t.templateRef = text();
        for (quint64 i = 1 + below(3); i > 0; --i)
            t.metrics.append(metric(depth));
        const auto type = tableType();
        t.parameters.append({QStringLiteral("q"), type, scalar(type)});
        return t;
    }

    std::mt19937 m_random;
};

} // namespace lintel::sparkplug
