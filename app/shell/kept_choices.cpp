// SPDX-License-Identifier: GPL-3.0-only
#include "shell/kept_choices.h"

#include <QDir>
#include <QSettings>
#include <QStandardPaths>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

const QString kUnits = u"appearance/units"_s;

} // namespace

QString KeptChoices::usualFile()
{
    return QDir(QStandardPaths::writableLocation(QStandardPaths::GenericConfigLocation))
        .filePath(u"lintel/console.ini"_s);
}

std::optional<UnitSystem> KeptChoices::units() const
{
    const auto units = unitSystemFromCode(QSettings(m_file, QSettings::IniFormat).value(kUnits).toString());
    return units ? std::optional(*units) : std::nullopt;
}

Result<void> KeptChoices::setUnits(UnitSystem units) const
{
    QSettings settings(m_file, QSettings::IniFormat);
    settings.setValue(kUnits, codeOf(units));
    settings.sync();
    if (settings.status() == QSettings::NoError)
        return {};
    return Error{Errc::Io,
                 u"The choice of units holds until the window is closed: %1 cannot be written. See that it and its "
                 "folder belong to you, and that there is room."_s.arg(m_file)};
}

} // namespace lintel
