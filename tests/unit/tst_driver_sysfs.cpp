#include "drivers/hwmon/hwmon_driver.h"
#include "drivers/iio/iio_driver.h"

#include <QDir>
#include <QElapsedTimer>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

SysfsChannel channelOf(SysfsConfig::Class deviceClass, const QString &id, const QString &device, const QString &channel,
                       const QString &label = {})
{
    SysfsChannel one;
    one.point.id = id;
    one.point.unit = kindOfChannel(deviceClass, channel).unit;
    one.device = device;
    one.channel = channel;
    one.label = label;
    return one;
}

} // namespace

class TestDriverSysfs : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init() { m_root = std::make_unique<QTemporaryDir>(); }
    void hwmon_readsByNameChannelAndLabel();
    void hwmon_vanishedSensorIsBad();
    void hwmon_openRefusesWhenNothingIsThere();
    void iio_appliesOffsetAndScale();
    void read_givesUpOnAHangingFile();

private:
    void put(const QString &path, const QByteArray &text)
    {
        const QString full = m_root->filePath(path);
        QVERIFY(QDir().mkpath(QFileInfo(full).path()));
        QFile file(full);
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(text + '\n');
    }
    QList<Reading> readOnce(SensorDriver &driver)
    {
        QSignalSpy finished(&driver, &SensorDriver::readFinished);
        driver.read();
        if (!finished.wait())
            return {};
        return finished[0][0].value<QList<Reading>>();
    }

    std::unique_ptr<QTemporaryDir> m_root;
};

void TestDriverSysfs::hwmon_readsByNameChannelAndLabel()
{
    put(u"class/hwmon/hwmon0/name"_s, "nvme");
    put(u"class/hwmon/hwmon0/temp1_input"_s, "99000");
    put(u"class/hwmon/hwmon3/name"_s, "coretemp");
    put(u"class/hwmon/hwmon3/temp1_input"_s, "41500");
    put(u"class/hwmon/hwmon3/temp2_input"_s, "43250");
    put(u"class/hwmon/hwmon3/temp2_label"_s, "Core 0");
    put(u"class/hwmon/hwmon3/in0_input"_s, "12034");
    using enum SysfsConfig::Class;
    SysfsConfig config{Hwmon,
                       m_root->path(),
                       Millis{5000},
                       {channelOf(Hwmon, u"board"_s, u"coretemp"_s, u"temp1"_s),
                        channelOf(Hwmon, u"core"_s, u"coretemp"_s, {}, u"Core 0"_s),
                        channelOf(Hwmon, u"volt"_s, u"coretemp"_s, u"in0"_s)}};
    config.channels[0].offset = 0.5;
    SysfsDriver driver(config, readHwmonChannel, u"hwmon"_s);
    QVERIFY(driver.open());
    const QList<Reading> readings = readOnce(driver);
    QCOMPARE(readings.size(), 3);
    QCOMPARE(std::get<double>(readings[0].value), 42.0);
    QCOMPARE(std::get<double>(readings[1].value), 43.25);
    QCOMPARE(std::get<double>(readings[2].value), 12.034);
    QCOMPARE(readings[2].unit, Unit::Volt);
}

void TestDriverSysfs::hwmon_vanishedSensorIsBad()
{
    put(u"class/hwmon/hwmon0/name"_s, "sht3x");
    put(u"class/hwmon/hwmon0/temp1_input"_s, "20000");
    using enum SysfsConfig::Class;
    SysfsDriver driver({Hwmon, m_root->path(), Millis{5000}, {channelOf(Hwmon, u"temp"_s, u"sht3x"_s, u"temp1"_s)}},
                       readHwmonChannel, u"hwmon"_s);
    QVERIFY(driver.open());
    QSignalSpy trouble(&driver, &SensorDriver::trouble);
    QCOMPARE(readOnce(driver)[0].quality, Quality::Good);
    QVERIFY(QDir(m_root->filePath(u"class/hwmon/hwmon0"_s)).removeRecursively());
    QCOMPARE(readOnce(driver)[0].quality, Quality::Bad);
    QVERIFY(trouble[0][0].value<Error>().message.contains(u"there is no chip \"sht3x\" now"_s));
    put(u"class/hwmon/hwmon7/name"_s, "sht3x"); // plugged in again, with another number
    put(u"class/hwmon/hwmon7/temp1_input"_s, "21000");
    QCOMPARE(std::get<double>(readOnce(driver)[0].value), 21.0);
}

void TestDriverSysfs::hwmon_openRefusesWhenNothingIsThere()
{
    put(u"class/hwmon/hwmon0/name"_s, "nvme");
    using enum SysfsConfig::Class;
    SysfsDriver driver({Hwmon, m_root->path(), Millis{5000}, {channelOf(Hwmon, u"temp"_s, u"sht3x"_s, u"temp1"_s)}},
                       readHwmonChannel, u"hwmon"_s);
    const auto opened = driver.open();
    QVERIFY(!opened);
    QVERIFY(opened.error().message.contains(u"has no device sht3x; it has nvme"_s));
}

void TestDriverSysfs::iio_appliesOffsetAndScale()
{
    put(u"bus/iio/devices/iio:device1/name"_s, "bme280");
    put(u"bus/iio/devices/iio:device1/in_temp_input"_s, "21530");
    put(u"bus/iio/devices/iio:device1/in_pressure_input"_s, "101.325");
    put(u"bus/iio/devices/iio:device2/name"_s, "adc");
    put(u"bus/iio/devices/iio:device2/in_voltage0_raw"_s, "1000");
    put(u"bus/iio/devices/iio:device2/in_voltage_scale"_s, "2.5");
    put(u"bus/iio/devices/iio:device2/in_voltage0_offset"_s, "-200");
    using enum SysfsConfig::Class;
    SysfsDriver driver({Iio,
                        m_root->path(),
                        Millis{5000},
                        {channelOf(Iio, u"temp"_s, u"bme280"_s, u"in_temp"_s),
                         channelOf(Iio, u"pressure"_s, u"bme280"_s, u"in_pressure"_s),
                         channelOf(Iio, u"volt"_s, u"adc"_s, u"in_voltage0"_s)}},
                       readIioChannel, u"iio"_s);
    QVERIFY(driver.open());
    const QList<Reading> readings = readOnce(driver);
    QCOMPARE(std::get<double>(readings[0].value), 21.53);
    QVERIFY(std::abs(std::get<double>(readings[1].value) - 101'325.0) < 1e-6);
    QCOMPARE(readings[1].unit, Unit::Pascal);
    QCOMPARE(std::get<double>(readings[2].value), 2.0);
}

void TestDriverSysfs::read_givesUpOnAHangingFile()
{
    put(u"class/hwmon/hwmon0/name"_s, "slow");
    const QByteArray fifo = m_root->filePath(u"class/hwmon/hwmon0/temp1_input"_s).toLocal8Bit();
    QCOMPARE(::mkfifo(fifo.constData(), 0600), 0); // opening it blocks until somebody writes
    using enum SysfsConfig::Class;
    SysfsDriver driver({Hwmon, m_root->path(), Millis{150}, {channelOf(Hwmon, u"temp"_s, u"slow"_s, u"temp1"_s)}},
                       readHwmonChannel, u"hwmon"_s);
    QVERIFY(driver.open());
    QSignalSpy failed(&driver, &SensorDriver::readFailed);
    driver.read();
    QTRY_COMPARE_WITH_TIMEOUT(failed.count(), 1, 10'000);
    QCOMPARE(failed[0][0].value<Error>().code, Errc::Timeout);
    driver.read();
    QTRY_COMPARE_WITH_TIMEOUT(failed.count(), 2, 10'000);
    QCOMPARE(failed[1][0].value<Error>().code, Errc::Unavailable);
    const int writer = ::open(fifo.constData(), O_WRONLY | O_NONBLOCK); // lets the thread go
    QVERIFY(writer >= 0);
    QCOMPARE(::write(writer, "20000\n", 6), 6);
    ::close(writer);
    QSignalSpy finished(&driver, &SensorDriver::readFinished);
    QVERIFY(QFile::remove(QString::fromLocal8Bit(fifo)));
    put(u"class/hwmon/hwmon0/temp1_input"_s, "25000");
    QTRY_VERIFY_WITH_TIMEOUT((driver.read(), QTest::qWait(20), finished.count() > 0), 10'000);
    QCOMPARE(std::get<double>(finished.last()[0].value<QList<Reading>>()[0].value), 25.0);
}

QTEST_GUILESS_MAIN(TestDriverSysfs)
#include "tst_driver_sysfs.moc"
