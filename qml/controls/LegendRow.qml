// SPDX-License-Identifier: GPL-3.0-only
// One line of a chart: how it is drawn, whose it is, and its value now.
pragma ComponentBehavior: Bound
import QtQuick
import Lintel.Console

Item {
    id: row

    required property int point
    required property string name
    required property string device
    required property string valueText
    required property string noteText
    required property bool muted
    required property bool focused
    required property int dash
    required property string accessibleText
    required property string unitText
    property bool ring: false
    signal pressed()

    implicitHeight: noteText ? 69 : 54
    Accessible.role: Accessible.ListItem
    Accessible.name: accessibleText
    Accessible.focusable: true
    Accessible.selected: focused
    Accessible.onPressAction: pressed()

    Rectangle {
        anchors { fill: parent; margins: 1 }
        radius: Theme.radius
        color: pointer.containsMouse ? Theme.hover : "transparent"
        border { width: row.ring ? 2 : 0; color: Theme.accent }
    }
    Row {
        id: swatch
        anchors { left: parent.left; leftMargin: 8; top: parent.top; topMargin: 15 }
        width: 18
        spacing: row.dash === 0 || row.focused ? 0 : row.dash % 2 === 1 ? 3 : 2
        clip: true

        Repeater {
            model: row.dash === 0 || row.focused ? 1 : row.dash % 2 === 1 ? 2 : 4

            Rectangle {
                width: row.dash === 0 || row.focused ? 18 : row.dash % 2 === 1 ? 7 : 3
                height: 2
                color: row.focused ? Theme.accent : Theme.comparison
            }
        }
    }
    MouseArea {
        id: pointer
        anchors.fill: parent
        hoverEnabled: true
        onClicked: row.pressed()
    }
    WholeText {
        id: label
        anchors { left: parent.left; leftMargin: 36; right: parent.right; rightMargin: 8; top: parent.top; topMargin: 7 }
        text: row.name
        font.weight: row.focused ? Font.DemiBold : Font.Normal
    }
    AppText {
        id: who
        anchors { left: label.left; right: value.left; rightMargin: 12; baseline: value.baseline }
        text: row.device
        color: Theme.muted
        font.pixelSize: Theme.noteSize
    }
    AppText {
        anchors { left: label.left; right: label.right; top: who.bottom }
        visible: row.noteText.length > 0
        text: row.noteText
        color: Theme.muted
        font.pixelSize: Theme.noteSize
    }
    ValueText {
        id: value
        anchors { right: parent.right; rightMargin: 8; top: label.bottom; topMargin: 1 }
        text: row.valueText
        unit: row.unitText
        muted: row.muted
        size: 18
        weight: row.focused ? Font.DemiBold : Font.Medium
    }
}
