// Payloads on the wire.
#include "sparkplug/payload.h"

#include "lintel_sparkplug_b.pb.h"

#include <google/protobuf/arena.h>
#include <google/protobuf/io/coded_stream.h>

#include <limits>
#include <type_traits>

namespace lintel::sparkplug {
namespace {

constexpr int kMaxDepth = 16;          // templates in templates, property sets in property sets
constexpr int kProtobufRecursion = 64; // three Protobuf levels for each of ours, and some

std::string toUtf8(const QString &text)
{
    const QByteArray bytes = text.toUtf8();
    return {bytes.constData(), size_t(bytes.size())};
}

QString fromUtf8(const std::string &text)
{
    return QString::fromUtf8(text.data(), qsizetype(text.size()));
}

std::optional<QString> optionalText(bool present, const std::string &text)
{
    return present ? std::optional<QString>(fromUtf8(text)) : std::nullopt;
}

Error malformed(const char *what)
{
    return Error{Errc::Malformed,
                 QStringLiteral("The Sparkplug payload is malformed: %1.").arg(QLatin1StringView(what))};
}

// Time stamps travel as unsigned milliseconds; what does not fit is what a broken clock sends.
std::optional<Timestamp> timestampOf(bool present, quint64 ms)
{
    if (!present)
        return std::nullopt;
    constexpr quint64 latest = quint64(std::numeric_limits<qint64>::max());
    return fromEpochMillis(qint64(std::min(ms, latest)));
}

quint64 wireTime(Timestamp t)
{
    return quint64(std::max<qint64>(0, toEpochMillis(t)));
}

bool isInt32Like(DataType type)
{
    switch (type) {
    case DataType::Int8:
    case DataType::Int16:
    case DataType::Int32:
    case DataType::UInt8:
    case DataType::UInt16:
    case DataType::UInt32: return true;
    default: return false;
    }
}

/// The field of the wire's oneof: by the data type, and where that is not known by the value itself.
template <class Message>
void putScalar(Message &out, const Scalar &value, DataType type)
{
    std::visit(
        [&](const auto &v) {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<T, qint64> || std::is_same_v<T, quint64>) {
                if (isInt32Like(type))
                    out.set_int_value(quint32(v));
                else
                    out.set_long_value(quint64(v));
            } else if constexpr (std::is_same_v<T, float>) {
                out.set_float_value(v);
            } else if constexpr (std::is_same_v<T, double>) {
                out.set_double_value(v);
            } else if constexpr (std::is_same_v<T, bool>) {
                out.set_boolean_value(v);
            } else if constexpr (std::is_same_v<T, QString>) {
                out.set_string_value(toUtf8(v));
            } else if constexpr (std::is_same_v<T, QByteArray>) {
                if constexpr (std::is_same_v<Message, wire::Metric>)
                    out.set_bytes_value(v.constData(), size_t(v.size()));
                else
                    out.set_string_value(v.toStdString()); // only metrics can hold bytes
            }
        },
        value);
}

template <class Message>
Scalar rawScalar(const Message &in)
{
    switch (in.value_case()) {
    case Message::kIntValue: return quint64(in.int_value());
    case Message::kLongValue: return quint64(in.long_value());
    case Message::kFloatValue: return in.float_value();
    case Message::kDoubleValue: return in.double_value();
    case Message::kBooleanValue: return in.boolean_value();
    case Message::kStringValue: return fromUtf8(in.string_value());
    default: return std::monostate{};
    }
}

/// As the type would have it; what cannot be put right stays as it came, for the reader to refuse.
Scalar typed(Scalar raw, DataType type)
{
    if (type == DataType::Unknown || std::holds_alternative<std::monostate>(raw))
        return raw;
    auto result = retype(raw, type);
    return result ? *std::move(result) : raw;
}

// ---------------------------------------------------------------- to the wire

void put(wire::PropertySet &out, const PropertySet &set);

void put(wire::PropertyValue &out, const PropertyValue &value)
{
    out.set_type(quint32(value.type));
    if (value.isNull) {
        out.set_is_null(true);
    } else if (value.type == DataType::PropertySet) {
        auto *inner = out.mutable_propertyset_value();
        if (!value.sets.isEmpty())
            put(*inner, value.sets.first());
    } else if (value.type == DataType::PropertySetList) {
        auto *list = out.mutable_propertysets_value();
        for (const PropertySet &set : value.sets)
            put(*list->add_propertyset(), set);
    } else {
        putScalar(out, value.scalar, value.type);
    }
}

void put(wire::PropertySet &out, const PropertySet &set)
{
    const qsizetype count = std::min(set.keys.size(), set.values.size());
    for (qsizetype i = 0; i < count; ++i) {
        out.add_keys(toUtf8(set.keys[i]));
        put(*out.add_values(), set.values[i]);
    }
}

void put(wire::MetaData &out, const MetaData &meta)
{
    if (meta.isMultiPart)
        out.set_is_multi_part(*meta.isMultiPart);
    if (meta.contentType)
        out.set_content_type(toUtf8(*meta.contentType));
    if (meta.size)
        out.set_size(*meta.size);
    if (meta.seq)
        out.set_seq(*meta.seq);
    if (meta.fileName)
        out.set_file_name(toUtf8(*meta.fileName));
    if (meta.fileType)
        out.set_file_type(toUtf8(*meta.fileType));
    if (meta.md5)
        out.set_md5(toUtf8(*meta.md5));
    if (meta.description)
        out.set_description(toUtf8(*meta.description));
}

void put(wire::DataSet &out, const DataSet &set)
{
    out.set_num_of_columns(quint64(set.columns.size()));
    for (const QString &column : set.columns)
        out.add_columns(toUtf8(column));
    for (const DataType type : set.types)
        out.add_types(quint32(type));
    for (const QList<Scalar> &row : set.rows) {
        auto *wireRow = out.add_rows();
        for (qsizetype i = 0; i < row.size(); ++i)
            putScalar(*wireRow->add_elements(), row[i], set.types.value(i, DataType::Unknown));
    }
}

void put(wire::Metric &out, const Metric &metric);

void put(wire::Template &out, const Template &value)
{
    if (value.version)
        out.set_version(toUtf8(*value.version));
    if (value.templateRef)
        out.set_template_ref(toUtf8(*value.templateRef));
    out.set_is_definition(value.isDefinition);
    for (const Metric &metric : value.metrics)
        put(*out.add_metrics(), metric);
    for (const Template::Parameter &parameter : value.parameters) {
        auto *p = out.add_parameters();
        p->set_name(toUtf8(parameter.name));
        p->set_type(quint32(parameter.type));
        putScalar(*p, parameter.value, parameter.type);
    }
}

void put(wire::Metric &out, const Metric &metric)
{
    if (metric.name)
        out.set_name(toUtf8(*metric.name));
    if (metric.alias)
        out.set_alias(*metric.alias);
    if (metric.timestamp)
        out.set_timestamp(wireTime(*metric.timestamp));
    if (metric.type != DataType::Unknown)
        out.set_datatype(quint32(metric.type));
    if (metric.isHistorical)
        out.set_is_historical(true);
    if (metric.isTransient)
        out.set_is_transient(true);
    if (metric.metaData)
        put(*out.mutable_metadata(), *metric.metaData);
    if (metric.properties)
        put(*out.mutable_properties(), *metric.properties);
    if (metric.isNull)
        out.set_is_null(true);
    else if (metric.dataSet)
        put(*out.mutable_dataset_value(), *metric.dataSet);
    else if (metric.templateValue)
        put(*out.mutable_template_value(), *metric.templateValue);
    else
        putScalar(out, metric.value, metric.type);
}

// ---------------------------------------------------------------- from the wire

Result<PropertySet> take(const wire::PropertySet &in, int depth);

Result<PropertyValue> take(const wire::PropertyValue &in, int depth)
{
    PropertyValue value;
    value.type = DataType(in.type());
    value.isNull = in.is_null();
    if (in.has_propertyset_value()) {
        auto set = take(in.propertyset_value(), depth);
        if (!set)
            return set.error();
        value.sets.append(*std::move(set));
    } else if (in.has_propertysets_value()) {
        for (const auto &wireSet : in.propertysets_value().propertyset()) {
            auto set = take(wireSet, depth);
            if (!set)
                return set.error();
            value.sets.append(*std::move(set));
        }
    } else {
        value.scalar = typed(rawScalar(in), value.type);
    }
    return value;
}

Result<PropertySet> take(const wire::PropertySet &in, int depth)
{
    if (depth >= kMaxDepth)
        return malformed("property sets are nested too deeply");
    if (in.keys_size() != in.values_size())
        return malformed("a property set has not as many keys as values");
    PropertySet set;
    for (int i = 0; i < in.keys_size(); ++i) {
        auto value = take(in.values(i), depth + 1);
        if (!value)
            return value.error();
        set.keys.append(fromUtf8(in.keys(i)));
        set.values.append(*std::move(value));
    }
    return set;
}

MetaData take(const wire::MetaData &in)
{
    MetaData meta;
    if (in.has_is_multi_part())
        meta.isMultiPart = in.is_multi_part();
    if (in.has_size())
        meta.size = in.size();
    if (in.has_seq())
        meta.seq = in.seq();
    meta.contentType = optionalText(in.has_content_type(), in.content_type());
    meta.fileName = optionalText(in.has_file_name(), in.file_name());
    meta.fileType = optionalText(in.has_file_type(), in.file_type());
    meta.md5 = optionalText(in.has_md5(), in.md5());
    meta.description = optionalText(in.has_description(), in.description());
    return meta;
}

Result<DataSet> take(const wire::DataSet &in)
{
    if (in.columns_size() != in.types_size())
        return malformed("a data set has not as many types as columns");
    if (in.has_num_of_columns() && in.num_of_columns() != quint64(in.columns_size()))
        return malformed("a data set has not as many columns as it says");
    DataSet set;
    for (int i = 0; i < in.columns_size(); ++i) {
        set.columns.append(fromUtf8(in.columns(i)));
        set.types.append(DataType(in.types(i)));
    }
    for (const auto &wireRow : in.rows()) {
        if (wireRow.elements_size() != in.columns_size())
            return malformed("a row of a data set has not as many values as the set has columns");
        QList<Scalar> row;
        row.reserve(wireRow.elements_size());
        for (int i = 0; i < wireRow.elements_size(); ++i)
            row.append(typed(rawScalar(wireRow.elements(i)), set.types[i]));
        set.rows.append(std::move(row));
    }
    return set;
}

Result<Metric> take(const wire::Metric &in, int depth);

Result<std::shared_ptr<Template>> take(const wire::Template &in, int depth)
{
    if (depth >= kMaxDepth)
        return malformed("templates are nested too deeply");
    auto value = std::make_shared<Template>();
    value->version = optionalText(in.has_version(), in.version());
    value->templateRef = optionalText(in.has_template_ref(), in.template_ref());
    value->isDefinition = in.is_definition();
    for (const auto &wireMetric : in.metrics()) {
        auto metric = take(wireMetric, depth + 1);
        if (!metric)
            return metric.error();
        value->metrics.append(*std::move(metric));
    }
    for (const auto &p : in.parameters()) {
        const auto type = DataType(p.type());
        value->parameters.append({fromUtf8(p.name()), type, typed(rawScalar(p), type)});
    }
    return value;
}

Result<Metric> take(const wire::Metric &in, int depth)
{
    Metric metric;
    metric.name = optionalText(in.has_name(), in.name());
    if (in.has_alias())
        metric.alias = in.alias();
    metric.timestamp = timestampOf(in.has_timestamp(), in.timestamp());
    metric.type = DataType(in.datatype());
    metric.isHistorical = in.is_historical();
    metric.isTransient = in.is_transient();
    metric.isNull = in.is_null();
    if (in.has_metadata())
        metric.metaData = take(in.metadata());
    if (in.has_properties()) {
        auto properties = take(in.properties(), depth);
        if (!properties)
            return properties.error();
        metric.properties = *std::move(properties);
    }
    switch (in.value_case()) {
    case wire::Metric::kBytesValue: {
        const std::string &bytes = in.bytes_value();
        metric.value = QByteArray(bytes.data(), qsizetype(bytes.size()));
        break;
    }
    case wire::Metric::kDatasetValue: {
        auto set = take(in.dataset_value());
        if (!set)
            return set.error();
        metric.dataSet = *std::move(set);
        break;
    }
    case wire::Metric::kTemplateValue: {
        auto value = take(in.template_value(), depth);
        if (!value)
            return value.error();
        metric.templateValue = *std::move(value);
        break;
    }
    default: metric.value = typed(rawScalar(in), metric.type);
    }
    return metric;
}

} // namespace

QByteArray encode(const Payload &payload)
{
    google::protobuf::Arena arena;
    auto *out = google::protobuf::Arena::CreateMessage<wire::Payload>(&arena);
    if (payload.timestamp)
        out->set_timestamp(wireTime(*payload.timestamp));
    if (payload.seq)
        out->set_seq(*payload.seq);
    for (const Metric &metric : payload.metrics)
        put(*out->add_metrics(), metric);
    if (payload.uuid)
        out->set_uuid(toUtf8(*payload.uuid));
    if (!payload.body.isEmpty())
        out->set_body(payload.body.constData(), size_t(payload.body.size()));
    QByteArray bytes(qsizetype(out->ByteSizeLong()), Qt::Uninitialized);
    out->SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t *>(bytes.data()));
    return bytes;
}

Result<Payload> decode(QByteArrayView bytes)
{
    if (bytes.size() > std::numeric_limits<int>::max())
        return malformed("it is larger than 2 GiB");
    google::protobuf::Arena arena;
    auto *in = google::protobuf::Arena::CreateMessage<wire::Payload>(&arena);
    google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t *>(bytes.data()), int(bytes.size()));
    stream.SetRecursionLimit(kProtobufRecursion);
    if (!in->ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage())
        return malformed("it is not complete Protobuf");
    Payload payload;
    payload.timestamp = timestampOf(in->has_timestamp(), in->timestamp());
    if (in->has_seq())
        payload.seq = in->seq();
    payload.uuid = optionalText(in->has_uuid(), in->uuid());
    payload.body = QByteArray(in->body().data(), qsizetype(in->body().size()));
    payload.metrics.reserve(in->metrics_size());
    for (const auto &wireMetric : in->metrics()) {
        auto metric = take(wireMetric, 0);
        if (!metric)
            return metric.error();
        payload.metrics.append(*std::move(metric));
    }
    return payload;
}

} // namespace lintel::sparkplug
