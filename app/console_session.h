// SPDX-License-Identifier: GPL-3.0-only
// One run of the console: models, window, and what is left behind at its end (a screenshot and a
// report for whoever started it without looking). Made by main(); GUI thread.
#pragma once

#include "console_options.h"
#include "feed/building_feed.h"
#include "shell/app_model.h"
#include "shell/kept_choices.h"

#include <QQmlApplicationEngine>
#include <QQuickWindow>

namespace lintel {

class ConsoleSession : public QObject
{
    Q_OBJECT
public:
    ConsoleSession(const ConsoleOptions &options, BuildingStore &store, BuildingFeed &feed, QObject *parent = nullptr);

    /// Loads the window; Io when the interface cannot be built.
    [[nodiscard]] Result<void> open();
    /// Screenshot and report, as far as they were asked for, then the event loop ends: with 0, or
    /// 1 when one of them could not be written.
    void finish();

private:
    void chooseUnits();
    [[nodiscard]] Result<void> writeScreenshot();
    [[nodiscard]] Result<void> writeReport() const;

    const ConsoleOptions &m_options;
    BuildingStore &m_store;
    BuildingFeed &m_feed;
    AppModel m_app;
    KeptChoices m_kept{KeptChoices::usualFile()};
    QQmlApplicationEngine m_engine;
    QQuickWindow *m_window = nullptr;
    bool m_finished = false;
};

} // namespace lintel
