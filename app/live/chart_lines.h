// SPDX-License-Identifier: GPL-3.0-only
// Puts the lines of a LivePanel into a Qt Charts ChartView: one QLineSeries for each piece, so that
// nothing is drawn across a hole, replaced as a whole and only while the page is visible.
//
// Made in QML beside the ChartView; `anchor` is any series of that view and shows where its chart
// and axes are. GUI thread.
#pragma once

#include "live/live_panel.h"

#include <QColor>
#include <QLineSeries>
#include <QPointer>
#include <QQmlEngine>
#include <QRectF>
#include <QXYSeries>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class ChartLines : public QObject
{
    Q_OBJECT
    QML_ELEMENT
    Q_PROPERTY(QObject *anchor MEMBER m_anchor WRITE setAnchor NOTIFY changed)
    Q_PROPERTY(lintel::LivePanel *panel MEMBER m_panel WRITE setPanel NOTIFY changed)
    Q_PROPERTY(QColor focusColor MEMBER m_focusColor NOTIFY changed)
    Q_PROPERTY(QColor otherColor MEMBER m_otherColor NOTIFY changed)
    Q_PROPERTY(QRectF plotArea MEMBER m_plotArea NOTIFY changed)
    Q_PROPERTY(bool active MEMBER m_active NOTIFY changed)

public:
    explicit ChartLines(QObject *parent = nullptr);

    void setAnchor(QObject *anchor);
    void setPanel(LivePanel *panel);

Q_SIGNALS:
    void changed();

private:
    void draw();
    QLineSeries *line(qsizetype index);

    QPointer<QXYSeries> m_anchor;
    QPointer<LivePanel> m_panel;
    QColor m_focusColor;
    QColor m_otherColor;
    QRectF m_plotArea;
    bool m_active = true;
    QList<QPointer<QLineSeries>> m_lines; // owned by the chart
};

} // namespace lintel
