// SPDX-License-Identifier: GPL-3.0-only
// Every device with its state and first values; the selected one with all its points.
pragma ComponentBehavior: Bound
import QtQuick
import QtQuick.Templates as T
import Lintel.Console
import Lintel.ViewModels

Item {
    id: page

    required property AppModel app
    readonly property DeviceListModel model: app.devices
    readonly property bool hasContent: model.state === PageState.Ready || (model.state === PageState.Offline && model.total > 0)
    readonly property bool narrow: width < 1000
    /// Narrow windows show either the list or the device.
    property bool detailOpen: false
    signal showInLive()

    function focusSearch() { search.forceActiveFocus(Qt.ShortcutFocusReason) }
    function open(device: int) {
        app.detail.device = device
        detailOpen = true
    }

    Accessible.role: Accessible.Pane
    Accessible.name: qsTr("Devices")

    Item {
        id: header
        anchors { left: parent.left; right: parent.right; top: parent.top; margins: Theme.margin; topMargin: Theme.gap }
        height: 36

        AppText {
            id: title
            anchors.verticalCenter: parent.verticalCenter
            text: qsTr("Devices")
            font { pixelSize: Theme.titleSize; weight: Font.DemiBold }
        }
        TabularText {
            anchors { left: title.right; leftMargin: 12; baseline: title.baseline }
            visible: page.hasContent && x + width < tools.x
            text: page.model.summary
            color: Theme.muted
            font { family: Theme.family; pixelSize: Theme.bodySize }
        }
        Row {
            id: tools
            anchors { right: parent.right; verticalCenter: parent.verticalCenter }
            spacing: 12
            visible: page.hasContent

            Segmented {
                objectName: "attentionChoice"
                name: qsTr("Which devices")
                choices: [{ value: false, label: qsTr("All") }, { value: true, label: qsTr("Needs attention") }]
                value: page.model.attentionOnly
                onChosen: function (value) { page.model.attentionOnly = value }
            }
            SearchField {
                id: search
                objectName: "deviceSearch"
                width: page.narrow ? 160 : 240
                hint: qsTr("Search devices")
                onTextChanged: page.model.search = text
                Keys.onDownPressed: list.forceActiveFocus(Qt.TabFocusReason)
            }
        }
    }
    Banner {
        id: banner
        anchors { left: header.left; right: header.right; top: header.bottom; topMargin: visible ? Theme.gap : 0 }
        height: visible ? implicitHeight : 0
        visible: page.hasContent && (page.app.connection.cut || page.app.connection.partial)
        priority: page.app.connection.priority || 3
        heading: page.app.connection.partial ? qsTr("Connected, but not to everything.")
            : qsTr("%1: states and values are the last known.").arg(page.app.connection.stateText.charAt(0).toUpperCase() + page.app.connection.stateText.slice(1))
        sentence: page.app.connection.sentence
    }
    EmptyState {
        objectName: "devicesEmpty"
        anchors { left: parent.left; right: parent.right; top: header.bottom; bottom: parent.bottom }
        visible: !page.hasContent
        pageState: page.model.state
        heading: page.model.heading
        sentence: page.app.connection.priority > 0 ? page.app.connection.sentence : page.model.sentence
    }
    Card {
        id: listCard
        anchors {
            left: parent.left; leftMargin: Theme.margin
            right: page.narrow ? parent.right : detail.left; rightMargin: page.narrow ? Theme.margin : Theme.gap
            top: banner.bottom; topMargin: Theme.gap
            bottom: parent.bottom; bottomMargin: Theme.margin
        }
        visible: page.hasContent && !(page.narrow && page.detailOpen)

        ListView {
            id: list
            objectName: "deviceList"
            anchors { fill: parent; margins: 1 }
            clip: true
            model: page.model
            boundsBehavior: Flickable.StopAtBounds
            activeFocusOnTab: true
            keyNavigationEnabled: true
            currentIndex: -1
            Accessible.role: Accessible.List
            Accessible.name: qsTr("Devices")
            onActiveFocusChanged: if (activeFocus && currentIndex < 0) currentIndex = Math.max(0, page.model.rowOf(page.app.detail.device))
            onCurrentIndexChanged: if (currentIndex >= 0 && activeFocus) page.app.detail.device = page.model.deviceAt(currentIndex)
            Keys.onReturnPressed: page.open(page.model.deviceAt(currentIndex))
            Keys.onSpacePressed: page.open(page.model.deviceAt(currentIndex))

            delegate: DeviceRow {
                width: ListView.view.width
                current: !page.narrow && device === page.app.detail.device
                ring: list.activeFocus && ListView.isCurrentItem
                onPressed: {
                    list.currentIndex = index
                    page.open(device)
                }
            }
            T.ScrollBar.vertical: SlimScrollBar {}
        }
        AppText {
            anchors { horizontalCenter: parent.horizontalCenter; top: parent.top; topMargin: 40 }
            visible: list.count === 0
            text: page.model.search ? qsTr("No device matches “%1”.").arg(page.model.search) : qsTr("Nothing needs attention.")
            color: Theme.muted
        }
    }
    DeviceDetail {
        id: detail
        anchors {
            right: parent.right; rightMargin: Theme.margin
            top: banner.bottom; topMargin: Theme.gap
            bottom: parent.bottom; bottomMargin: Theme.margin
        }
        width: page.narrow ? parent.width - 2 * Theme.margin : Math.min(480, Math.max(384, Math.round(page.width * 0.34)))
        visible: page.hasContent && (!page.narrow || page.detailOpen)
        model: page.app.detail
        live: page.app.live
        closable: page.narrow
        onClosed: page.detailOpen = false
        onShowInLive: page.showInLive()
    }
}
