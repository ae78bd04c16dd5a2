// What hwmon and iio have in common: values in files below a class folder of sysfs, devices found
// by the content of their file "name" at each reading (numbers change when hardware is plugged in),
// and reads that may take long and so run on a thread of their own.
// Thread rules: drivers/sensor_driver.h.
#pragma once

#include "drivers/sensor_driver.h"
#include "drivers/sysfs/slow_reader.h"
#include "drivers/sysfs/sysfs_config.h"

namespace lintel {

/// Reads one channel now, in the unit that sysfs documents for it, before the point's own scale and
/// offset. Called on a reading thread: values only. NotFound when device or file are not there.
using ReadChannel = Result<double> (*)(const QString &root, const SysfsChannel &channel);

class SysfsDriver : public SensorDriver
{
    Q_OBJECT
public:
    SysfsDriver(SysfsConfig config, ReadChannel readChannel, QString type, QObject *parent = nullptr);

    [[nodiscard]] DriverInfo info() const override;
    [[nodiscard]] QList<Point> points() const override;
    /// NotFound only when there is none of the devices; a single one may come back later.
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

/// Folders below `folder` whose file "name" holds `device`, sorted.
[[nodiscard]] QStringList foldersNamed(const QString &folder, const QString &pattern, const QString &device);
/// Every device name below `folder`, for messages.
[[nodiscard]] QStringList deviceNames(const QString &folder, const QString &pattern);
/// A file's single line of text, and the same as a number.
[[nodiscard]] Result<QString> readLineOf(const QString &path);
[[nodiscard]] Result<double> readNumberOf(const QString &path);

} // namespace lintel
