// SPDX-License-Identifier: GPL-3.0-only
// One page in the rail.
import QtQuick
import QtQuick.Templates as T
import Lintel.Console

T.Button {
    id: item

    property bool current: false
    /// How many things need attention there; 0 shows nothing.
    property int attention: 0
    property int priority: 2

    implicitHeight: 40
    hoverEnabled: true
    focusPolicy: Qt.StrongFocus
    Accessible.role: Accessible.PageTab
    Accessible.name: attention > 0 ? qsTr("%1, %2 need attention").arg(text).arg(attention) : text
    Accessible.selected: current

    contentItem: Item {
        AppText {
            anchors { left: parent.left; leftMargin: 16; verticalCenter: parent.verticalCenter }
            text: item.text
            font { pixelSize: 14; weight: item.current ? Font.DemiBold : Font.Normal }
        }
        Row {
            anchors { right: parent.right; rightMargin: 16; verticalCenter: parent.verticalCenter }
            spacing: 6
            visible: item.attention > 0

            PriorityMark {
                anchors.verticalCenter: parent.verticalCenter
                priority: item.priority
                width: 10
                height: 10
            }
            AppText {
                text: item.attention
                color: Theme.alarm(item.priority)
                font.weight: Font.DemiBold
            }
        }
    }
    background: Rectangle {
        radius: Theme.radius
        color: item.current ? Theme.surface : item.hovered ? Theme.hover : "transparent"
        border { width: item.current ? 1 : 0; color: Theme.hairline }
    }
    FocusRing { shown: item.visualFocus }
}
