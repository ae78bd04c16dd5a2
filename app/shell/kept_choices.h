// SPDX-License-Identifier: GPL-3.0-only
// What somebody has chosen in the window and wants to find again at the next start, in a file of the
// person's own (~/.config/lintel/console.ini). Made by ConsoleSession; GUI thread. A file that is missing,
// broken or of a later version is no choice; one that cannot be written is Io.
#pragma once

#include "text/unit_system.h"

#include <QString>

#include <optional>

namespace lintel {

class KeptChoices
{
public:
    explicit KeptChoices(QString file) : m_file(std::move(file)) {}
    /// Where they are kept for whoever runs the program.
    [[nodiscard]] static QString usualFile();

    [[nodiscard]] std::optional<UnitSystem> units() const;
    [[nodiscard]] Result<void> setUnits(UnitSystem units) const;

private:
    QString m_file;
};

} // namespace lintel
