// SPDX-License-Identifier: GPL-3.0-only
// One choice of a few, side by side. Arrow keys move the choice.
pragma ComponentBehavior: Bound
import QtQuick
import Lintel.Console

FocusScope {
    id: segmented

    /// [{value, label}]
    property var choices: []
    property var value
    property string name
    signal chosen(var value)

    function step(by: int) {
        for (let i = 0; i < choices.length; ++i) {
            if (choices[i].value === value) {
                const next = choices[Math.min(choices.length - 1, Math.max(0, i + by))]
                if (next.value !== value)
                    chosen(next.value)
                return
            }
        }
    }

    implicitWidth: row.width + 4
    implicitHeight: 36
    activeFocusOnTab: true
    Accessible.role: Accessible.Grouping
    Accessible.name: name
    Accessible.focusable: true
    Keys.onLeftPressed: step(-1)
    Keys.onRightPressed: step(1)

    Rectangle {
        anchors.fill: parent
        radius: Theme.radius
        color: Theme.rail
        border { width: 1; color: Theme.hairline }
    }
    Row {
        id: row
        anchors { left: parent.left; leftMargin: 2; verticalCenter: parent.verticalCenter }

        Repeater {
            model: segmented.choices

            Rectangle {
                id: segment

                required property var modelData
                readonly property bool current: modelData.value === segmented.value

                width: Math.max(52, caption.implicitWidth + 24)
                height: segmented.height - 4
                radius: Theme.radius - 1
                color: current ? Theme.surface : pointer.containsMouse ? Theme.hover : "transparent"
                border { width: current ? 1 : 0; color: Theme.hairline }
                Accessible.role: Accessible.RadioButton
                Accessible.name: modelData.label
                Accessible.checkable: true
                Accessible.checked: current
                Accessible.onPressAction: segmented.chosen(modelData.value)

                AppText {
                    id: caption
                    anchors.centerIn: parent
                    text: segment.modelData.label
                    color: segment.current ? Theme.text : Theme.muted
                    font.weight: segment.current ? Font.DemiBold : Font.Normal
                }
                MouseArea {
                    id: pointer
                    // The eye sees 32 pixels, the finger gets 44.
                    anchors { fill: parent; topMargin: -6; bottomMargin: -6 }
                    hoverEnabled: true
                    onClicked: {
                        segmented.forceActiveFocus(Qt.MouseFocusReason)
                        segmented.chosen(segment.modelData.value)
                    }
                }
            }
        }
    }
    FocusRing { shown: segmented.activeFocus }
}
