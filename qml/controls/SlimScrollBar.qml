// SPDX-License-Identifier: GPL-3.0-only
import QtQuick
import QtQuick.Templates as T
import Lintel.Console

T.ScrollBar {
    id: bar

    implicitWidth: 10
    padding: 2
    visible: size < 1
    minimumSize: 0.1
    contentItem: Rectangle {
        implicitWidth: 4
        radius: 2
        color: Theme.hairline
        opacity: bar.active || bar.hovered ? 1 : 0.7
    }
}
