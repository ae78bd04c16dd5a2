// SPDX-License-Identifier: GPL-3.0-only
// In which units the whole window shows values: one quiet line that opens upwards.
pragma ComponentBehavior: Bound
import QtQuick
import QtQuick.Templates as T
import Lintel.Console
import Lintel.ViewModels

T.ComboBox {
    id: control

    required property DisplayUnits units

    implicitHeight: 36
    leftPadding: 12
    rightPadding: 10
    hoverEnabled: true
    focusPolicy: Qt.StrongFocus
    model: units.choices
    textRole: "label"
    valueRole: "value"
    currentIndex: units.row
    Accessible.name: qsTr("Units")
    Accessible.description: displayText
    onActivated: function (index) {
        units.choice = units.choices[index].value
        currentIndex = Qt.binding(() => units.row)
    }

    contentItem: AppText {
        rightPadding: 16
        text: control.displayText
        horizontalAlignment: Text.AlignRight
        verticalAlignment: Text.AlignVCenter
        font.pixelSize: Theme.noteSize
    }
    indicator: Canvas {
        readonly property color stroke: Theme.muted

        x: control.width - width - control.rightPadding
        y: (control.height - height) / 2
        width: 9
        height: 9
        onStrokeChanged: requestPaint()
        onPaint: {
            const pen = getContext("2d")
            pen.reset()
            pen.strokeStyle = stroke
            pen.lineWidth = 1.25
            pen.beginPath()
            pen.moveTo(1, 3)
            pen.lineTo(4.5, 6.5)
            pen.lineTo(8, 3)
            pen.stroke()
        }
    }
    background: Rectangle {
        radius: Theme.radius
        color: control.popup.visible ? Theme.surface : control.hovered ? Theme.hover : "transparent"
        border { width: control.popup.visible || control.hovered ? 1 : 0; color: Theme.hairline }

        AppText {
            anchors { left: parent.left; leftMargin: control.leftPadding; verticalCenter: parent.verticalCenter }
            text: qsTr("Units")
            color: Theme.muted
            font.pixelSize: Theme.noteSize
        }
        FocusRing { shown: control.visualFocus }
    }
    delegate: T.ItemDelegate {
        id: entry

        required property var modelData
        required property int index
        readonly property bool current: index === control.currentIndex

        width: ListView.view.width
        implicitHeight: 36
        highlighted: control.highlightedIndex === index
        hoverEnabled: true
        text: modelData.label
        Accessible.name: modelData.note ? modelData.label + ", " + modelData.note : modelData.label

        contentItem: Item {
            AppText {
                anchors { left: parent.left; leftMargin: 12; verticalCenter: parent.verticalCenter }
                text: entry.modelData.label
                font { pixelSize: Theme.noteSize; weight: entry.current ? Font.DemiBold : Font.Normal }
            }
            AppText {
                anchors { right: parent.right; rightMargin: 12; verticalCenter: parent.verticalCenter }
                text: entry.modelData.note
                color: Theme.muted
                font.pixelSize: Theme.noteSize
            }
        }
        background: Rectangle {
            radius: Theme.radius - 1
            color: entry.highlighted || entry.hovered ? Theme.selected : "transparent"
        }
    }
    popup: T.Popup {
        y: -height - 4
        width: control.width
        implicitHeight: contentItem.implicitHeight + 2 * padding
        padding: 4

        contentItem: ListView {
            implicitHeight: contentHeight
            clip: true
            model: control.delegateModel
            currentIndex: control.highlightedIndex
            boundsBehavior: Flickable.StopAtBounds
        }
        background: Card {}
    }
}
