// SPDX-License-Identifier: GPL-3.0-only
// Something abnormal about the whole page, in a sentence, above what it still shows.
import QtQuick
import Lintel.Console

Rectangle {
    id: banner

    property int priority: 2
    property string heading
    property string sentence

    implicitHeight: Math.max(Theme.target, words.implicitHeight + 24)
    radius: Theme.radius
    color: Theme.surface
    border { width: 1; color: Theme.alarm(priority) }
    Accessible.role: Accessible.AlertMessage
    Accessible.name: heading + ". " + sentence

    PriorityMark {
        id: mark
        anchors { left: parent.left; leftMargin: 16; verticalCenter: parent.verticalCenter }
        width: 14
        height: 14
        priority: banner.priority
    }
    Column {
        id: words
        anchors { left: mark.right; leftMargin: 12; right: parent.right; rightMargin: 16; verticalCenter: parent.verticalCenter }
        spacing: 2

        AppText {
            width: parent.width
            text: banner.heading
            font.weight: Font.DemiBold
        }
        AppText {
            width: parent.width
            visible: text.length > 0
            text: banner.sentence
            color: Theme.muted
            wrapMode: Text.Wrap
            elide: Text.ElideNone
        }
    }
}
