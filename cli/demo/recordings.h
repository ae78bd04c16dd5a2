// What a folder of recordings (CSV) offers to `lintelctl demo --replay`: the shipped column maps for
// files that are known by their header line, and for any other file with a column of times and
// columns of numbers a map that is made from what it holds. Files that cannot be played are named with
// the reason. Free functions and values; any thread.
//
// A time that stands in two rows makes a file unplayable here: the demo counts readings by point and time.
// A file that nobody knows says nothing of its zone, so its times count as UTC; of an order of day and
// month that nothing decides, month first is taken.
#pragma once

#include "domain/result.h"

#include <QList>
#include <QString>

#include <chrono>

namespace lintel::demo {

struct Recording {
    QString file;                                  // absolute
    QString columnMap;                             // the shipped map's name; empty: mapText says it all
    QString mapText;                               // YAML, made for this file
    std::chrono::milliseconds rowInterval{60'000}; // between two recorded rows
    int points = 0;                                // of a made map
};

struct UnusedRecording {
    QString file; // absolute
    QString why;  // goes on after "because": "it has no column of times"
};

struct RecordingSurvey {
    QList<Recording> usable; // by name
    QList<UnusedRecording> unusable;
};

/// Looks at every *.csv and *.txt of the folder, not below it. Io when the folder cannot be listed.
[[nodiscard]] Result<RecordingSurvey> surveyRecordings(const QString &folder);

/// One file. Malformed: cannot be played, and the message is what `UnusedRecording::why` says. Io.
[[nodiscard]] Result<Recording> recordingOf(const QString &file);

/// Which recordings become sensors, and how their columns were understood. One sentence; empty without any.
[[nodiscard]] QString playedSentence(const RecordingSurvey &survey, int sensors);
/// What is not played with so many sensors, and why. One sentence; empty when everything is.
[[nodiscard]] QString unusedSentence(const RecordingSurvey &survey, int sensors);

/// Points of a made map; a wider file is played with its first columns of numbers.
inline constexpr int kMaxMadePoints = 24;

} // namespace lintel::demo
