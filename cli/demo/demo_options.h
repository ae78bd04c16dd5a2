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
    std::optional<std::chrono::seconds> revoke; // when one sensor is revoked, after the building runs
    IdentityKind identity = IdentityKind::Tpm;
    std::chrono::seconds svidTtl{3'600}; // with Tpm
    QString replayDir;
    QString keepDir;
    QString screenshot; // empty: decided by screenshotPath()
};

/// A run that revokes goes on so long after it at least, to see that the device stays out.
inline constexpr std::chrono::seconds kWatchedAfterRevoke{5};

[[nodiscard]] Result<DemoOptions> parseDemoOptions(const QStringList &arguments);
[[nodiscard]] QString demoHelp();
/// --screenshot, else lintel-demo.png in --keep's folder, else in the current one; absolute.
[[nodiscard]] QString screenshotPath(const DemoOptions &options);

} // namespace lintel::demo
