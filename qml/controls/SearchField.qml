// SPDX-License-Identifier: GPL-3.0-only
// A search line. Escape empties it.
import QtQuick
import QtQuick.Templates as T
import Lintel.Console

T.TextField {
    id: field

    property string hint

    implicitWidth: 200
    implicitHeight: 36
    leftPadding: 12
    rightPadding: clear.visible ? 36 : 12
    verticalAlignment: TextInput.AlignVCenter
    color: Theme.text
    selectionColor: Theme.accent
    selectedTextColor: Theme.surface
    selectByMouse: true
    font { family: Theme.family; pixelSize: Theme.bodySize }
    Accessible.name: hint
    Keys.onEscapePressed: function (event) {
        event.accepted = text.length > 0
        text = ""
    }

    background: Rectangle {
        radius: Theme.radius
        color: Theme.surface
        border { width: field.activeFocus ? 2 : 1; color: field.activeFocus ? Theme.accent : Theme.hairline }
    }
    AppText {
        anchors { left: parent.left; leftMargin: 12; right: parent.right; rightMargin: 12; verticalCenter: parent.verticalCenter }
        visible: field.text.length === 0
        text: field.hint
        color: Theme.muted
    }
    MouseArea {
        id: clear
        anchors { right: parent.right; top: parent.top; bottom: parent.bottom }
        width: 36
        visible: field.text.length > 0
        cursorShape: Qt.ArrowCursor
        onClicked: field.text = ""
        Accessible.role: Accessible.Button
        Accessible.name: qsTr("Clear the search")
        Accessible.onPressAction: field.text = ""

        AppText {
            anchors.centerIn: parent
            text: "×"
            color: Theme.muted
            font.pixelSize: 16
        }
    }
}
