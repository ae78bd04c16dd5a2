// How points, readings and losses stand in Sparkplug metrics; the one place that knows the names of
// the metric properties. Values only; any thread.
//
// A point of ours is a metric of that name whose birth carries the rest as properties. A metric of
// a foreign node becomes a point with what can be known of it.
#pragma once

#include "domain/point.h"
#include "sparkplug/payload.h"

#include <QSet>

#include <optional>

namespace lintel::sparkplug {

[[nodiscard]] DataType dataTypeOf(Kind kind);
/// Nothing for what is no measurement: data sets, files, templates, arrays.
[[nodiscard]] std::optional<Kind> kindOf(DataType type);
/// For a birth that does not name a data type: what its value looks like.
[[nodiscard]] DataType guessDataType(const Scalar &scalar);

[[nodiscard]] Scalar toScalar(const Value &value);
[[nodiscard]] std::optional<Value> toValue(const Scalar &scalar);

/// The metric of a birth: name, data type, properties, and the current value, or null without one.
/// `now` is the metric's time when there is no value.
[[nodiscard]] Metric birthMetric(const Point &point, quint64 alias, const Reading *current, Timestamp now);
/// The metric of a DATA message: by alias, or by name without one. The data type costs two bytes and
/// stands in it all the same, because decoders that know no births (the common JavaScript one) read
/// null without it. The unit stands in it only where it differs from the point's.
[[nodiscard]] Metric dataMetric(const Point &point, std::optional<quint64> alias, const Reading &reading,
                                bool historical);

/// Nothing for metrics that are no measurements: bdSeq, Node Control/…, Lintel/…, Trust/…, data sets.
/// `taken` holds the ids that the device has already; a foreign name is turned into an id that is
/// legal and not among them.
[[nodiscard]] std::optional<Point> pointOf(const Metric &birthMetric, const QSet<QString> &taken);
/// A point of which only a reading is known.
[[nodiscard]] Point inferPoint(const Reading &reading);

/// The reading that a metric carries, with its value put right by `type`. Null metrics are readings
/// of bad quality. OutOfRange when the value is none of that type.
[[nodiscard]] Result<Reading> readingOf(const Metric &metric, const Point &point, DataType type, Timestamp fallback);

/// Columns stream, first, last, readings, from, to, reason, device; one row a loss.
[[nodiscard]] DataSet toDataSet(const QList<Loss> &losses);
/// Columns are found by name; an unknown reason reads as NeverSent. Malformed without the columns.
[[nodiscard]] Result<QList<Loss>> lossesOf(const DataSet &set);

} // namespace lintel::sparkplug
