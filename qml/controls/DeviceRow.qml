// SPDX-License-Identifier: GPL-3.0-only
// One device in the list: who and where, its first values, its state in words.
pragma ComponentBehavior: Bound
import QtQuick
import Lintel.Console
import Lintel.ViewModels

Item {
    id: row

    required property int index
    required property int device
    required property string name
    required property string place
    required property string stateText
    required property string reason
    required property int priority
    required property var values
    required property string ageText
    required property bool muted
    required property string accessibleText
    property bool current: false
    property bool ring: false
    /// What is refused has no values of now: the state and its reason take their room.
    readonly property bool explains: reason.length > 0 || state.implicitText > 148
    // Values are wide enough for their names where the row has the room; the first 200 pixels are the device's.
    readonly property int valueWidth: Math.max(140, Math.min(216, (state.x - 16 - 200) / Math.max(1, shownValues)))
    readonly property int shownValues: (width > 820 ? 3 : width > 600 ? 2 : 1) - (explains ? 1 : 0)
    signal pressed()

    // Names that need two lines make their row higher; everything in it keeps its distance to the upper edge.
    implicitHeight: 20 + Math.max(40, figures.height)
    Accessible.role: Accessible.ListItem
    Accessible.name: accessibleText
    Accessible.focusable: true
    Accessible.selected: current
    Accessible.onPressAction: pressed()

    MouseArea {
        id: pointer
        anchors.fill: parent
        hoverEnabled: true
        onClicked: row.pressed()
    }
    Rectangle {
        anchors.fill: parent
        radius: Theme.radius - 1
        color: row.current ? Theme.selected : pointer.containsMouse ? Theme.hover : "transparent"
    }
    Rectangle {
        anchors { left: parent.left; leftMargin: 16; right: parent.right; rightMargin: 16; bottom: parent.bottom }
        height: 1
        color: Theme.grid
    }
    Column {
        anchors { left: parent.left; leftMargin: 16; right: figures.left; rightMargin: 12; top: parent.top; topMargin: 12 }
        spacing: 3

        AppText {
            width: parent.width
            text: row.name
            font { pixelSize: 14; weight: Font.DemiBold }
        }
        AppText {
            width: parent.width
            text: row.place
            color: Theme.muted
            font.pixelSize: Theme.noteSize
        }
    }
    Row {
        id: figures
        anchors { right: state.left; rightMargin: 16; top: parent.top; topMargin: 10 }

        Repeater {
            model: row.shownValues

            Item {
                id: figure

                required property int index
                readonly property var entry: index < row.values.length ? row.values[index] : null

                width: row.valueWidth
                height: 22 + label.height

                ValueText {
                    anchors { right: parent.right; top: parent.top }
                    visible: figure.entry !== null
                    text: figure.entry ? figure.entry.value : ""
                    unit: figure.entry ? figure.entry.unit : ""
                    muted: figure.entry ? figure.entry.muted : false
                    size: 15
                }
                WholeText {
                    id: label
                    anchors { right: parent.right; left: parent.left; leftMargin: 8; top: parent.top; topMargin: 22 }
                    text: figure.entry ? figure.entry.name : ""
                    color: Theme.muted
                    font.pixelSize: 11
                    lineHeight: 13
                    lineHeightMode: Text.FixedHeight
                    horizontalAlignment: Text.AlignRight
                    wrapMode: Text.Wrap
                    maximumLineCount: 2
                }
            }
        }
    }
    Item {
        id: state
        anchors { right: parent.right; rightMargin: 16; top: parent.top; topMargin: 10 }
        readonly property real implicitText: words.implicitWidth + 17
        width: row.explains ? 288 : 148
        height: 37 // the second line is level with the place

        Row {
            anchors { right: parent.right; top: parent.top; topMargin: 3 }
            spacing: 6

            PriorityMark {
                anchors.verticalCenter: parent.verticalCenter
                width: 11
                height: 11
                priority: row.priority
            }
            TabularText {
                id: words
                text: row.stateText
                color: row.priority > 0 ? Theme.alarm(row.priority) : Theme.muted
                font { family: Theme.family; pixelSize: Theme.bodySize; weight: row.priority > 0 ? Font.DemiBold : Font.Normal }
            }
        }
        TabularText {
            anchors { right: parent.right; bottom: parent.bottom }
            visible: row.reason.length === 0
            text: row.ageText
            color: Theme.muted
            font { family: Theme.family; pixelSize: Theme.noteSize }
        }
        AppText {
            anchors { left: parent.left; right: parent.right; bottom: parent.bottom }
            visible: row.reason.length > 0
            text: row.reason
            color: Theme.muted
            font.pixelSize: Theme.noteSize
            horizontalAlignment: Text.AlignRight
        }
    }
    Rectangle {
        anchors { fill: parent; margins: 2 }
        visible: row.ring
        color: "transparent"
        radius: Theme.radius
        border { width: 2; color: Theme.accent }
    }
}
