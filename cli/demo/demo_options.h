// The options of `lintelctl demo`. Values only.
#pragma once

#include "domain/result.h"

#include <QStringList>

#include <chrono>
#include <optional>

namespace lintel::demo {

struct WanOutage {
    std::chrono::seconds start{0}; // after the building runs
    std::chrono::seconds length{0};
};

/// Where identities come from.
enum class IdentityKind {
    Files, // certificates that this program makes
    Tpm,   // an authority for the building and one for the cloud; devices attest with software TPMs
};

struct DemoOptions {
    bool headless = false;
    bool json = false;
    bool help = false;
    int sensors = 8;
    std::optional<std::chrono::seconds> duration; // none: until closed or interrupted
    std::chrono::milliseconds sensorPeriod{1'000};
    QList<WanOutage> wanOutages;
    IdentityKind identity = IdentityKind::Tpm;
    std::chrono::seconds svidTtl{3'600}; // with Tpm
    QString replayDir;
    QString keepDir;
    QString screenshot; // empty: decided by screenshotPath()
};

[[nodiscard]] Result<DemoOptions> parseDemoOptions(const QStringList &arguments);
[[nodiscard]] QString demoHelp();
/// --screenshot, else lintel-demo.png in --keep's folder, else in the current one; absolute.
[[nodiscard]] QString screenshotPath(const DemoOptions &options);

} // namespace lintel::demo
