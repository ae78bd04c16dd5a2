// SPDX-License-Identifier: GPL-3.0-only
// Feeds LivePage.qml: picked points as small multiples by the unit that is shown, over one time window. Owned by
// AppModel, which calls refresh() once a second. GUI thread.
//
// Redraws only while the page is visible. Paused, the window stands still and readings go on being
// collected. Asks for history by historyWanted() when a point is picked or the window grows.
#pragma once

#include "live/live_panel.h"
#include "live/point_picker_model.h"
#include "shell/page_state.h"

#include <QAbstractListModel>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class LivePageModel : public QAbstractListModel
{
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("Made in main.cpp.")
    Q_PROPERTY(lintel::PageState::State state READ state NOTIFY refreshed)
    Q_PROPERTY(QString heading READ heading NOTIFY refreshed)
    Q_PROPERTY(QString sentence READ sentence NOTIFY refreshed)
    Q_PROPERTY(lintel::PointPickerModel *picker READ picker CONSTANT)
    Q_PROPERTY(int panelCount READ panelCount NOTIFY panelCountChanged)
    /// Length of the time window; one of windowChoices.
    Q_PROPERTY(int windowMinutes READ windowMinutes WRITE setWindowMinutes NOTIFY windowChanged)
    Q_PROPERTY(QVariantList windowChoices READ windowChoices CONSTANT)
    Q_PROPERTY(bool paused READ isPaused WRITE setPaused NOTIFY pausedChanged)
    Q_PROPERTY(QString pausedText READ pausedText NOTIFY refreshed)
    /// The window lies where a picked recording does, not at now.
    Q_PROPERTY(bool atRecording READ isAtRecording NOTIFY refreshed)
    /// "recorded 2015-02-02 14:03 – 14:18": what the window shows; empty at now.
    Q_PROPERTY(QString recordedText READ recordedText NOTIFY refreshed)
    Q_PROPERTY(bool visible READ isVisible WRITE setVisible NOTIFY visibleChanged)
    /// [{fraction, label}] of the common time axis.
    Q_PROPERTY(QVariantList timeTicks READ timeTicks NOTIFY refreshed)
    /// Where the pointer is, as a fraction of the window; negative = nowhere.
    Q_PROPERTY(double hover READ hover WRITE setHover NOTIFY hoverChanged)
    Q_PROPERTY(QString hoverText READ hoverText NOTIFY hoverChanged)
    Q_PROPERTY(bool anyLate READ anyLate NOTIFY refreshed)
    Q_PROPERTY(bool anyGap READ anyGap NOTIFY refreshed)

public:
    static constexpr int kMaxPicked = 12;
    enum Role { PanelRole = Qt::UserRole + 1 };

    LivePageModel(BuildingStore &store, const DisplayUnits &units, QObject *parent = nullptr);

    [[nodiscard]] PageState::State state() const;
    [[nodiscard]] QString heading() const;
    [[nodiscard]] QString sentence() const;
    [[nodiscard]] PointPickerModel *picker() { return &m_picker; }
    [[nodiscard]] int panelCount() const { return int(m_panels.size()); }
    [[nodiscard]] int windowMinutes() const { return m_windowMinutes; }
    void setWindowMinutes(int minutes);
    [[nodiscard]] QVariantList windowChoices() const;
    [[nodiscard]] bool isPaused() const { return m_pausedAt.has_value(); }
    void setPaused(bool paused);
    [[nodiscard]] QString pausedText() const;
    [[nodiscard]] bool isAtRecording() const { return m_recorded >= 0; }
    [[nodiscard]] QString recordedText() const;
    [[nodiscard]] bool isVisible() const { return m_visible; }
    void setVisible(bool visible);
    [[nodiscard]] QVariantList timeTicks() const { return m_timeTicks; }
    [[nodiscard]] double hover() const { return m_hover; }
    void setHover(double fraction);
    [[nodiscard]] QString hoverText() const;
    [[nodiscard]] bool anyLate() const;
    [[nodiscard]] bool anyGap() const;

    /// Picks the point, or lets go of it.
    Q_INVOKABLE void toggle(int point);
    /// Picks the point if it is not, and makes it the one to look at.
    Q_INVOKABLE void show(int point);
    /// This line is the one to look at; the others of its panel become grey.
    Q_INVOKABLE void focus(int point);
    Q_INVOKABLE void clear();
    /// From a recording back to the present.
    Q_INVOKABLE void goToNow();

    /// Draws again, with the time as it is now.
    void refresh();
    [[nodiscard]] const QList<LivePanel *> &panels() const { return m_panels; }

    [[nodiscard]] int rowCount(const QModelIndex &parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex &index, int role) const override;
    [[nodiscard]] QHash<int, QByteArray> roleNames() const override;

Q_SIGNALS:
    void refreshed();
    void panelCountChanged();
    void windowChanged();
    void pausedChanged();
    void visibleChanged();
    void hoverChanged();
    void historyWanted(int point, lintel::Timestamp from, lintel::Timestamp to);

private:
    void pick(int point);
    void unpick(int point);
    void addToPanel(int point);
    /// Other units, other panels: the same points, the same ones to look at.
    void regroup();
    void suggest();
    void wantHistory(int point);
    /// Moves the window to where the point's readings are: a recording's time, or now.
    void goTo(int point);
    void setRecorded(int point);
    void widenForRecording();
    [[nodiscard]] Timestamp end() const;
    void computeTimeTicks(qint64 from, qint64 to);

    BuildingStore &m_store;
    const DisplayUnits &m_units;
    PointPickerModel m_picker;
    QList<LivePanel *> m_panels; // owned as children
    QList<int> m_picked;
    QList<int> m_suggested; // while nobody has chosen
    QVariantList m_timeTicks;
    int m_windowMinutes = 15;
    int m_recorded = -1;                // the recording that the window follows; -1 = it is at now
    std::optional<int> m_minutesBefore; // the window's length before it went to a recording
    std::optional<Timestamp> m_pausedAt;
    quint64 m_readingsAtPause = 0;
    double m_hover = -1;
    bool m_visible = true;
    bool m_chosenByHand = false;
};

} // namespace lintel
