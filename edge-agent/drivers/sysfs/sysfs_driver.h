// What hwmon and iio have in common: values in files below a class folder of sysfs, devices found
// anew at each reading (sysfs_device.h), and reads that may take long and so run on a thread of their own.
// Thread rules: drivers/sensor_driver.h.
#pragma once

#include "drivers/sensor_driver.h"
#include "drivers/sysfs/slow_reader.h"
#include "drivers/sysfs/sysfs_config.h"
#include "drivers/sysfs/sysfs_device.h"

namespace lintel {

/// Reads one channel now, in the unit that sysfs documents for it, before the point's own scale and
/// offset. Called on a reading thread: values only. Errors as findChannel() has them, and of reading the file.
using ReadChannel = Result<double> (*)(const QString &root, const SysfsChannel &channel);

class SysfsDriver : public SensorDriver
{
    Q_OBJECT
public:
    SysfsDriver(SysfsConfig config, ReadChannel readChannel, QString type, QObject *parent = nullptr);

    [[nodiscard]] DriverInfo info() const override;
    [[nodiscard]] QList<Point> points() const override;
    /// NotFound only when there is none of the devices; a single one may come back later. Conflict when several
    /// devices are meant by one point; where that comes to pass later, the point is read as bad, and trouble()
    /// says the same.
    [[nodiscard]] Result<void> open() override;
    void read() override;

private:
    void onOutcome(const Result<SlowReader::Outcome> &outcome);

    SysfsConfig m_config;
    ReadChannel m_readChannel;
    QString m_type;
    SlowReader m_reader;
    bool m_isReading = false;
};

} // namespace lintel
