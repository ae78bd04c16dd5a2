// SPDX-License-Identifier: GPL-3.0-only
// One card of the Trust page: what it is about, how many, its rows, and a sentence where there are none or
// something is to be said of all of them.
pragma ComponentBehavior: Bound
import QtQuick
import Lintel.Console

Card {
    id: card

    property string title
    property string note
    property list<var> rows
    property int count: rows.length

    implicitHeight: column.height + 4
    Accessible.role: Accessible.List
    Accessible.name: title

    Column {
        id: column
        width: parent.width

        Item {
            width: parent.width
            height: 40

            AppText {
                anchors { left: parent.left; leftMargin: 16; verticalCenter: parent.verticalCenter; verticalCenterOffset: 2 }
                text: card.title
                font.weight: Font.DemiBold
            }
            AppText {
                anchors { right: parent.right; rightMargin: 16; verticalCenter: parent.verticalCenter; verticalCenterOffset: 2 }
                visible: card.count > 0
                text: card.count
                color: Theme.muted
            }
        }
        Repeater {
            model: card.rows

            TrustRow {
                required property var modelData
                required property int index

                width: column.width
                title: modelData.title
                stateText: modelData.stateText
                detail: modelData.detail
                note: modelData.note
                priority: modelData.priority
                accessibleText: modelData.accessibleText
                hash: modelData.hash || ""
                command: modelData.command || ""
                owner: modelData.owner || ""
                last: index === card.rows.length - 1
            }
        }
        AppText {
            width: parent.width
            visible: text.length > 0
            leftPadding: 16
            rightPadding: 16
            topPadding: card.rows.length > 0 ? 4 : 0
            bottomPadding: 10
            text: card.note
            color: Theme.muted
            lineHeight: 1.25
            wrapMode: Text.Wrap
            elide: Text.ElideNone
        }
    }
}
