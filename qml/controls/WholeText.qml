// SPDX-License-Identifier: GPL-3.0-only
// A text that may lack room: while the pointer rests on it, a note says all of it.
import QtQuick
import QtQuick.Templates as T
import Lintel.Console

AppText {
    id: words

    HoverHandler {
        id: pointer
        enabled: words.truncated
    }
    Loader {
        // Qt 6.4 cannot make bound components of files that are themselves parts of a delegate.
        // qmllint disable unqualified
        active: pointer.hovered && words.truncated
        sourceComponent: T.ToolTip {
            y: words.height + 4
            delay: 500
            visible: true
            padding: 8
            topPadding: 6
            bottomPadding: 6
            margins: 8
            implicitWidth: Math.min(360, implicitContentWidth + leftPadding + rightPadding)
            implicitHeight: implicitContentHeight + topPadding + bottomPadding
            contentItem: AppText {
                text: words.text
                font.pixelSize: Theme.noteSize
                lineHeight: 1.25
                wrapMode: Text.Wrap
                elide: Text.ElideNone
            }
            background: Rectangle {
                color: Theme.surface
                border { width: 1; color: Theme.hairline }
                radius: Theme.radius
            }
        }
        // qmllint enable unqualified
    }
}
