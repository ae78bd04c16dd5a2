#include "drivers/sysfs/sysfs_driver.h"

#include <QDir>
#include <QFile>

#include <cmath>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

SlowReader::Outcome readAll(const QString &root, const QList<SysfsChannel> &channels, ReadChannel readChannel)
{
    SlowReader::Outcome outcome;
    for (const SysfsChannel &channel : channels) {
        const auto value = readChannel(root, channel);
        Reading reading{channel.point.id, 0.0, channel.point.unit, {}, Quality::Bad, false};
        if (value) {
            reading.value = *value * channel.scale + channel.offset;
            reading.quality = Quality::Good;
        } else {
            outcome.problems.append(u"%1: %2"_s.arg(channel.point.id, value.error().message));
        }
        outcome.readings.append(reading);
    }
    return outcome;
}

struct ClassFolder {
    QString path;
    QString pattern;
};

ClassFolder classFolder(const SysfsConfig &config)
{
    return config.deviceClass == SysfsConfig::Class::Hwmon
               ? ClassFolder{config.root + u"/class/hwmon"_s, u"hwmon*"_s}
               : ClassFolder{config.root + u"/bus/iio/devices"_s, u"iio:device*"_s};
}

} // namespace

SysfsDriver::SysfsDriver(SysfsConfig config, ReadChannel readChannel, QString type, QObject *parent)
    : SensorDriver(parent), m_config(std::move(config)), m_readChannel(readChannel), m_type(std::move(type)),
      m_reader(m_config.timeout)
{}

DriverInfo SysfsDriver::info() const
{
    return {m_type, u"%1 sensors of this machine"_s.arg(m_type), false};
}

QList<Point> SysfsDriver::points() const
{
    QList<Point> points;
    for (const SysfsChannel &channel : m_config.channels)
        points.append(channel.point);
    return points;
}

Result<void> SysfsDriver::open()
{
    const ClassFolder folder = classFolder(m_config);
    const QStringList known = deviceNames(folder.path, folder.pattern);
    QStringList absent;
    for (const SysfsChannel &channel : m_config.channels) {
        if (!known.contains(channel.device) && !absent.contains(channel.device))
            absent.append(channel.device);
    }
    const bool hasAny = std::any_of(m_config.channels.begin(), m_config.channels.end(),
                                    [&](const SysfsChannel &c) { return known.contains(c.device); });
    const QString there = known.isEmpty() ? u"none at all"_s : known.join(u", "_s);
    const Error missing{Errc::NotFound, u"%1 has no device %2; it has %3. Check driver.points."_s.arg(
                                            folder.path, absent.join(u", "_s), there)};
    if (!hasAny)
        return missing;
    if (!absent.isEmpty())
        Q_EMIT trouble(missing);
    return {};
}

void SysfsDriver::read()
{
    if (m_isReading)
        return;
    m_isReading = true;
    m_reader.run([root = m_config.root, channels = m_config.channels,
                  readChannel = m_readChannel] { return readAll(root, channels, readChannel); },
                 [this](const Result<SlowReader::Outcome> &outcome) { onOutcome(outcome); });
}

void SysfsDriver::onOutcome(const Result<SlowReader::Outcome> &outcome)
{
    m_isReading = false;
    if (!outcome) {
        Q_EMIT readFailed(outcome.error());
        return;
    }
    for (const QString &problem : outcome->problems)
        Q_EMIT trouble(Error{Errc::Unavailable, problem});
    Q_EMIT readFinished(outcome->readings);
}

QStringList foldersNamed(const QString &folder, const QString &pattern, const QString &device)
{
    QStringList found;
    for (const QString &entry : QDir(folder).entryList({pattern}, QDir::Dirs | QDir::NoDotAndDotDot, QDir::Name)) {
        const QString path = folder + u'/' + entry;
        const auto name = readLineOf(path + u"/name"_s);
        if (name && *name == device)
            found.append(path);
    }
    return found;
}

QStringList deviceNames(const QString &folder, const QString &pattern)
{
    QStringList names;
    for (const QString &entry : QDir(folder).entryList({pattern}, QDir::Dirs | QDir::NoDotAndDotDot, QDir::Name)) {
        if (const auto name = readLineOf(folder + u'/' + entry + u"/name"_s))
            names.append(*name);
    }
    names.removeDuplicates();
    return names;
}

Result<QString> readLineOf(const QString &path)
{
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly | QIODevice::Unbuffered))
        return Error{file.exists() ? Errc::Io : Errc::NotFound,
                     u"%1 cannot be read: %2."_s.arg(path, file.errorString())};
    const QByteArray line = file.read(256); // sysfs attributes are one short line
    if (line.isEmpty())
        return Error{Errc::Io, u"%1 gave nothing: %2."_s.arg(path, file.errorString())};
    return QString::fromUtf8(line).trimmed();
}

Result<double> readNumberOf(const QString &path)
{
    const auto line = readLineOf(path);
    if (!line)
        return line.error();
    bool ok = false;
    const double value = line->toDouble(&ok);
    if (!ok || !std::isfinite(value))
        return Error{Errc::Malformed, u"%1 holds \"%2\", which is not a number."_s.arg(path, line->left(40))};
    return value;
}

} // namespace lintel
