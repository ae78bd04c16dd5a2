#include "demo/accounting.h"

#include "output.h"

#include <QJsonArray>

#include <algorithm>
#include <cmath>

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

/// The smallest of which `share` of all are not above it; of nothing there is none.
std::optional<qint64> quantile(QList<qint64> values, double share)
{
    if (values.isEmpty())
        return {};
    std::sort(values.begin(), values.end());
    const auto rank = qsizetype(std::ceil(share * double(values.size())));
    return values[std::clamp<qsizetype>(rank - 1, 0, values.size() - 1)];
}

QJsonObject revokeTimes(const QList<qint64> &closedAfterMs)
{
    return {{u"p50"_s, milliseconds(quantile(closedAfterMs, 0.5))},
            {u"p99"_s, milliseconds(quantile(closedAfterMs, 0.99))},
            {u"max"_s, milliseconds(quantile(closedAfterMs, 1.0))}};
}

QString revocationText(const RevocationReport &revocation)
{
    const auto after = quantile(revocation.closedAfterMs, 1.0);
    return u"%1, %2; accepted later: %3"_s
        .arg(revocation.device, after ? u"out after %1 ms"_s.arg(*after) : u"NOT OUT"_s)
        .arg(revocation.acceptedAfter);
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
    return cli::counted(quint64(count), u"sensor"_s, u"sensors"_s);
}

QStringList problemsOf(const Totals &totals)
{
    const auto readings = [](quint64 count) { return cli::counted(count, u"reading"_s, u"readings"_s); };
    QStringList problems;
    const quint64 expected = totals.produced - std::min(totals.produced, totals.heldByRefused);
    const QString verb = totals.heldByRefused > 0 ? u"gave away"_s : u"produced"_s;
    if (totals.produced == 0)
        problems << u"The sensors produced no reading."_s;
    // What memory lost stands in the spool's list, too, once the disk has room for it: the same readings.
    if (const quint64 lost = std::max(totals.droppedBySensors, totals.lostBySensors); lost > 0)
        problems
            << u"Sensors lost %1 because their spools or the disk were full; give them room where the demo keeps its state."_s
                   .arg(readings(lost));
    if (totals.pendingAtSensors > 0)
        problems
            << (totals.pendingAtSensors == 1
                    ? u"1 reading still lies in a sensor that has stopped; it would be sent at the next start."_s
                    : u"%1 readings still lie in sensors that have stopped; they would be sent at the next start."_s
                          .arg(totals.pendingAtSensors));
    if (!totals.storedGateway)
        problems << u"The gateway did not tell what it has stored."_s;
    else if (*totals.storedGateway != expected)
        problems << u"The sensors %1 %2, but the gateway stored %3."_s.arg(verb, readings(expected))
                        .arg(*totals.storedGateway);
    if (totals.pendingAtGateway.value_or(0) > 0)
        problems << u"The gateway still holds %1 that the cloud has not acknowledged."_s.arg(
            readings(*totals.pendingAtGateway));
    if (!totals.storedCloud)
        problems << u"The backend did not tell what it has stored."_s;
    else if (*totals.storedCloud != expected)
        problems
            << u"The sensors %1 %2, but the cloud stored %3."_s.arg(verb, readings(expected)).arg(*totals.storedCloud);
    if (totals.duplicates > 0)
        problems << u"%1 in the historian more than once."_s.arg(
            cli::counted(totals.duplicates, u"reading stands"_s, u"readings stand"_s));
    if (totals.gaps > 0)
        problems << u"The historian knows of %1."_s.arg(cli::counted(totals.gaps, u"gap"_s, u"gaps"_s));
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
        {u"readings_lost"_s, qint64(totals.lostBySensors)},
        {u"waiting_batches"_s, qint64(totals.waitingBatches)},
        {u"restarts"_s, report.restarts},
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
    if (report.revocation) {
        object.insert(u"revoked_device"_s, report.revocation->device);
        object.insert(u"revoke_ms"_s, revokeTimes(report.revocation->closedAfterMs));
        object.insert(u"accepted_after_revoke"_s, qint64(report.revocation->acceptedAfter));
        object.insert(u"readings_held_by_revoked"_s, qint64(totals.heldByRefused));
    }
    if (!report.stateDir.isEmpty())
        object.insert(u"state"_s, report.stateDir);
    return object;
}

QString toText(const Report &report)
{
    const Totals &totals = report.totals;
    const auto line = [](const QString &label, const QString &value) {
        return u"  "_s + label.leftJustified(28) + value + u'\n';
    };
    QString text =
        u"\nThe building ran %1 s with %2.\n"_s.arg(report.seconds, 0, 'f', 0).arg(sensorCount(report.sensors));
    text += line(u"readings produced"_s, QString::number(totals.produced));
    text += line(u"stored by the gateway"_s, numberText(totals.storedGateway));
    text += line(u"stored by the cloud"_s, numberText(totals.storedCloud));
    if (totals.heldByRefused > 0)
        text += line(u"held by the revoked sensor"_s, QString::number(totals.heldByRefused));
    if (totals.waitingBatches > 0)
        text += line(u"batches still waiting"_s, QString::number(totals.waitingBatches));
    text += line(u"arrived late"_s, lateText(totals));
    text += line(u"gaps, duplicates"_s, u"%1, %2"_s.arg(totals.gaps).arg(totals.duplicates));
    text += line(u"sent again on the wire"_s, cli::counted(totals.wireDuplicates, u"batch"_s, u"batches"_s));
    text += line(u"sensor to cloud"_s, latencyText(totals));
    if (report.attestedDevices)
        text +=
            line(u"attested by their TPM"_s, cli::counted(quint64(*report.attestedDevices), u"device"_s, u"devices"_s));
    if (report.identity == IdentityKind::Tpm)
        text += line(u"certificates renewed"_s, QString::number(report.svidRotations));
    if (report.revocation)
        text += line(u"revoked"_s, revocationText(*report.revocation));
    if (report.restarts > 0)
        text += line(u"started again"_s,
                     cli::counted(quint64(report.restarts), u"process that had died"_s, u"processes that had died"_s));
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
