// What a sensor agent needs of hardware: a list of points, and a reading of all of them on request.
//
// Adding a driver: a folder with the driver and its <name>_config.{h,cpp}, one branch in
// driver_config.cpp and driver_factory.cpp, a line of CMake and a test. Nothing else changes.
//
// Lives on the agent's thread; its signals come there and never from inside read(). Slow hardware
// is read elsewhere (sysfs/slow_reader.h). A driver never throws and never ends the process.
#pragma once

#include "domain/point.h"
#include "domain/reading.h"

#include <QObject>

namespace lintel {

class RecordedDriver;

struct DriverInfo {
    QString type;             // "simulated", as in the configuration
    QString description;      // for people and the call "status"
    bool isSimulated = false; // made up, and it says so wherever it can
};

class SensorDriver : public QObject
{
    Q_OBJECT
public:
    using QObject::QObject;

    [[nodiscard]] virtual DriverInfo info() const = 0;
    /// Fixed after open(). staleAfter is the agent's business.
    [[nodiscard]] virtual QList<Point> points() const = 0;
    /// Finds the hardware or file. An error says what is missing; the process does not start then.
    [[nodiscard]] virtual Result<void> open() = 0;
    /// Reads every point once; ends with exactly one readFinished() or readFailed(). Called again
    /// before that, it is ignored.
    virtual void read() = 0;
    /// Not null when this driver plays back what was measured before (drivers/recorded_driver.h).
    [[nodiscard]] virtual RecordedDriver *recorded() { return nullptr; }

Q_SIGNALS:
    /// deviceTime stays unset (epoch) unless the driver knows better than the agent's clock. A
    /// sensor that has vanished comes as a reading of Bad quality.
    void readFinished(const QList<lintel::Reading> &readings);
    void readFailed(const lintel::Error &why);
    /// Something went wrong that did not spoil the whole reading; a sentence for the log.
    void trouble(const lintel::Error &what);
};

} // namespace lintel
