// SPDX-License-Identifier: GPL-3.0-only
// The console's command line and configuration file as one struct. Values only.
#pragma once

#include "adapters/log/log.h"
#include "mqtt/broker_options.h"
#include "text/unit_system.h"

#include <QSize>
#include <QString>
#include <QStringList>

#include <chrono>
#include <optional>

namespace lintel {

struct ConsoleOptions {
    bool offline = false;
    mqtt::BrokerOptions broker;
    SpiffeId id;                  // who the operator is; from the identity's files when not given
    SpiffeId host;                // whom to call: a gateway or the cloud
    SpiffeId gateway;             // whose buffer to show; empty = the host's
    QList<SpiffeId> moreGateways; // of other sites, for their queues and refusals
    QStringList sites;            // empty = all that the broker lets us see
    std::chrono::seconds keepAlive{30};

    QString theme = QStringLiteral("system");
    UnitSystem usualUnits = UnitSystem::AsReported; // of the file, until somebody chooses in the window
    std::optional<UnitSystem> units;                // of the command line: for this run, whatever was chosen
    QString page = QStringLiteral("live");
    QSize size{1280, 800};
    std::optional<int> windowMinutes;

    bool headless = false; // no window, whatever display there is
    QString screenshot;    // written at the end, or after `after`
    std::optional<std::chrono::seconds> after;
    std::optional<std::chrono::seconds> exitAfter;
    QString report;

    std::optional<log::Settings> logging; // where the file has a section observability
    bool wantsMetrics = false;            // there are none; it is said

    bool help = false;
    bool version = false;
};

/// Flags win over the file that --config names. Malformed says which option or key, and what is
/// expected there.
[[nodiscard]] Result<ConsoleOptions> parseConsoleOptions(const QStringList &arguments);
[[nodiscard]] QString consoleHelp();

} // namespace lintel
