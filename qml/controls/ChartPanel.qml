// SPDX-License-Identifier: GPL-3.0-only
// One small multiple: a plot with its axes, and the legend with present values at its right.
//
// Qt Charts draws the lines; grid, labels and bands are plain items, so that they are crisp, use
// the house's type and line up from one panel to the next.
pragma ComponentBehavior: Bound
import QtQuick
import QtCharts
import Lintel.Console
import Lintel.ViewModels

Card {
    id: card

    required property LivePanel panel
    required property LivePageModel live
    readonly property int axisWidth: 56
    readonly property int legendWidth: width > 860 ? 264 : 224
    // Time labels keep their distance when the window is narrow.
    readonly property int labelEvery: Math.max(1, Math.ceil(live.timeTicks.length * 52 / Math.max(1, plot.width)))

    Accessible.role: Accessible.Chart
    Accessible.name: panel.title + ", " + panel.unitText + (panel.story ? ". " + panel.story : "")

    AppText {
        id: title
        anchors { left: parent.left; leftMargin: 16; top: parent.top; topMargin: 14 }
        text: card.panel.title
        font.weight: Font.DemiBold
    }
    TabularText {
        id: unit
        anchors { left: title.right; leftMargin: 8; baseline: title.baseline }
        text: card.panel.unitText
        color: Theme.muted
        font { family: Theme.family; pixelSize: Theme.bodySize }
    }
    TabularText {
        id: story
        anchors { right: plot.right; baseline: title.baseline }
        visible: x > unit.x + unit.width + 24
        text: card.live.hover >= 0 ? "" : card.panel.story
        color: Theme.muted
        font { family: Theme.family; pixelSize: Theme.noteSize }
    }

    Item {
        id: plot
        anchors {
            left: parent.left; leftMargin: card.axisWidth
            right: legend.left; rightMargin: 24
            top: title.bottom; topMargin: 14
            bottom: parent.bottom; bottomMargin: 34
        }

        Repeater {
            model: card.panel.lateBands

            Rectangle {
                required property var modelData

                x: modelData.from * plot.width
                width: Math.max(2, (modelData.to - modelData.from) * plot.width)
                height: plot.height
                color: Theme.lateBand
            }
        }
        Repeater {
            model: card.panel.gapBands

            StaleHatch {
                required property var modelData

                x: modelData.from * plot.width
                width: Math.max(2, (modelData.to - modelData.from) * plot.width)
                height: plot.height
            }
        }
        Repeater {
            model: card.panel.valueTicks

            Item {
                id: valueTick

                required property var modelData

                y: Math.round((1 - modelData.fraction) * plot.height)
                width: plot.width

                Rectangle {
                    width: parent.width
                    height: 1
                    color: Theme.grid
                }
                TabularText {
                    anchors { right: parent.left; rightMargin: 10; verticalCenter: parent.top }
                    text: valueTick.modelData.label
                    color: Theme.muted
                    font { family: Theme.family; pixelSize: 11 }
                }
            }
        }
        Repeater {
            model: card.live.timeTicks

            Item {
                id: timeTick

                required property var modelData
                required property int index

                x: Math.round(modelData.fraction * plot.width)
                y: plot.height
                visible: (card.live.timeTicks.length - 1 - index) % card.labelEvery === 0

                Rectangle {
                    y: 1
                    width: 1
                    height: 4
                    color: Theme.hairline
                }
                TabularText {
                    x: Math.round(Math.min(-width / 2, plot.width - timeTick.x - width + 8)) // whole pixels stay crisp
                    y: 9
                    text: timeTick.modelData.label
                    color: Theme.muted
                    font { family: Theme.family; pixelSize: 11 }
                }
            }
        }
        ChartView {
            id: chart

            readonly property int bleed: 2

            anchors { fill: parent; margins: -bleed }
            antialiasing: true
            animationOptions: ChartView.NoAnimation
            backgroundColor: "transparent"
            backgroundRoundness: 0
            dropShadowEnabled: false
            plotAreaColor: "transparent"
            legend.visible: false
            margins { left: 0; right: 0; top: 0; bottom: 0 }

            // The type description of Qt Charts 6.4 does not name ValueAxis.
            // qmllint disable
            ValueAxis { id: timeAxis; min: 0; max: 1; visible: false }
            ValueAxis { id: valueAxis; min: 0; max: 1; visible: false }
            LineSeries { id: anchorSeries; axisX: timeAxis; axisY: valueAxis }
            // qmllint enable
        }
        ChartLines {
            anchor: anchorSeries
            panel: card.panel
            focusColor: Theme.accent
            otherColor: Theme.comparison
            plotArea: Qt.rect(chart.bleed, chart.bleed, plot.width, plot.height)
            active: card.visible
        }
        AppText {
            anchors.centerIn: parent
            visible: !card.panel.hasSamples
            text: card.panel.emptyText
            color: Theme.muted
        }
        Rectangle {
            visible: card.live.hover >= 0
            x: Math.round(card.live.hover * plot.width)
            width: 1
            height: plot.height
            color: Theme.muted
        }
        Rectangle {
            visible: card.live.hover >= 0
            x: Math.max(0, Math.min(plot.width - width, card.live.hover * plot.width - width / 2))
            y: -height
            width: hoverTime.width + 12
            height: 20
            radius: 3
            color: Theme.surface

            TabularText {
                id: hoverTime
                anchors.centerIn: parent
                text: card.live.hoverText
                font { family: Theme.family; pixelSize: 11; weight: Font.DemiBold }
                color: Theme.text
            }
        }
        MouseArea {
            anchors.fill: parent
            hoverEnabled: true
            onPositionChanged: function (mouse) { card.live.hover = mouse.x / width }
            onExited: card.live.hover = -1
        }
    }

    ListView {
        id: legend
        anchors { right: parent.right; rightMargin: 8; top: parent.top; topMargin: 8; bottom: parent.bottom; bottomMargin: 8 }
        width: card.legendWidth
        clip: true
        model: card.panel
        boundsBehavior: Flickable.StopAtBounds
        activeFocusOnTab: true
        keyNavigationEnabled: true
        Accessible.role: Accessible.List
        Accessible.name: qsTr("Lines of %1").arg(card.panel.title)
        Keys.onReturnPressed: if (currentItem) (currentItem as LegendRow).pressed()
        Keys.onSpacePressed: if (currentItem) (currentItem as LegendRow).pressed()

        delegate: LegendRow {
            width: ListView.view.width
            ring: legend.activeFocus && ListView.isCurrentItem
            onPressed: card.live.focus(point)
        }
    }
}
