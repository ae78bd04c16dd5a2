#include "demo/final_state.h"

#include "adapters/sqlite/sqlite_spool.h"
#include "custody/ledger.h"
#include "demo/accounting.h"
#include "ports/system_clock.h"

#include <QCoreApplication>
#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <QRegularExpression>

namespace lintel::demo {

using namespace Qt::StringLiterals;

namespace {

constexpr int kBatchesAtOnce = 200;

/// A word that a shell takes as it is.
QString forShell(const QString &word)
{
    static const QRegularExpression plain(u"^[A-Za-z0-9_./:@%+=,-]+$"_s);
    if (plain.match(word).hasMatch())
        return word;
    QString quoted = word;
    return u'\'' + quoted.replace(u"'"_s, u"'\\''"_s) + u'\'';
}

Result<std::unique_ptr<SqliteSpool>> openSpool(const DemoPlan &plan, const QString &agent, const Clock &clock)
{
    const QString path = plan.stateDir(agent) + u"/spool.db"_s;
    if (!QFile::exists(path))
        return Error{Errc::NotFound, u"there is no \"%1\"."_s.arg(path)};
    return SqliteSpool::open({path, agent, {}, {}}, clock);
}

} // namespace

Result<SpoolStatus> readSpool(const DemoPlan &plan, const QString &sensor)
{
    const SystemClock clock;
    const auto spool = openSpool(plan, sensor, clock);
    if (!spool)
        return spool.error();
    return (*spool)->status();
}

Result<quint64> readingsNobodyElseHas(const DemoPlan &plan, const QString &sensor)
{
    const SystemClock clock;
    const auto gateway = openSpool(plan, u"gateway"_s, clock);
    if (!gateway)
        return gateway.error();
    const auto spool = openSpool(plan, sensor, clock);
    if (!spool)
        return spool.error();
    const SpoolStatus status = (*spool)->status();
    // The acknowledgement of what was sent last may not have come back any more.
    const StreamId ledger = ledgerOf({ids::kSite, sensor}, status.stream);
    Msn seen = std::max(status.acknowledged, (*gateway)->contiguousReceipt(ledger));
    quint64 readings = 0;
    for (;;) {
        const auto batches = (*spool)->read(seen, kBatchesAtOnce);
        if (!batches)
            return batches.error();
        if (batches->isEmpty())
            return readings;
        for (const StoredBatch &stored : *batches)
            readings += quint64(stored.batch.readings.size());
        seen = batches->last().msn;
    }
}

QStringList problemsOfConsole(const QString &reportFile, int sensors)
{
    QFile file(reportFile);
    if (!file.open(QIODevice::ReadOnly))
        return {u"The console wrote no report to %1."_s.arg(reportFile)};
    const QJsonObject report = QJsonDocument::fromJson(file.readAll()).object();
    QStringList problems;
    if (report.value("readings"_L1).toInteger() == 0 || report.value("lines_drawn"_L1).toInt() == 0) {
        const QString why = report.value("why"_L1).toString();
        problems
            << (why.isEmpty()
                    ? u"The console had not drawn a live value yet when it ended; a longer --duration gives it time."_s
                    : u"The console saw no live values: %1"_s.arg(why));
    }
    if (!report.value("connected"_L1).toBool())
        problems << u"The console was not connected to the cloud's broker when it ended (%1)."_s.arg(
            report.value("state"_L1).toString(u"it does not say how it stood"_s));
    // The gateway is a device of its own there.
    if (const int online = report.value("devices_online"_L1).toInt(); online <= sensors)
        problems << u"The console saw %1 of %2 devices online: %3 and the gateway."_s.arg(online)
                        .arg(sensors + 1)
                        .arg(sensorCount(sensors));
    const auto malformed = report.value("malformed"_L1);
    if (!malformed.isDouble())
        problems << u"The console did not say whether it could read every message."_s;
    else if (malformed.toInteger() != 0)
        problems << u"The console could not read %1 of the messages that it received."_s.arg(malformed.toInteger());
    return problems;
}

mqtt::BrokerOptions brokerOptions(const DemoPlan &plan, quint16 port, QLatin1StringView brokerId)
{
    return {u"127.0.0.1"_s, port, *SpiffeId::parse(QString(brokerId)), plan.identityDir(u"watcher"_s)};
}

QString callHint(const DemoPlan &plan)
{
    return u"Try: %1 call --target %2 --capability aggregate_sensors \\\n"
           "       --broker 127.0.0.1:%3 --broker-id %4 --identity %5"_s
               .arg(forShell(QCoreApplication::applicationFilePath()), QString(ids::kGateway))
               .arg(plan.ports.gatewayBroker)
               .arg(QString(ids::kGatewayBroker), forShell(plan.identityDir(u"shell"_s)));
}

std::optional<double> ageOf(const QString &time)
{
    if (time.isEmpty())
        return {};
    const auto parsed = timestampFromIso8601(time);
    if (!parsed)
        return {};
    return double((SystemClock().now() - *parsed).count()) / 1000;
}

} // namespace lintel::demo
