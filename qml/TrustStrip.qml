// SPDX-License-Identifier: GPL-3.0-only
// On every page: where one looks, whether it reports, and how long all goes well without help.
import QtQuick
import Lintel.Console
import Lintel.ViewModels

Rectangle {
    id: strip

    required property ConnectionModel connection
    readonly property bool narrow: width < 1120

    implicitHeight: 56
    color: Theme.surface

    Rectangle {
        anchors { left: parent.left; right: parent.right; bottom: parent.bottom }
        height: 1
        color: Theme.hairline
    }
    AppText {
        id: place
        anchors { left: parent.left; leftMargin: Theme.margin; verticalCenter: parent.verticalCenter }
        text: strip.connection.placeText
        font { pixelSize: Theme.headingSize; weight: Font.DemiBold }
    }
    AppText {
        anchors { left: place.right; leftMargin: 8; right: figures.left; rightMargin: Theme.gap; baseline: place.baseline }
        visible: width > 60
        text: "› " + strip.connection.hostText
        color: Theme.muted
    }
    Row {
        id: figures
        anchors { right: parent.right; rightMargin: Theme.margin; verticalCenter: parent.verticalCenter }
        spacing: strip.narrow ? 24 : 32

        StripItem {
            stacked: strip.narrow
            value: strip.connection.reportingText
            label: qsTr("reporting")
        }
        StripItem {
            stacked: strip.narrow
            value: strip.connection.oldestUnsentText
            label: qsTr("oldest unsent")
        }
        StripItem {
            stacked: strip.narrow
            value: strip.connection.trustRunwayText
            label: strip.connection.trustOwner ? qsTr("trust runway, %1").arg(strip.connection.trustOwner) : qsTr("trust runway")
            priority: strip.connection.trustPriority
        }
        StripItem {
            stacked: strip.narrow
            value: strip.connection.bufferRunwayText
            label: qsTr("buffer runway")
        }
        Row {
            id: state
            objectName: "connectionState"
            height: 40
            spacing: 8
            Accessible.role: Accessible.StaticText
            Accessible.name: qsTr("Connection: %1").arg(strip.connection.stateText)

            PriorityMark {
                anchors.verticalCenter: parent.verticalCenter
                priority: strip.connection.priority
            }
            TabularText {
                anchors.verticalCenter: parent.verticalCenter
                text: strip.connection.stateText
                color: strip.connection.priority > 0 ? Theme.alarm(strip.connection.priority) : Theme.muted
                font {
                    family: Theme.family
                    pixelSize: Theme.bodySize
                    weight: strip.connection.priority > 0 ? Font.DemiBold : Font.Normal
                }
            }
        }
    }
}
