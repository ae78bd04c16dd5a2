// The sensor agent's configuration file, one typed struct. docs/configuration.md describes every
// key, resources/config/sensor.yaml is an example. Values only.
#pragma once

#include "adapters/yaml/common_config.h"
#include "drivers/driver_config.h"
#include "sensor/sensor_settings.h"

namespace lintel {

/// Section sparkplug.
struct SparkplugConfig {
    QString group;                                // default: the first label of the trust domain
    QString hostId = QStringLiteral("gateway-1"); // sends only while this host is online
    int window = 256;                             // batches in flight without acknowledgement
    bool aliases = true;                          // off: every metric by its name
};

struct SensorConfig {
    CommonConfig common;
    MqttConfig mqtt;
    SparkplugConfig sparkplug;
    SpoolConfig spool;
    QString stateFile; // beside the spool
    DriverConfig driver;
    SensorSettings settings;
};

/// The whole file; Malformed lists everything that is wrong with it, a line each.
[[nodiscard]] Result<SensorConfig> readSensorConfig(const QString &path);
[[nodiscard]] Result<SensorConfig> sensorConfigFrom(const config::Document &document);

} // namespace lintel
