// SPDX-License-Identifier: GPL-3.0-only
// One matter of the Trust page: who, what of it, and where something can be done, the command for it.
import QtQuick
import Lintel.Console
import Lintel.ViewModels

Item {
    id: row

    required property string title
    required property string stateText
    required property string detail
    required property string note
    required property int priority
    required property string accessibleText
    property string hash
    property string command
    /// Whose row it is where several tell; empty where one does.
    property string owner
    property bool last: false
    /// The command went to the clipboard a moment ago.
    property bool copied: false
    /// Who it is has its whole line where both have no room on one.
    readonly property bool stacked: name.implicitWidth + when.implicitWidth + 48 > words.width

    implicitHeight: words.height + 24
    Accessible.role: Accessible.ListItem
    Accessible.name: accessibleText

    AppText {
        id: place
        anchors { left: parent.left; leftMargin: 16; top: parent.top; topMargin: 13 }
        visible: row.owner.length > 0
        width: Math.min(160, Math.round(row.width * 0.14))
        text: row.owner
        color: Theme.muted
        elide: Text.ElideMiddle
        Accessible.ignored: true // the row says it
    }
    Column {
        id: words
        anchors { left: place.visible ? place.right : parent.left; leftMargin: 16; right: parent.right; rightMargin: 16; top: parent.top; topMargin: 12 }
        spacing: 4

        Item {
            width: parent.width
            height: row.stacked ? head.height + when.height + 2 : Math.max(head.height, when.height)

            Row {
                id: head
                width: row.stacked ? parent.width : Math.max(120, parent.width - when.implicitWidth - 24)
                spacing: 8

                PriorityMark {
                    id: mark
                    y: 4
                    width: 11
                    height: 11
                    priority: row.priority
                }
                WholeText {
                    id: name
                    width: parent.width - (mark.visible ? mark.width + parent.spacing : 0)
                    text: row.title
                    elide: Text.ElideMiddle
                    font { pixelSize: 14; weight: Font.DemiBold }
                }
            }
            Row {
                id: when
                x: row.stacked ? 0 : parent.width - width
                y: row.stacked ? head.height + 2 : 1
                spacing: 12

                TabularText {
                    visible: row.detail.length > 0
                    text: row.detail
                    color: Theme.muted
                    font { family: Theme.family; pixelSize: Theme.bodySize }
                }
                TabularText {
                    visible: row.stateText.length > 0
                    text: row.stateText
                    color: row.priority > 0 ? Theme.alarm(row.priority) : Theme.muted
                    font { family: Theme.family; pixelSize: Theme.bodySize; weight: row.priority > 0 ? Font.DemiBold : Font.Normal }
                }
            }
        }
        AppText {
            width: parent.width
            visible: text.length > 0
            text: row.note
            color: Theme.muted
            lineHeight: 1.25
            wrapMode: Text.Wrap
            elide: Text.ElideNone
        }
        AppText {
            width: parent.width
            visible: text.length > 0
            text: row.hash.length > 0 ? qsTr("Hash of its key: %1").arg(row.hash) : ""
            color: Theme.muted
            wrapMode: Text.WrapAnywhere
            elide: Text.ElideNone
            lineHeight: 1.25
        }
        Item {
            width: parent.width
            height: visible ? copy.height : 0
            visible: row.command.length > 0

            Rectangle {
                anchors { left: parent.left; right: copy.left; rightMargin: Theme.half; top: parent.top; bottom: parent.bottom }
                radius: Theme.radius
                color: Theme.ground

                TextInput {
                    id: commandText
                    anchors { left: parent.left; right: parent.right; margins: 10; verticalCenter: parent.verticalCenter }
                    readOnly: true
                    selectByMouse: true
                    activeFocusOnTab: false
                    clip: true
                    text: row.command
                    onTextChanged: cursorPosition = 0 // where it has no room, its beginning is what is seen
                    color: Theme.text
                    selectionColor: Theme.accent
                    selectedTextColor: Theme.surface
                    font { family: Theme.family; pixelSize: Theme.bodySize }
                    Accessible.role: Accessible.StaticText
                    Accessible.name: row.command
                    Accessible.ignored: row.command.length === 0
                }
            }
            TextButton {
                id: copy
                anchors { right: parent.right; top: parent.top }
                text: row.copied ? qsTr("Copied") : qsTr("Copy")
                Accessible.name: qsTr("Copy the command: %1").arg(row.command)
                onClicked: {
                    commandText.selectAll()
                    commandText.copy()
                    commandText.deselect()
                    commandText.cursorPosition = 0
                    row.copied = true
                    back.restart()
                }
                Timer {
                    id: back
                    interval: 2000
                    onTriggered: row.copied = false
                }
            }
        }
    }
    Rectangle {
        anchors { left: parent.left; leftMargin: 16; right: parent.right; rightMargin: 16; bottom: parent.bottom }
        visible: !row.last
        height: 1
        color: Theme.grid
    }
}
