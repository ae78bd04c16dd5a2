// SPDX-License-Identifier: GPL-3.0-only
// A value with its unit; muted and hatched when it is not of the present. Right-aligned.
import QtQuick
import Lintel.Console
import Lintel.ViewModels

Item {
    id: value

    property string text
    property string unit
    property bool muted: false
    property int size: Theme.valueSize
    property int weight: Font.DemiBold

    implicitWidth: number.implicitWidth + (symbol.text ? symbol.implicitWidth + 4 : 0)
    implicitHeight: number.implicitHeight
    baselineOffset: number.y + number.baselineOffset

    StaleHatch {
        visible: value.muted
        width: number.implicitWidth + 8
        height: number.height - 4
        anchors { right: number.right; rightMargin: -4; verticalCenter: number.verticalCenter }
    }
    TabularText {
        id: number
        anchors { right: symbol.left; rightMargin: symbol.text ? 4 : 0 }
        text: value.text
        color: value.muted ? Theme.muted : Theme.text
        font { family: Theme.family; pixelSize: value.size; weight: value.weight }
    }
    AppText {
        id: symbol
        anchors { right: parent.right; baseline: number.baseline }
        text: value.unit
        color: Theme.muted
        font.pixelSize: Theme.noteSize
    }
}
