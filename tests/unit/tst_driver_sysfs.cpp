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
    void twoOfAName_areRefusedAndToldApartByPath_data();
    void twoOfAName_areRefusedAndToldApartByPath();
    void twoOfAName_areNoMatterWhereTheChannelOrLabelTells();
    void twoOfAName_withoutAPlaceOfTheirOwnGoByTheirNumber();
    void secondOfAName_thatComesLaterMakesThePointBad();
    void labelThatStandsTwice_isRefused();
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
    /// As the kernel has it: a device below /devices, and a link to it in its class.
    void link(const QString &from, const QString &to)
    {
        QVERIFY(QDir().mkpath(QFileInfo(m_root->filePath(from)).path()));
        QVERIFY(QFile::link(m_root->filePath(to), m_root->filePath(from)));
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

void TestDriverSysfs::twoOfAName_areRefusedAndToldApartByPath_data()
{
    using enum SysfsConfig::Class;
    QTest::addColumn<SysfsConfig::Class>("deviceClass");
    QTest::addColumn<QString>("links"); // of the class
    QTest::addColumn<QString>("first"); // of two devices
    QTest::addColumn<QString>("second");
    QTest::addColumn<QString>("file");
    QTest::addColumn<QString>("channel");
    QTest::newRow("iio") << Iio << u"bus/iio/devices/iio:device%1"_s << u"devices/i2c-1/1-0076/iio:device0"_s
                         << u"devices/i2c-1/1-0077/iio:device1"_s << u"in_temp_input"_s << u"in_temp"_s;
    QTest::newRow("hwmon") << Hwmon << u"class/hwmon/hwmon%1"_s << u"devices/i2c-1/1-0076/hwmon/hwmon0"_s
                           << u"devices/i2c-1/1-0077/hwmon/hwmon1"_s << u"temp1_input"_s << u"temp1"_s;
}

void TestDriverSysfs::twoOfAName_areRefusedAndToldApartByPath()
{
    QFETCH(SysfsConfig::Class, deviceClass);
    QFETCH(QString, links);
    QFETCH(QString, first);
    QFETCH(QString, second);
    QFETCH(QString, file);
    QFETCH(QString, channel);
    const bool isIio = deviceClass == SysfsConfig::Class::Iio;
    int degrees = 20;
    for (const QString &device : {first, second}) {
        put(device + u"/name"_s, "bme280");
        put(device + u'/' + file, QByteArray::number(1'000 * degrees++));
        link(links.arg(degrees - 21), device);
    }
    SysfsConfig config{
        deviceClass, m_root->path(), Millis{5000}, {channelOf(deviceClass, u"temp"_s, u"bme280"_s, channel)}};
    const auto driver = [&] {
        return std::make_unique<SysfsDriver>(config, isIio ? readIioChannel : readHwmonChannel, u"any"_s);
    };
    const auto opened = driver()->open();
    QVERIFY(!opened);
    QCOMPARE(opened.error().code, Errc::Conflict);
    const QString real = QFileInfo(m_root->path()).canonicalFilePath();
    QCOMPARE(
        opened.error().message,
        u"driver.points, temp: 2 devices are named \"bme280\" and have \"%1\" (%2/%3, %2/%4); give the point a path "
        "that only one of them has, such as path: 1-0076."_s.arg(channel, real, first, second));

    config.channels.append(channelOf(deviceClass, u"other"_s, u"bme280"_s, channel));
    config.channels[0].path = u"1-0077"_s;
    config.channels[1].path = u"i2c-1/1-0076"_s;
    const auto both = driver();
    QVERIFY(both->open());
    const QList<Reading> readings = readOnce(*both);
    QCOMPARE(std::get<double>(readings[0].value), 21.0);
    QCOMPARE(std::get<double>(readings[1].value), 20.0);

    // Whole names only; one that is shared tells nothing; none is none.
    config.channels.removeLast();
    config.channels[0].path = u"i2c-1"_s;
    QCOMPARE(driver()->open().error().code, Errc::Conflict);
    config.channels[0].path = u"1-007"_s;
    const auto missing = driver()->open();
    QVERIFY(!missing);
    QCOMPARE(missing.error().code, Errc::NotFound);
    QVERIFY2(missing.error().message.contains(u"has no device \"bme280\" at 1-007; it has bme280."),
             qPrintable(missing.error().message));
    config.channels[0].path = second.section(u'/', -1); // its own folder is one, too
    const auto own = driver();
    QVERIFY(own->open());
    QCOMPARE(std::get<double>(readOnce(*own)[0].value), 21.0);
}

void TestDriverSysfs::twoOfAName_areNoMatterWhereTheChannelOrLabelTells()
{
    put(u"class/hwmon/hwmon0/name"_s, "coretemp");
    put(u"class/hwmon/hwmon0/temp1_input"_s, "41000");
    put(u"class/hwmon/hwmon0/temp1_label"_s, "Package id 0");
    put(u"class/hwmon/hwmon1/name"_s, "coretemp");
    put(u"class/hwmon/hwmon1/temp1_input"_s, "42000");
    put(u"class/hwmon/hwmon1/temp1_label"_s, "Package id 1");
    put(u"class/hwmon/hwmon1/temp7_input"_s, "43000");
    using enum SysfsConfig::Class;
    SysfsDriver driver({Hwmon,
                        m_root->path(),
                        Millis{5000},
                        {channelOf(Hwmon, u"second"_s, u"coretemp"_s, {}, u"Package id 1"_s),
                         channelOf(Hwmon, u"seventh"_s, u"coretemp"_s, u"temp7"_s)}},
                       readHwmonChannel, u"hwmon"_s);
    QVERIFY(driver.open());
    const QList<Reading> readings = readOnce(driver);
    QCOMPARE(std::get<double>(readings[0].value), 42.0);
    QCOMPARE(std::get<double>(readings[1].value), 43.0);
}

void TestDriverSysfs::twoOfAName_withoutAPlaceOfTheirOwnGoByTheirNumber()
{
    for (const QString &device : {u"bus/iio/devices/iio:device0"_s, u"bus/iio/devices/iio:device1"_s}) {
        put(device + u"/name"_s, "adc");
        put(device + u"/in_voltage0_raw"_s, "1000");
    }
    using enum SysfsConfig::Class;
    SysfsDriver driver({Iio, m_root->path(), Millis{5000}, {channelOf(Iio, u"volt"_s, u"adc"_s, u"in_voltage0"_s)}},
                       readIioChannel, u"iio"_s);
    const auto opened = driver.open();
    QVERIFY(!opened);
    QVERIFY2(opened.error().message.endsWith(u"such as path: iio:device0."), qPrintable(opened.error().message));
}

void TestDriverSysfs::secondOfAName_thatComesLaterMakesThePointBad()
{
    put(u"bus/iio/devices/iio:device1/name"_s, "bme280");
    put(u"bus/iio/devices/iio:device1/in_temp_input"_s, "21000");
    using enum SysfsConfig::Class;
    SysfsDriver driver({Iio, m_root->path(), Millis{5000}, {channelOf(Iio, u"temp"_s, u"bme280"_s, u"in_temp"_s)}},
                       readIioChannel, u"iio"_s);
    QVERIFY(driver.open());
    QCOMPARE(std::get<double>(readOnce(driver)[0].value), 21.0);
    put(u"bus/iio/devices/iio:device0/name"_s, "bme280");
    put(u"bus/iio/devices/iio:device0/in_temp_input"_s, "99000");
    QSignalSpy trouble(&driver, &SensorDriver::trouble);
    QCOMPARE(readOnce(driver)[0].quality, Quality::Bad);
    QCOMPARE(trouble.count(), 1);
    QVERIFY(trouble[0][0].value<Error>().message.startsWith(u"temp: 2 devices are named \"bme280\""));
}

void TestDriverSysfs::labelThatStandsTwice_isRefused()
{
    put(u"class/hwmon/hwmon0/name"_s, "board");
    for (const char *channel : {"temp1", "temp2"}) {
        put(u"class/hwmon/hwmon0/%1_input"_s.arg(QLatin1StringView(channel)), "20000");
        put(u"class/hwmon/hwmon0/%1_label"_s.arg(QLatin1StringView(channel)), "Ambient");
    }
    using enum SysfsConfig::Class;
    SysfsDriver driver(
        {Hwmon, m_root->path(), Millis{5000}, {channelOf(Hwmon, u"temp"_s, u"board"_s, {}, u"Ambient"_s)}},
        readHwmonChannel, u"hwmon"_s);
    const auto opened = driver.open();
    QVERIFY(!opened);
    QCOMPARE(opened.error().message,
             u"driver.points, temp: the chip \"board\" has the label \"Ambient\" at temp1, temp2; "
             "name one of these as channel instead."_s);
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
