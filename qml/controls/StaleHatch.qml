// SPDX-License-Identifier: GPL-3.0-only
// Says without words that a value is not of the present.
import QtQuick
import Lintel.Console
import Lintel.ViewModels

Hatch {
    color: Theme.hatch
    pitch: 7
}
