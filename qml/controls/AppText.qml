// SPDX-License-Identifier: GPL-3.0-only
import QtQuick
import Lintel.Console

Text {
    color: Theme.text
    font.family: Theme.family
    font.pixelSize: Theme.bodySize
    textFormat: Text.PlainText
    elide: Text.ElideRight
}
