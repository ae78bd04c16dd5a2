// A recording and the map of its columns, both arbitrary: up to the first NUL the map, behind it the
// recording. The map is refused with a sentence, or the rows come with times and finite numbers.
#include "drivers/replay/replay_driver.h"
#include "fakes/fake_clock.h"
#include "fakes/memory_state_store.h"

#include <QTemporaryDir>

#include <cmath>
#include <cstdlib>

using namespace lintel;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

constexpr int kRows = 1'000; // of one input

const QTemporaryDir &folder()
{
    static const QTemporaryDir one;
    return one;
}

void playAll(ReplayDriver &driver)
{
    quint64 readings = 0;
    for (int taken = 0; taken < kRows;) {
        const auto rows = driver.take(16);
        if (!rows) {
            require(!rows.error().message.isEmpty());
            return;
        }
        if (rows->isEmpty())
            return;
        for (const RecordedRow &row : *rows) {
            require(!row.isEmpty());
            for (const Reading &reading : row) {
                const double *number = std::get_if<double>(&reading.value);
                require(!number || std::isfinite(*number));
            }
            readings += quint64(row.size());
        }
        taken += int(rows->size());
        require(bool(driver.accepted(readings)));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const QByteArray all(reinterpret_cast<const char *>(data), qsizetype(size));
    const qsizetype end = all.indexOf('\0');
    if (end < 0)
        return 0;
    const auto document = config::parseConfig(all.left(end), QStringLiteral("map"));
    if (!document)
        return 0; // fuzz_config looks at these
    config::Problems problems;
    ReplayConfig replay;
    {
        config::Section root(*document, problems);
        replay.map = readColumnMap(root, Location{});
    }
    if (!problems.isEmpty()) {
        require(!problems.error().message.isEmpty());
        return 0;
    }
    replay.file = folder().filePath(QStringLiteral("recording.csv"));
    replay.pace = ReplayConfig::Pace::AsAcknowledged;
    QFile file(replay.file);
    require(file.open(QIODevice::WriteOnly));
    file.write(all.mid(end + 1));
    file.close();
    const FakeClock clock;
    MemoryStateStore state;
    ReplayDriver driver(replay, clock, state);
    if (const auto opened = driver.open(); !opened) {
        require(!opened.error().message.isEmpty());
        return 0;
    }
    if (driver.resume(QUuid::createUuid(), 0))
        playAll(driver);
    return 0;
}
