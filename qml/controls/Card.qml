// SPDX-License-Identifier: GPL-3.0-only
// A surface with one hairline around it.
import QtQuick
import Lintel.Console

Rectangle {
    color: Theme.surface
    border { width: 1; color: Theme.hairline }
    radius: Theme.radius
}
