// SPDX-License-Identifier: GPL-3.0-only
// Picked points over one time window, a small multiple for each unit.
pragma ComponentBehavior: Bound
import QtQuick
import QtQuick.Templates as T
import Lintel.Console
import Lintel.ViewModels

Item {
    id: page

    required property LivePageModel model
    required property ConnectionModel connection
    readonly property bool hasContent: model.state === PageState.Ready
                                       || (model.state === PageState.Offline && model.picker.count + model.panelCount > 0)
    /// Too narrow for picker and charts side by side.
    readonly property bool narrow: width < 920
    property bool pickerOpen: false

    function focusSearch() {
        pickerOpen = true
        picker.focusSearch()
    }

    Accessible.role: Accessible.Pane
    Accessible.name: qsTr("Live")

    Item {
        id: header
        anchors { left: parent.left; right: parent.right; top: parent.top; margins: Theme.margin; topMargin: Theme.gap }
        height: 36

        AppText {
            id: title
            anchors.verticalCenter: parent.verticalCenter
            text: qsTr("Live")
            font { pixelSize: Theme.titleSize; weight: Font.DemiBold }
        }
        TabularText {
            id: note

            readonly property bool fits: x + implicitWidth < tools.x

            anchors { left: title.right; leftMargin: 12; baseline: title.baseline }
            visible: fits
            text: page.model.recordedText + (page.model.recordedText && page.model.pausedText ? ", " : "") + page.model.pausedText
            color: Theme.muted
            font { family: Theme.family; pixelSize: Theme.bodySize }
        }
        Row {
            id: tools
            anchors { right: parent.right; verticalCenter: parent.verticalCenter }
            spacing: 12
            visible: page.hasContent

            Row {
                anchors.verticalCenter: parent.verticalCenter
                spacing: 6
                visible: page.model.anyLate && !page.narrow

                Rectangle {
                    anchors.verticalCenter: parent.verticalCenter
                    width: 14
                    height: 14
                    color: Theme.lateBand
                    border { width: 1; color: Theme.hairline }
                }
                AppText {
                    text: qsTr("arrived late")
                    color: Theme.muted
                    font.pixelSize: Theme.noteSize
                }
            }
            Row {
                anchors.verticalCenter: parent.verticalCenter
                spacing: 6
                rightPadding: 4
                visible: page.model.anyGap && !page.narrow

                Rectangle {
                    anchors.verticalCenter: parent.verticalCenter
                    width: 14
                    height: 14
                    color: "transparent"
                    border { width: 1; color: Theme.hairline }

                    StaleHatch {
                        anchors { fill: parent; margins: 1 }
                        pitch: 5
                    }
                }
                AppText {
                    text: qsTr("no readings")
                    color: Theme.muted
                    font.pixelSize: Theme.noteSize
                }
            }
            Segmented {
                objectName: "windowChoice"
                name: qsTr("Time window")
                choices: page.model.windowChoices
                value: page.model.windowMinutes
                onChosen: function (value) { page.model.windowMinutes = value }
            }
            TextButton {
                objectName: "nowButton"
                visible: page.model.atRecording
                text: qsTr("Now")
                Accessible.name: qsTr("Back to the present")
                onClicked: page.model.goToNow()
            }
            TextButton {
                objectName: "pauseButton"
                width: 92
                text: page.model.paused ? qsTr("Continue") : qsTr("Pause")
                onClicked: page.model.paused = !page.model.paused
            }
            TextButton {
                objectName: "pointsButton"
                visible: page.narrow
                text: qsTr("Points")
                onClicked: page.pickerOpen = !page.pickerOpen
            }
        }
    }
    TabularText {
        id: noteBelow
        anchors { left: header.left; top: header.bottom; topMargin: visible ? Theme.half : 0 }
        height: visible ? implicitHeight : 0
        visible: !note.fits && text.length > 0
        text: note.text
        color: Theme.muted
        font { family: Theme.family; pixelSize: Theme.bodySize }
    }
    Banner {
        id: banner
        anchors { left: header.left; right: header.right; top: noteBelow.bottom; topMargin: visible ? Theme.gap : 0 }
        height: visible ? implicitHeight : 0
        visible: page.hasContent && (page.connection.cut || page.connection.partial)
        priority: page.connection.priority || 3
        heading: page.connection.partial ? qsTr("Connected, but not to everything.")
            : qsTr("%1: values are the last known, lines end where the connection did.").arg(page.connection.stateText.charAt(0).toUpperCase() + page.connection.stateText.slice(1))
        sentence: page.connection.sentence
    }
    EmptyState {
        objectName: "liveEmpty"
        anchors { left: parent.left; right: parent.right; top: header.bottom; bottom: parent.bottom }
        visible: !page.hasContent
        pageState: page.model.state
        heading: page.model.heading
        sentence: page.connection.priority > 0 ? page.connection.sentence : page.model.sentence
    }
    Flickable {
        id: charts
        anchors {
            left: parent.left; leftMargin: Theme.margin
            right: page.narrow ? parent.right : picker.left; rightMargin: page.narrow ? Theme.margin : Theme.gap
            top: banner.bottom; topMargin: Theme.gap
            bottom: parent.bottom; bottomMargin: Theme.margin
        }
        visible: page.hasContent && page.model.panelCount > 0
        contentHeight: column.height
        clip: true
        boundsBehavior: Flickable.StopAtBounds

        Column {
            id: column

            readonly property real share: (charts.height - (page.model.panelCount - 1) * spacing) / Math.max(1, page.model.panelCount)

            width: charts.width
            spacing: Theme.gap

            Repeater {
                model: page.model

                ChartPanel {
                    width: column.width
                    height: Math.max(192, Math.floor(column.share))
                    live: page.model
                }
            }
        }
        T.ScrollBar.vertical: SlimScrollBar {
            parent: page
            anchors { left: charts.right; leftMargin: 3; top: charts.top; bottom: charts.bottom }
        }
    }
    EmptyState {
        anchors.fill: charts
        visible: page.hasContent && page.model.panelCount === 0
        pageState: PageState.Empty
        heading: qsTr("Nothing picked")
        sentence: page.narrow ? qsTr("Press Points and pick what you want to see.") : qsTr("Pick points at the right to see how they go.")
    }
    PointPicker {
        id: picker
        anchors {
            right: parent.right; rightMargin: Theme.margin
            top: banner.bottom; topMargin: Theme.gap
            bottom: parent.bottom; bottomMargin: Theme.margin
        }
        width: 272
        visible: page.hasContent && (!page.narrow || page.pickerOpen)
        model: page.model.picker
        onToggled: function (point) { page.model.toggle(point) }
        onCleared: page.model.clear()
    }
}
