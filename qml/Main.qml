// SPDX-License-Identifier: GPL-3.0-only
// The window: rail, trust strip, one page.
import QtQuick
import Lintel.Console
import Lintel.ViewModels

Window {
    id: root

    required property AppModel app
    property string themeMode: "system"
    property string page: "live"
    property string version

    width: 1280
    height: 800
    minimumWidth: 900
    minimumHeight: 600
    visible: true
    title: qsTr("Lintel")
    color: Theme.ground

    Binding { target: Theme; property: "mode"; value: root.themeMode }
    Binding { target: root.app.live; property: "visible"; value: root.page === "live" && root.visibility !== Window.Minimized }

    Shortcut { sequence: "Ctrl+1"; onActivated: root.page = "live" }
    Shortcut { sequence: "Ctrl+2"; onActivated: root.page = "devices" }
    Shortcut { sequence: "Ctrl+3"; onActivated: root.page = "trust" }
    Shortcut { sequence: "Ctrl+F"; enabled: root.page !== "trust"; onActivated: root.page === "live" ? live.focusSearch() : devices.focusSearch() }

    Rectangle {
        id: rail
        anchors { left: parent.left; top: parent.top; bottom: parent.bottom }
        width: root.width < 1100 ? 168 : 200
        color: Theme.rail
        Accessible.role: Accessible.PageTabList
        Accessible.name: qsTr("Pages")

        AppText {
            id: wordmark
            anchors { left: parent.left; leftMargin: Theme.margin; verticalCenter: parent.top; verticalCenterOffset: 28 }
            text: "Lintel"
            font { pixelSize: 18; weight: Font.DemiBold }
        }
        Column {
            anchors { left: parent.left; right: parent.right; top: parent.top; topMargin: 72; leftMargin: 12; rightMargin: 12 }
            spacing: 4

            RailItem {
                objectName: "railLive"
                width: parent.width
                text: qsTr("Live")
                current: root.page === "live"
                onClicked: root.page = "live"
            }
            RailItem {
                objectName: "railDevices"
                width: parent.width
                text: qsTr("Devices")
                current: root.page === "devices"
                priority: root.app.devices.attentionPriority
                attention: root.app.connection.cut ? 0 : root.app.devices.attention
                onClicked: root.page = "devices"
            }
            RailItem {
                objectName: "railTrust"
                width: parent.width
                text: qsTr("Trust")
                current: root.page === "trust"
                priority: root.app.trust.attentionPriority
                attention: root.app.trust.attention
                onClicked: root.page = "trust"
            }
        }
        UnitChoice {
            id: unitChoice
            objectName: "unitChoice"
            anchors { left: parent.left; right: parent.right; bottom: parent.bottom; margins: 12 }
            units: root.app.units
        }
        Column {
            anchors { left: parent.left; right: parent.right; bottom: unitChoice.top; leftMargin: Theme.margin; rightMargin: 12; bottomMargin: Theme.half }
            spacing: 4

            Row {
                width: parent.width
                spacing: 6
                visible: root.app.connection.trustSentence.length > 0
                bottomPadding: Theme.half

                PriorityMark {
                    id: trustMark
                    y: 3
                    width: 10
                    height: 10
                    priority: root.app.connection.trustPriority
                }
                AppText {
                    objectName: "trustSentence"
                    width: parent.width - (trustMark.visible ? trustMark.width + parent.spacing : 0)
                    text: root.app.connection.trustSentence
                    color: root.app.connection.trustPriority > 0 ? Theme.alarm(root.app.connection.trustPriority) : Theme.muted
                    font.pixelSize: Theme.noteSize
                    lineHeight: 1.25
                    wrapMode: Text.Wrap
                    elide: Text.ElideNone
                }
            }
            TabularText {
                text: root.app.connection.lastMessageText
                color: Theme.muted
                font { family: Theme.family; pixelSize: Theme.noteSize }
            }
            AppText {
                visible: text.length > 0
                text: root.version
                color: Theme.muted
                font.pixelSize: Theme.noteSize
            }
        }
    }
    TrustStrip {
        id: strip
        anchors { left: rail.right; right: parent.right; top: parent.top }
        connection: root.app.connection
    }
    Item {
        anchors { left: rail.right; right: parent.right; top: strip.bottom; bottom: parent.bottom }

        LivePage {
            id: live
            anchors.fill: parent
            visible: root.page === "live"
            model: root.app.live
            connection: root.app.connection
        }
        DevicesPage {
            id: devices
            anchors.fill: parent
            visible: root.page === "devices"
            app: root.app
            onShowInLive: root.page = "live"
        }
        TrustPage {
            anchors.fill: parent
            visible: root.page === "trust"
            app: root.app
        }
    }
}
