// SPDX-License-Identifier: GPL-3.0-only
// One point of a device: name and age, how it went, its value. A press shows it on the Live page.
import QtQuick
import Lintel.Console
import Lintel.ViewModels

Item {
    id: row

    required property int point
    required property string name
    required property string valueText
    required property string unitText
    required property string ageText
    required property bool muted
    required property int priority
    required property var trend
    required property bool chartable
    required property string accessibleText
    property bool ring: false
    signal pressed()

    implicitHeight: Math.max(56, words.height + 20)
    Accessible.role: Accessible.ListItem
    Accessible.name: accessibleText
    Accessible.description: chartable ? qsTr("Press to show it on the Live page") : ""
    Accessible.focusable: true
    Accessible.onPressAction: pressed()

    Rectangle {
        anchors.fill: parent
        radius: Theme.radius - 1
        color: pointer.containsMouse && row.chartable ? Theme.hover : "transparent"
        border { width: row.ring ? 2 : 0; color: Theme.accent }
    }
    MouseArea {
        id: pointer
        anchors.fill: parent
        hoverEnabled: true
        cursorShape: row.chartable ? Qt.PointingHandCursor : Qt.ArrowCursor
        onClicked: row.pressed()
    }
    Column {
        id: words
        anchors { left: parent.left; leftMargin: 16; right: spark.left; rightMargin: 12; verticalCenter: parent.verticalCenter }
        spacing: 3

        WholeText {
            width: parent.width
            text: row.name
            wrapMode: Text.Wrap
            maximumLineCount: 3
        }
        Row {
            spacing: 5

            PriorityMark {
                anchors.verticalCenter: parent.verticalCenter
                width: 9
                height: 9
                priority: row.priority
            }
            TabularText {
                text: row.ageText
                color: row.priority > 0 ? Theme.alarm(row.priority) : Theme.muted
                font { family: Theme.family; pixelSize: Theme.noteSize }
            }
        }
    }
    Sparkline {
        id: spark
        anchors { right: value.left; rightMargin: 12; verticalCenter: parent.verticalCenter }
        width: 72
        height: 28
        visible: row.chartable
        line: row.trend
        color: row.muted ? Theme.comparison : Theme.accent
    }
    Item {
        id: value
        anchors { right: parent.right; rightMargin: 16; verticalCenter: parent.verticalCenter }
        width: 112
        height: number.implicitHeight

        ValueText {
            id: number
            anchors.right: parent.right
            text: row.valueText
            unit: row.unitText
            muted: row.muted
        }
    }
    Rectangle {
        anchors { left: parent.left; leftMargin: 16; right: parent.right; rightMargin: 16; bottom: parent.bottom }
        height: 1
        color: Theme.grid
    }
}
