// SPDX-License-Identifier: GPL-3.0-only
// A button: blue words, framed or plain.
import QtQuick
import QtQuick.Templates as T
import Lintel.Console

T.Button {
    id: button

    property bool framed: true

    implicitWidth: Math.max(framed ? 72 : 44, implicitContentWidth + leftPadding + rightPadding)
    implicitHeight: 36
    leftPadding: framed ? 16 : 8
    rightPadding: leftPadding
    hoverEnabled: true
    focusPolicy: Qt.StrongFocus
    Accessible.name: text

    contentItem: AppText {
        text: button.text
        color: button.enabled ? Theme.accent : Theme.muted
        font.weight: Font.DemiBold
        horizontalAlignment: Text.AlignHCenter
        verticalAlignment: Text.AlignVCenter
    }
    background: Rectangle {
        visible: button.framed || button.hovered
        radius: Theme.radius
        color: button.down ? Theme.selected : button.hovered ? Theme.hover : Theme.surface
        border { width: button.framed ? 1 : 0; color: Theme.hairline }
    }
    FocusRing { shown: button.visualFocus }
}
