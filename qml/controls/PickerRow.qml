// SPDX-License-Identifier: GPL-3.0-only
// One point in the picker, with a check box.
import QtQuick
import Lintel.Console

Item {
    id: row

    required property int point
    required property string name
    required property string unitText
    required property bool picked
    property bool ring: false
    signal pressed()

    implicitHeight: Math.max(34, label.height + 14)
    Accessible.role: Accessible.CheckBox
    Accessible.name: unitText ? name + ", " + unitText : name
    Accessible.checkable: true
    Accessible.checked: picked
    Accessible.focusable: true
    Accessible.onPressAction: pressed()

    Rectangle {
        anchors { fill: parent; leftMargin: 8; rightMargin: 8 }
        radius: Theme.radius
        color: pointer.containsMouse ? Theme.hover : "transparent"
        border { width: row.ring ? 2 : 0; color: Theme.accent }
    }
    MouseArea {
        id: pointer
        anchors.fill: parent
        hoverEnabled: true
        onClicked: row.pressed()
    }
    Rectangle {
        id: box
        anchors { left: parent.left; leftMargin: 16; verticalCenter: parent.verticalCenter }
        width: 16
        height: 16
        radius: 3
        color: row.picked ? Theme.accent : "transparent"
        border { width: row.picked ? 0 : 1; color: Theme.muted }

        Canvas {
            id: tick

            readonly property color stroke: Theme.surface

            anchors.fill: parent
            visible: row.picked
            onStrokeChanged: requestPaint()
            onPaint: {
                const pen = getContext("2d")
                pen.reset()
                pen.strokeStyle = stroke
                pen.lineWidth = 2
                pen.beginPath()
                pen.moveTo(3.5, 8.2)
                pen.lineTo(6.8, 11.4)
                pen.lineTo(12.5, 4.8)
                pen.stroke()
            }
        }
    }
    WholeText {
        id: label
        anchors { left: box.right; leftMargin: 10; right: unit.left; rightMargin: 8; verticalCenter: parent.verticalCenter }
        text: row.name
        wrapMode: Text.Wrap
        maximumLineCount: 2
    }
    AppText {
        id: unit
        anchors { right: parent.right; rightMargin: 16; verticalCenter: parent.verticalCenter }
        text: row.unitText
        color: Theme.muted
        font.pixelSize: Theme.noteSize
    }
}
