#include "drivers/sysfs/sysfs_driver.h"

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
    QStringList absent;
    bool hasAny = false;
    for (const SysfsChannel &channel : m_config.channels) {
        if (isDeviceThere(m_config.root, m_config.deviceClass, channel))
            hasAny = true;
        else
            absent.append(channel.path.isEmpty() ? channel.device : deviceInWords(channel));
        const auto found = findChannel(m_config.root, m_config.deviceClass, channel);
        if (!found && found.error().code == Errc::Conflict)
            return Error{Errc::Conflict, u"driver.points, %1: %2"_s.arg(channel.point.id, found.error().message)};
    }
    absent.removeDuplicates();
    const QStringList known = deviceNames(m_config.root, m_config.deviceClass);
    const Error missing{Errc::NotFound, u"%1 has no device %2; it has %3. Check driver.points."_s.arg(
                                            classFolder(m_config.root, m_config.deviceClass), absent.join(u", "_s),
                                            known.isEmpty() ? u"none at all"_s : known.join(u", "_s))};
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

} // namespace lintel
