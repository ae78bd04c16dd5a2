// What the spool costs above SQLite itself: the same bytes, appended in groups of 1, 16 and 256 with
// the same settings, once through SqliteSpool and once through bare inserts; and acknowledgement.
// One JSON object on standard output. ratio = spool rate / bare rate.
#include "adapters/sqlite/sqlite_spool.h"
#include "ports/system_clock.h"

#include <QElapsedTimer>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>

#include <sqlite3.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

using namespace lintel;

namespace {

constexpr int kPoints = 5;
constexpr int kRounds = 3; // the median counts

IncomingBatch batchOf(int number)
{
    const Timestamp at = fromEpochMillis(1'760'000'000'000 + number * 1000LL);
    ReadingBatch batch{QStringLiteral("hvac-001"), {}, {}};
    for (int i = 0; i < kPoints; ++i)
        batch.readings.append(
            {QStringLiteral("point_%1").arg(i), 20.0 + number * 0.01, Unit::Celsius, at, Quality::Good, false});
    return {batch, std::nullopt};
}

int batchesFor(int group)
{
    return group == 1 ? 200 : group == 16 ? 3'200 : 25'600;
}

double rate(int count, const QElapsedTimer &timer)
{
    return count * 1e9 / double(std::max<qint64>(1, timer.nsecsElapsed()));
}

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

[[noreturn]] void giveUp(const QString &why)
{
    std::fprintf(stderr, "bench_spool: %s\n", qPrintable(why));
    std::exit(1);
}

struct SpoolRates {
    double append = 0;
    double acknowledge = 0;
};

SpoolRates spoolRates(const QString &path, const std::vector<IncomingBatch> &batches, int group)
{
    SystemClock clock;
    auto spool = SqliteSpool::open({path, QStringLiteral("hvac-001"), {}, {}}, clock);
    if (!spool)
        giveUp(spool.error().message);
    SpoolRates rates;
    QElapsedTimer timer;
    timer.start();
    for (size_t at = 0; at < batches.size(); at += size_t(group)) {
        const auto part = std::span(batches).subspan(at, std::min(size_t(group), batches.size() - at));
        if (const auto appended = (*spool)->append(part); !appended)
            giveUp(appended.error().message);
    }
    rates.append = rate(int(batches.size()), timer);
    timer.restart();
    for (Msn upTo = Msn(group); upTo <= batches.size(); upTo += Msn(group)) {
        if (const auto done = (*spool)->acknowledge(upTo); !done)
            giveUp(done.error().message);
    }
    rates.acknowledge = rate(int(batches.size()), timer);
    return rates;
}

/// A key and a blob, and nothing else: the least that SQLite can do for the same promise.
double bareRate(const QString &path, const std::vector<QByteArray> &payloads, int group)
{
    sqlite3 *database = nullptr;
    sqlite3_stmt *insert = nullptr;
    const auto run = [&](const char *sql) {
        if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
            giveUp(QString::fromUtf8(sqlite3_errmsg(database)));
    };
    if (sqlite3_open(qPrintable(path), &database) != SQLITE_OK)
        giveUp(QStringLiteral("cannot open %1").arg(path));
    run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-512;"
        "PRAGMA wal_autocheckpoint=256; PRAGMA journal_size_limit=1048576;"
        "CREATE TABLE batch (msn INTEGER PRIMARY KEY, payload BLOB NOT NULL)");
    sqlite3_prepare_v2(database, "INSERT INTO batch (payload) VALUES (?)", -1, &insert, nullptr);
    QElapsedTimer timer;
    timer.start();
    for (size_t at = 0; at < payloads.size();) {
        run("BEGIN IMMEDIATE");
        for (int i = 0; i < group && at < payloads.size(); ++i, ++at) {
            sqlite3_bind_blob(insert, 1, payloads[at].constData(), int(payloads[at].size()), SQLITE_STATIC);
            if (sqlite3_step(insert) != SQLITE_DONE)
                giveUp(QString::fromUtf8(sqlite3_errmsg(database)));
            sqlite3_reset(insert);
        }
        run("COMMIT");
    }
    const double result = rate(int(payloads.size()), timer);
    sqlite3_finalize(insert);
    sqlite3_close(database);
    return result;
}

} // namespace

int main()
{
    QTemporaryDir folder;
    QJsonArray results;
    int file = 0;
    const auto freshPath = [&] { return folder.filePath(QStringLiteral("%1.db").arg(++file)); };
    for (const int group : {1, 16, 256}) {
        std::vector<IncomingBatch> batches;
        std::vector<QByteArray> payloads;
        for (int i = 0; i < batchesFor(group); ++i) {
            batches.push_back(batchOf(i));
            payloads.push_back(encodeBatch(batches.back().batch));
        }
        std::vector<double> append;
        std::vector<double> acknowledge;
        std::vector<double> bare;
        for (int round = 0; round < kRounds; ++round) {
            bare.push_back(bareRate(freshPath(), payloads, group));
            const SpoolRates rates = spoolRates(freshPath(), batches, group);
            append.push_back(rates.append);
            acknowledge.push_back(rates.acknowledge);
        }
        QJsonObject result;
        result[QStringLiteral("group")] = group;
        result[QStringLiteral("append_batches_per_s")] = qRound(median(append));
        result[QStringLiteral("append_readings_per_s")] = qRound(median(append) * kPoints);
        result[QStringLiteral("ack_batches_per_s")] = qRound(median(acknowledge));
        result[QStringLiteral("bare_sqlite_batches_per_s")] = qRound(median(bare));
        result[QStringLiteral("append_ratio")] = std::round(median(append) / median(bare) * 1000) / 1000;
        results.append(result);
    }
    QJsonObject all;
    all[QStringLiteral("benchmark")] = QStringLiteral("spool");
    all[QStringLiteral("readings_per_batch")] = kPoints;
    all[QStringLiteral("bytes_per_batch")] = encodeBatch(batchOf(0).batch).size();
    all[QStringLiteral("groups")] = results;
    std::fputs(QJsonDocument(all).toJson().constData(), stdout);
    return 0;
}
