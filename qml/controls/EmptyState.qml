// SPDX-License-Identifier: GPL-3.0-only
// What a page says when it has nothing to show: loading, empty, offline, failed.
import QtQuick
import Lintel.Console
import Lintel.ViewModels

Item {
    id: empty

    property int pageState: PageState.Loading
    property string heading
    property string sentence
    property string note

    Accessible.role: Accessible.StaticText
    Accessible.name: heading + ". " + sentence

    Column {
        anchors.centerIn: parent
        width: Math.min(parent.width - 2 * Theme.margin, 440)
        spacing: Theme.half

        PriorityMark {
            anchors.horizontalCenter: parent.horizontalCenter
            width: 16
            height: 16
            priority: empty.pageState === PageState.Failed || empty.pageState === PageState.Offline ? 2 : 0
        }
        AppText {
            width: parent.width
            text: empty.heading
            font { pixelSize: Theme.headingSize; weight: Font.DemiBold }
            horizontalAlignment: Text.AlignHCenter
        }
        AppText {
            width: parent.width
            text: empty.sentence
            color: Theme.muted
            lineHeight: 1.35
            wrapMode: Text.Wrap
            elide: Text.ElideNone
            horizontalAlignment: Text.AlignHCenter
        }
        AppText {
            width: parent.width
            visible: text.length > 0
            text: empty.note
            color: Theme.muted
            font.pixelSize: Theme.noteSize
            horizontalAlignment: Text.AlignHCenter
        }
    }
}
