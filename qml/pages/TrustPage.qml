// SPDX-License-Identifier: GPL-3.0-only
// Whose identity is not in order, who asks to come in, whom the broker refused, and how long trust holds.
pragma ComponentBehavior: Bound
import QtQuick
import QtQuick.Templates as T
import Lintel.Console
import Lintel.ViewModels

Item {
    id: page

    required property AppModel app
    readonly property TrustPageModel model: app.trust
    readonly property bool hasContent: model.state === PageState.Ready
        || (model.state === PageState.Offline && app.devices.total > 0)

    Accessible.role: Accessible.Pane
    Accessible.name: qsTr("Trust")

    Item {
        id: header
        anchors { left: parent.left; right: parent.right; top: parent.top; margins: Theme.margin; topMargin: Theme.gap }
        height: 36

        AppText {
            id: title
            anchors.verticalCenter: parent.verticalCenter
            text: qsTr("Trust")
            font { pixelSize: Theme.titleSize; weight: Font.DemiBold }
        }
        TabularText {
            anchors { left: title.right; leftMargin: 12; baseline: title.baseline }
            visible: page.hasContent
            text: page.model.summary
            color: Theme.muted
            font { family: Theme.family; pixelSize: Theme.bodySize }
        }
    }
    Banner {
        id: banner
        anchors { left: header.left; right: header.right; top: header.bottom; topMargin: visible ? Theme.gap : 0 }
        height: visible ? implicitHeight : 0
        visible: page.hasContent && (page.app.connection.cut || page.app.connection.partial)
        priority: page.app.connection.priority || 3
        heading: page.app.connection.partial ? qsTr("Connected, but not to everything.")
            : qsTr("%1: what stands here is the last known.").arg(page.app.connection.stateText.charAt(0).toUpperCase() + page.app.connection.stateText.slice(1))
        sentence: page.app.connection.sentence
    }
    EmptyState {
        objectName: "trustEmpty"
        anchors { left: parent.left; right: parent.right; top: header.bottom; bottom: parent.bottom }
        visible: !page.hasContent
        pageState: page.model.state
        heading: page.model.heading
        sentence: page.app.connection.priority > 0 ? page.app.connection.sentence : page.model.sentence
    }
    Flickable {
        id: view
        objectName: "trustView"
        anchors { left: parent.left; right: parent.right; top: banner.bottom; topMargin: Theme.gap; bottom: parent.bottom }
        visible: page.hasContent
        clip: true
        boundsBehavior: Flickable.StopAtBounds
        contentHeight: cards.height + Theme.margin
        activeFocusOnTab: true
        Accessible.role: Accessible.Pane
        Accessible.name: qsTr("Identities, requests and refusals")
        Accessible.focusable: true
        Keys.onDownPressed: page.scroll(64)
        Keys.onUpPressed: page.scroll(-64)
        Keys.onPressed: function (event) {
            if (event.key === Qt.Key_PageDown || event.key === Qt.Key_PageUp) {
                page.scroll((event.key === Qt.Key_PageDown ? 0.9 : -0.9) * view.height)
                event.accepted = true
            }
        }
        T.ScrollBar.vertical: SlimScrollBar {}

        Column {
            id: cards
            x: Theme.margin
            width: Math.min(1120, view.width - 2 * Theme.margin)
            spacing: Theme.gap

            TrustCard {
                objectName: "trustBroken"
                width: parent.width
                title: page.model.broken.length > 0 ? qsTr("Identities not in order") : qsTr("Identities")
                rows: page.model.broken
                note: page.model.brokenNote
            }
            TrustCard {
                objectName: "trustWaiting"
                width: parent.width
                title: qsTr("Waiting for approval")
                count: page.model.waitingTotal
                rows: page.model.waiting
                note: page.model.waitingNote
            }
            TrustCard {
                objectName: "trustRefused"
                width: parent.width
                title: qsTr("Refused by the broker")
                rows: page.model.refused
                note: page.model.refusedNote
            }
            TrustCard {
                objectName: "trustGateways"
                width: parent.width
                title: qsTr("Trust without the uplink")
                count: 0
                rows: page.model.gateways
                note: page.model.gatewaysNote
            }
        }
    }

    function scroll(by: real) {
        view.contentY = Math.max(0, Math.min(view.contentHeight - view.height, view.contentY + by))
    }
    /// A button that is reached by the keyboard comes into sight.
    function show(item: Item) {
        const top = item.mapToItem(cards, 0, 0).y
        if (top < view.contentY)
            view.contentY = Math.max(0, top - Theme.gap)
        else if (top + item.height > view.contentY + view.height)
            view.contentY = Math.min(view.contentHeight - view.height, top + item.height + Theme.gap - view.height)
    }
    Connections {
        target: page.Window.window
        function onActiveFocusItemChanged() {
            const item = page.Window.activeFocusItem
            for (let parent = item ? item.parent : null; parent; parent = parent.parent) {
                if (parent === cards) {
                    page.show(item)
                    return
                }
            }
        }
    }
}
