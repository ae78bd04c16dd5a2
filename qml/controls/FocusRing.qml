// SPDX-License-Identifier: GPL-3.0-only
// Where the keyboard is. Put inside the control; shows itself only while the keyboard leads.
import QtQuick
import Lintel.Console

Rectangle {
    property bool shown: false

    anchors { fill: parent; margins: -2 }
    visible: shown
    color: "transparent"
    border { width: 2; color: Theme.accent }
    radius: Theme.radius + 2
}
