#include "demo/accounting.h"

#include <QJsonArray>

namespace lintel::demo {

using namespace Qt::StringLiterals;

namespace {

QJsonValue number(std::optional<quint64> value)
{
    return value ? QJsonValue(qint64(*value)) : QJsonValue();
}

QJsonValue milliseconds(std::optional<qint64> value)
{
    return value ? QJsonValue(*value) : QJsonValue();
}

QString latencyText(const Totals &totals)
{
    if (!totals.latencyP50 || !totals.latencyP99)
        return u"not measured, as no live reading arrived"_s;
    return u"%1 ms (median), %2 ms (99 %)"_s.arg(*totals.latencyP50).arg(*totals.latencyP99);
}

/// Also a run without an outage has some, which looks like a fault to whoever is not told why.
QString lateText(const Totals &totals)
{
    const QString number = QString::number(totals.historical);
    if (totals.historical == 0)
        return number;
    return u"%1 (stored before it could be sent; so is each sensor's first sample, taken before it is connected)"_s.arg(
        number);
}

QString numberText(std::optional<quint64> value)
{
    return value ? QString::number(*value) : u"unknown"_s;
}

} // namespace

QString sensorCount(int count)
{
    return count == 1 ? u"1 sensor"_s : u"%1 sensors"_s.arg(count);
}

QStringList problemsOf(const Totals &totals)
{
    QStringList problems;
    if (totals.produced == 0)
        problems << u"The sensors produced no reading."_s;
    if (totals.droppedBySensors > 0)
        problems << u"Sensors had to drop %1 readings because their spools were full."_s.arg(totals.droppedBySensors);
    if (totals.pendingAtSensors > 0)
        problems << u"%1 readings still lie in sensors that have stopped; they would be sent at the next start."_s.arg(
            totals.pendingAtSensors);
    if (!totals.storedGateway)
        problems << u"The gateway did not tell what it has stored."_s;
    else if (*totals.storedGateway != totals.produced)
        problems << u"The sensors produced %1 readings, but the gateway stored %2."_s.arg(totals.produced)
                        .arg(*totals.storedGateway);
    if (totals.pendingAtGateway.value_or(0) > 0)
        problems << u"The gateway still holds %1 readings that the cloud has not acknowledged."_s.arg(
            *totals.pendingAtGateway);
    if (!totals.storedCloud)
        problems << u"The backend did not tell what it has stored."_s;
    else if (*totals.storedCloud != totals.produced)
        problems << u"The sensors produced %1 readings, but the cloud stored %2."_s.arg(totals.produced)
                        .arg(*totals.storedCloud);
    if (totals.duplicates > 0)
        problems << u"%1 readings stand in the historian more than once."_s.arg(totals.duplicates);
    if (totals.gaps > 0)
        problems << u"The historian knows of %1 gaps."_s.arg(totals.gaps);
    return problems;
}

QJsonObject toJson(const Report &report)
{
    QJsonArray processes;
    for (auto it = report.processes.cbegin(); it != report.processes.cend(); ++it) {
        const MemorySample middle = median(it->samples);
        processes.append(QJsonObject{
            {u"name"_s, it.key()},
            {u"count"_s, it->count},
            {u"rss_kib"_s, middle.rssKib},
            {u"pss_kib"_s, middle.pssKib},
        });
    }
    const Totals &totals = report.totals;
    QJsonObject object{
        {u"ok"_s, report.problems.isEmpty()},
        {u"readings_produced"_s, qint64(totals.produced)},
        {u"readings_stored_gateway"_s, number(totals.storedGateway)},
        {u"readings_stored_cloud"_s, number(totals.storedCloud)},
        {u"readings_historical"_s, qint64(totals.historical)},
        {u"readings_dropped"_s, qint64(totals.droppedBySensors)},
        {u"duplicates"_s, qint64(totals.duplicates)},
        {u"gaps"_s, qint64(totals.gaps)},
        {u"wire_duplicates"_s, qint64(totals.wireDuplicates)},
        {u"latency_ms"_s,
         QJsonObject{{u"p50"_s, milliseconds(totals.latencyP50)}, {u"p99"_s, milliseconds(totals.latencyP99)}}},
        {u"identity"_s, report.identity == IdentityKind::Tpm ? u"tpm"_s : u"files"_s},
        {u"attested_devices"_s, report.attestedDevices ? QJsonValue(*report.attestedDevices) : QJsonValue()},
        {u"svid_rotations"_s, qint64(report.svidRotations)},
        {u"processes"_s, processes},
        {u"sensors"_s, report.sensors},
        {u"duration_seconds"_s, report.seconds},
        {u"wan_outages"_s, QJsonArray::fromStringList(report.outages)},
        {u"screenshot"_s, report.screenshot.isEmpty() ? QJsonValue() : QJsonValue(report.screenshot)},
        {u"notes"_s, QJsonArray::fromStringList(report.notes)},
        {u"problems"_s, QJsonArray::fromStringList(report.problems)},
    };
    if (!report.stateDir.isEmpty())
        object.insert(u"state"_s, report.stateDir);
    return object;
}

QString toText(const Report &report)
{
    const Totals &totals = report.totals;
    const auto line = [](const QString &label, const QString &value) {
        return u"  "_s + label.leftJustified(26) + value + u'\n';
    };
    QString text =
        u"\nThe building ran %1 s with %2.\n"_s.arg(report.seconds, 0, 'f', 0).arg(sensorCount(report.sensors));
    text += line(u"readings produced"_s, QString::number(totals.produced));
    text += line(u"stored by the gateway"_s, numberText(totals.storedGateway));
    text += line(u"stored by the cloud"_s, numberText(totals.storedCloud));
    text += line(u"arrived late"_s, lateText(totals));
    text += line(u"gaps, duplicates"_s, u"%1, %2"_s.arg(totals.gaps).arg(totals.duplicates));
    text += line(u"sent again on the wire"_s,
                 u"%1 %2"_s.arg(totals.wireDuplicates).arg(totals.wireDuplicates == 1 ? u"batch"_s : u"batches"_s));
    text += line(u"sensor to cloud"_s, latencyText(totals));
    if (report.attestedDevices)
        text += line(u"attested by their TPM"_s, u"%1 devices"_s.arg(*report.attestedDevices));
    if (report.identity == IdentityKind::Tpm)
        text += line(u"certificates renewed"_s, QString::number(report.svidRotations));
    for (const QString &outage : report.outages)
        text += line(u"line to the cloud cut"_s, outage);
    for (auto it = report.processes.cbegin(); it != report.processes.cend(); ++it) {
        const MemorySample middle = median(it->samples);
        text += line(u"%1 × %2"_s.arg(it->count).arg(it.key()),
                     u"%1 MB resident, %2 MB its share"_s.arg(double(middle.rssKib) / 1024, 0, 'f', 1)
                         .arg(double(middle.pssKib) / 1024, 0, 'f', 1));
    }
    if (!report.screenshot.isEmpty())
        text += line(u"screenshot"_s, report.screenshot);
    if (!report.stateDir.isEmpty())
        text += line(u"state and logs"_s, report.stateDir);
    for (const QString &problem : report.problems)
        text += u"PROBLEM: "_s + problem + u'\n';
    return text;
}

} // namespace lintel::demo
