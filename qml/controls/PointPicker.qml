// SPDX-License-Identifier: GPL-3.0-only
// Points to draw, by device, with a search.
import QtQuick
import QtQuick.Templates as T
import Lintel.Console
import Lintel.ViewModels

Card {
    id: picker

    required property PointPickerModel model
    signal toggled(int point)
    signal cleared()

    function focusSearch() { search.forceActiveFocus(Qt.ShortcutFocusReason) }

    AppText {
        id: title
        anchors { left: parent.left; leftMargin: 16; top: parent.top; topMargin: 14 }
        text: qsTr("Points")
        font.weight: Font.DemiBold
    }
    AppText {
        anchors { left: title.right; leftMargin: 8; baseline: title.baseline }
        text: qsTr("%1 drawn").arg(picker.model.pickedCount)
        color: Theme.muted
        font.pixelSize: Theme.noteSize
    }
    TextButton {
        anchors { right: parent.right; rightMargin: 8; verticalCenter: title.verticalCenter }
        visible: picker.model.pickedCount > 0
        framed: false
        text: qsTr("Clear")
        Accessible.name: qsTr("Draw no points")
        onClicked: picker.cleared()
    }
    SearchField {
        id: search
        objectName: "pointSearch"
        anchors { left: parent.left; right: parent.right; top: title.bottom; margins: 12; topMargin: 12 }
        hint: qsTr("Search points")
        onTextChanged: picker.model.search = text
        Keys.onDownPressed: list.forceActiveFocus(Qt.TabFocusReason)
    }
    ListView {
        id: list
        objectName: "pointList"
        anchors { left: parent.left; right: parent.right; top: search.bottom; topMargin: 8; bottom: parent.bottom; margins: 1; bottomMargin: 8 }
        clip: true
        model: picker.model
        boundsBehavior: Flickable.StopAtBounds
        activeFocusOnTab: true
        keyNavigationEnabled: true
        Accessible.role: Accessible.List
        Accessible.name: qsTr("Points")
        Keys.onSpacePressed: if (currentItem) picker.toggled((currentItem as PickerRow).point)
        Keys.onReturnPressed: if (currentItem) picker.toggled((currentItem as PickerRow).point)

        section.property: "device"
        section.delegate: Item {
            id: header

            required property string section

            width: ListView.view.width
            height: 32

            AppText {
                anchors { left: parent.left; leftMargin: 16; right: parent.right; rightMargin: 16; bottom: parent.bottom; bottomMargin: 5 }
                text: header.section
                color: Theme.muted
                font { pixelSize: Theme.noteSize; weight: Font.Medium }
            }
        }
        // Qt 6.4 cannot make section headers in files whose components are bound.
        // qmllint disable unqualified
        delegate: PickerRow {
            width: ListView.view.width
            ring: list.activeFocus && ListView.isCurrentItem
            onPressed: picker.toggled(point)
        }
        // qmllint enable unqualified
        T.ScrollBar.vertical: SlimScrollBar {}
    }
    AppText {
        anchors { horizontalCenter: list.horizontalCenter; top: list.top; topMargin: 24 }
        visible: list.count === 0
        text: picker.model.search ? qsTr("No point matches") : qsTr("No points yet")
        color: Theme.muted
    }
}
