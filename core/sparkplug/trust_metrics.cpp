#include "sparkplug/trust_metrics.h"

namespace lintel::sparkplug {

namespace {

QString textOf(const Metric &metric)
{
    const auto *text = metric.isNull ? nullptr : std::get_if<QString>(&metric.value);
    return text ? *text : QString();
}

} // namespace

bool isTrustMetric(QStringView name)
{
    return name == names::kTrustRunway || name == names::kTrustRunwayCredential || name == names::kTrustClock;
}

QList<Metric> trustMetrics(const TrustState &trust)
{
    Metric runway = Metric::named(names::kTrustRunway.toString(), DataType::Int64,
                                  trust.runway ? Scalar(qint64(trust.runway->count())) : Scalar());
    runway.isNull = !trust.runway;
    return {runway, Metric::named(names::kTrustRunwayCredential.toString(), DataType::String, trust.credential),
            Metric::named(names::kTrustClock.toString(), DataType::String, trust.clock)};
}

bool readTrustMetric(TrustState &trust, QStringView name, const Metric &metric)
{
    if (!isTrustMetric(name))
        return false;
    if (name == names::kTrustRunwayCredential) {
        trust.credential = textOf(metric);
    } else if (name == names::kTrustClock) {
        trust.clock = textOf(metric);
    } else {
        const auto seconds = retype(metric.value, DataType::Int64);
        const auto *count = seconds && !metric.isNull ? std::get_if<qint64>(&*seconds) : nullptr;
        trust.runway = count && *count >= 0 ? std::optional(std::chrono::seconds(*count)) : std::nullopt;
    }
    return true;
}

} // namespace lintel::sparkplug
