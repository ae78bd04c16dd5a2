// SPDX-License-Identifier: GPL-3.0-only
#include "text/fonts.h"

#include <QFont>
#include <QFontDatabase>
#include <QGuiApplication>

namespace lintel {

Result<void> installFonts()
{
    for (const auto *weight : {"Regular", "Medium", "SemiBold"}) {
        const QString path = QStringLiteral(":/fonts/Inter-%1.otf").arg(QLatin1StringView(weight));
        if (QFontDatabase::addApplicationFont(path) < 0)
            return Error{
                Errc::Io,
                QStringLiteral(
                    "The built-in font %1 cannot be loaded; build the console again with fonts-inter installed.")
                    .arg(path)};
    }
    QFont font(QStringLiteral("Inter"));
    font.setPixelSize(13);
    QGuiApplication::setFont(font);
    return {};
}

} // namespace lintel
