// SPDX-License-Identifier: GPL-3.0-only
// Shape and colour of a priority; the word stands beside it.
import QtQuick
import Lintel.Console
import Lintel.ViewModels

PriorityShape {
    color: Theme.alarm(priority)
    visible: priority > 0
    Accessible.role: Accessible.Indicator
    Accessible.name: priority === 1 ? qsTr("priority 1, high") : priority === 2 ? qsTr("priority 2, medium") : qsTr("priority 3, low")
    Accessible.ignored: priority === 0
}
