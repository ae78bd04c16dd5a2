// SPDX-License-Identifier: GPL-3.0-only
// The states that every page can be in, and how they follow from what the store knows.
// GUI thread.
#pragma once

#include "feed/building_store.h"

#include <QObject>
#include <QtQml/qqmlregistration.h>

namespace lintel {
namespace PageState {
Q_NAMESPACE
QML_ELEMENT

enum class State {
    Loading, // connecting, or connected a moment ago: content may come
    Empty,   // connected, and there is nothing
    Ready,
    Offline, // the connection is gone; what is shown is the last known
    Failed,  // there never was a connection, and there is a reason
};
Q_ENUM_NS(State)
} // namespace PageState

[[nodiscard]] PageState::State pageState(const BuildingStore &store, bool hasContent);
/// The heading and the sentence of a page that has nothing to show.
[[nodiscard]] QString pageHeading(const BuildingStore &store, PageState::State state);
[[nodiscard]] QString pageSentence(const BuildingStore &store, PageState::State state);

} // namespace lintel
