// SPDX-License-Identifier: GPL-3.0-only
// One device: what is known of it, and all its points with their last quarter of an hour.
pragma ComponentBehavior: Bound
import QtQuick
import QtQuick.Templates as T
import Lintel.Console
import Lintel.ViewModels

Card {
    id: detail

    required property DeviceDetailModel model
    required property LivePageModel live
    property bool closable: false
    signal closed()
    signal showInLive()

    Accessible.role: Accessible.Pane
    Accessible.name: model.name

    TextButton {
        id: back
        anchors { left: parent.left; leftMargin: 8; top: parent.top; topMargin: 8 }
        visible: detail.closable
        framed: false
        text: qsTr("‹ All devices")
        onClicked: detail.closed()
    }
    Column {
        id: head
        anchors { left: parent.left; right: parent.right; top: detail.closable ? back.bottom : parent.top; margins: 16; topMargin: detail.closable ? 4 : 16 }
        spacing: 4
        visible: detail.model.device >= 0

        AppText {
            width: parent.width
            text: detail.model.name
            font { pixelSize: 16; weight: Font.DemiBold }
        }
        AppText {
            width: parent.width
            text: detail.model.place
            color: Theme.muted
        }
        Row {
            spacing: 6
            topPadding: 4
            visible: detail.model.priority > 0

            PriorityMark {
                y: 6
                width: 11
                height: 11
                priority: detail.model.priority
            }
            TabularText {
                text: detail.model.stateText
                color: Theme.alarm(detail.model.priority)
                font { family: Theme.family; pixelSize: Theme.bodySize; weight: Font.DemiBold }
            }
        }
        AppText {
            width: parent.width
            visible: text.length > 0
            text: detail.model.reason
            color: Theme.muted
            lineHeight: 1.25
            wrapMode: Text.Wrap
            elide: Text.ElideNone
        }
    }
    Grid {
        id: facts
        anchors { left: parent.left; right: parent.right; top: head.bottom; leftMargin: 16; rightMargin: 16; topMargin: 16 }
        columns: 2
        columnSpacing: 16
        rowSpacing: 10
        visible: head.visible

        Repeater {
            model: detail.model.facts

            Item {
                id: fact

                required property var modelData

                width: (facts.width - facts.columnSpacing) / 2
                height: 34
                Accessible.role: Accessible.StaticText
                Accessible.name: modelData.label + ": " + modelData.text

                AppText {
                    width: parent.width
                    text: fact.modelData.label
                    color: Theme.muted
                    font.pixelSize: Theme.noteSize
                }
                AppText {
                    y: 16
                    width: parent.width
                    text: fact.modelData.text
                }
            }
        }
    }
    Rectangle {
        id: rule
        anchors { left: parent.left; right: parent.right; top: facts.bottom; topMargin: 16 }
        height: 1
        color: Theme.grid
        visible: head.visible
    }
    ListView {
        id: points
        objectName: "detailPoints"
        anchors { left: parent.left; right: parent.right; top: rule.bottom; bottom: parent.bottom; margins: 1 }
        clip: true
        model: detail.model
        boundsBehavior: Flickable.StopAtBounds
        activeFocusOnTab: true
        keyNavigationEnabled: true
        Accessible.role: Accessible.List
        Accessible.name: qsTr("Points of %1").arg(detail.model.name)
        Keys.onReturnPressed: if (currentItem) (currentItem as PointRow).pressed()
        Keys.onSpacePressed: if (currentItem) (currentItem as PointRow).pressed()

        delegate: PointRow {
            width: ListView.view.width
            ring: points.activeFocus && ListView.isCurrentItem
            onPressed: {
                if (!chartable)
                    return
                detail.live.show(point)
                detail.showInLive()
            }
        }
        T.ScrollBar.vertical: SlimScrollBar {}
    }
    AppText {
        anchors { horizontalCenter: points.horizontalCenter; top: points.top; topMargin: 24 }
        visible: head.visible && points.count === 0
        text: qsTr("This device has no points of its own.")
        color: Theme.muted
    }
}
