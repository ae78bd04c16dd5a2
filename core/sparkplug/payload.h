// Sparkplug B payloads as values, and their codec (Sparkplug B 3.0, section 6.4). The Protobuf
// classes stay inside payload.cpp. Values only; any thread; nothing throws.
#pragma once

#include "domain/result.h"
#include "domain/timestamp.h"

#include <QByteArray>
#include <QByteArrayView>
#include <QList>
#include <QString>

#include <memory>
#include <optional>
#include <variant>

namespace lintel::sparkplug {

/// Section 6.4.16, table of data types; the numbers are the wire's.
enum class DataType : quint32 {
    Unknown = 0,
    Int8 = 1,
    Int16 = 2,
    Int32 = 3,
    Int64 = 4,
    UInt8 = 5,
    UInt16 = 6,
    UInt32 = 7,
    UInt64 = 8,
    Float = 9,
    Double = 10,
    Boolean = 11,
    String = 12,
    DateTime = 13,
    Text = 14,
    Uuid = 15,
    DataSet = 16,
    Bytes = 17,
    File = 18,
    Template = 19,
    PropertySet = 20,
    PropertySetList = 21,
    Int8Array = 22,
    Int16Array = 23,
    Int32Array = 24,
    Int64Array = 25,
    UInt8Array = 26,
    UInt16Array = 27,
    UInt32Array = 28,
    UInt64Array = 29,
    FloatArray = 30,
    DoubleArray = 31,
    BooleanArray = 32,
    StringArray = 33,
    DateTimeArray = 34,
};

/// Signed integers are stored sign-extended, unsigned ones zero-extended, whatever their width.
using Scalar = std::variant<std::monostate, qint64, quint64, float, double, bool, QString, QByteArray>;

struct DataSet {
    QStringList columns;
    QList<DataType> types;
    QList<QList<Scalar>> rows;

    friend bool operator==(const DataSet &, const DataSet &) = default;
};

struct PropertySet;

struct PropertyValue {
    DataType type = DataType::Unknown;
    bool isNull = false;
    Scalar scalar;           // unless one of the two below
    QList<PropertySet> sets; // one for PropertySet, any number for PropertySetList

    friend bool operator==(const PropertyValue &, const PropertyValue &);
};

struct PropertySet {
    QStringList keys;
    QList<PropertyValue> values;

    /// Null when there is no such key.
    [[nodiscard]] const PropertyValue *find(QStringView key) const;
    void set(const QString &key, DataType type, Scalar value);

    friend bool operator==(const PropertySet &, const PropertySet &) = default;
};

struct MetaData {
    std::optional<bool> isMultiPart;
    std::optional<QString> contentType;
    std::optional<quint64> size;
    std::optional<quint64> seq;
    std::optional<QString> fileName;
    std::optional<QString> fileType;
    std::optional<QString> md5;
    std::optional<QString> description;

    friend bool operator==(const MetaData &, const MetaData &) = default;
};

struct Metric;

struct Template {
    struct Parameter {
        QString name;
        DataType type = DataType::Unknown;
        Scalar value;
        friend bool operator==(const Parameter &, const Parameter &) = default;
    };
    std::optional<QString> version;
    QList<Metric> metrics;
    QList<Parameter> parameters;
    std::optional<QString> templateRef;
    bool isDefinition = false;

    friend bool operator==(const Template &, const Template &);
};

struct Metric {
    std::optional<QString> name;
    std::optional<quint64> alias;
    std::optional<Timestamp> timestamp;
    DataType type = DataType::Unknown; // may be absent in DATA that goes by alias
    bool isHistorical = false;
    bool isTransient = false;
    bool isNull = false;
    std::optional<MetaData> metaData;
    std::optional<PropertySet> properties;
    Scalar value; // unless one of the two below; arrays as Bytes
    std::optional<DataSet> dataSet;
    std::shared_ptr<Template> templateValue;

    friend bool operator==(const Metric &, const Metric &);

    [[nodiscard]] static Metric named(const QString &name, DataType type, Scalar value);
};

struct Payload {
    std::optional<Timestamp> timestamp;
    std::optional<quint64> seq;
    QList<Metric> metrics;
    std::optional<QString> uuid;
    QByteArray body;

    friend bool operator==(const Payload &, const Payload &) = default;

    /// First metric of that name; null when there is none.
    [[nodiscard]] const Metric *find(QStringView name) const;
};

[[nodiscard]] QByteArray encode(const Payload &payload);

/// Refuses truncated or malformed Protobuf, nesting beyond 16, data sets whose rows and columns do
/// not match. Values of DATA metrics without a data type come as the wire has them (int_value and
/// long_value as quint64); retype() puts them right once the birth's type is known.
[[nodiscard]] Result<Payload> decode(QByteArrayView bytes);

/// The scalar as the given type would have it: sign-extends, narrows, range-checks.
[[nodiscard]] Result<Scalar> retype(const Scalar &scalar, DataType type);

} // namespace lintel::sparkplug
