// SPDX-License-Identifier: GPL-3.0-only
// Every colour, size and distance of the console. Colour means abnormal; blue is for what can be
// pressed and for the line one looks at.
pragma Singleton
import QtQuick

QtObject {
    id: theme

    /// "system", "light" or "dark".
    property string mode: "system"
    readonly property bool dark: mode === "dark" || (mode === "system" && systemPalette.window.hslLightness < 0.5)
    property SystemPalette systemPalette: SystemPalette { colorGroup: SystemPalette.Active }

    readonly property color ground: dark ? "#16191C" : "#EDEFF1"
    readonly property color surface: dark ? "#1F2327" : "#FAFBFB"
    readonly property color rail: dark ? "#121517" : "#E2E6E9"
    readonly property color text: dark ? "#E6E9EB" : "#1F2428"
    readonly property color muted: dark ? "#9AA4AD" : "#59626A"
    readonly property color hairline: dark ? "#343A40" : "#C9CED3"
    readonly property color accent: dark ? "#7DB7E0" : "#1F5E8C"
    /// Lines of a chart's grid: there, and no more.
    readonly property color grid: dark ? "#2A2F34" : "#E3E7EA"
    readonly property color comparison: dark ? "#8A949D" : "#6B747C"
    readonly property color lateBand: dark ? "#22303B" : "#E1EAF1"
    readonly property color hatch: dark ? "#454D55" : "#C2C9CE"
    readonly property color hover: dark ? "#282D32" : "#F0F2F4"
    readonly property color selected: dark ? "#25323C" : "#E4ECF2"

    function alarm(priority: int): color {
        switch (priority) {
        case 1: return dark ? "#FF8A80" : "#B3261E"
        case 2: return dark ? "#FFB074" : "#A34A00"
        case 3: return dark ? "#F2CF66" : "#7A5B00"
        }
        return muted
    }

    readonly property string family: "Inter"
    readonly property int titleSize: 20
    readonly property int headingSize: 15
    readonly property int bodySize: 13
    readonly property int noteSize: 12
    readonly property int valueSize: 18

    readonly property int margin: 24
    readonly property int gap: 16
    readonly property int half: 8
    readonly property int radius: 6
    readonly property int target: 44
}
