// What the sensor's services want to know of the configuration. Values only.
#pragma once

#include "domain/timestamp.h"
#include "sensor/report_filter.h"

#include <QString>
#include <QStringList>

namespace lintel {

struct SensorSettings {
    QString device; // the agent's name
    QString version;
    Millis period{60'000};
    ReportRules reports;
    Millis sendEvery{0};          // what is stored leaves together, at most this often; 0: at once
    int memoryBatches = 600;      // kept while the spool refuses
    Millis drainTime{5'000};      // how long a stop waits for the last acknowledgements
    QStringList capabilities;     // empty = all of them
    bool callsNeedPolicy = false; // a policy must decide, and there is no decider: refuse
};

/// Names of the capability calls, for configuration and registration.
namespace capability {
inline constexpr QStringView kReadSensors = u"read_sensors";
inline constexpr QStringView kSyncBuffered = u"sync_buffered";
inline constexpr QStringView kStatus = u"status";
} // namespace capability

} // namespace lintel
