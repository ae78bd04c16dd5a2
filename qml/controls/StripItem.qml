// SPDX-License-Identifier: GPL-3.0-only
// One figure of the trust strip: value and what it is. Without a value it says "unknown".
import QtQuick
import Lintel.Console
import Lintel.ViewModels

Item {
    id: figure

    property string value
    property string label
    property int priority: 0
    /// Value above the label instead of beside it.
    property bool stacked: false
    readonly property bool known: value.length > 0

    implicitWidth: stacked ? Math.max(number.implicitWidth + markRoom, caption.implicitWidth)
                           : markRoom + number.implicitWidth + 8 + caption.implicitWidth
    implicitHeight: 40
    readonly property int markRoom: priority > 0 ? 18 : 0
    Accessible.role: Accessible.StaticText
    Accessible.name: label + ": " + (known ? value : qsTr("unknown"))

    PriorityMark {
        id: mark
        anchors { left: parent.left; verticalCenter: number.verticalCenter }
        priority: figure.priority
    }
    TabularText {
        id: number
        x: figure.markRoom
        y: figure.stacked ? 2 : (parent.height - height) / 2
        text: figure.known ? figure.value : qsTr("unknown")
        color: figure.priority > 0 ? Theme.alarm(figure.priority) : figure.known ? Theme.text : Theme.muted
        font { family: Theme.family; pixelSize: 14; weight: figure.known ? Font.DemiBold : Font.Normal }
    }
    AppText {
        id: caption
        x: figure.stacked ? 0 : number.x + number.width + 8
        y: figure.stacked ? number.y + number.height + 1 : number.y + number.baselineOffset - baselineOffset
        text: figure.label
        color: Theme.muted
        font.pixelSize: Theme.noteSize
    }
}
