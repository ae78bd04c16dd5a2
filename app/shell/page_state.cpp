// SPDX-License-Identifier: GPL-3.0-only
#include "shell/page_state.h"

#include "text/format.h"

#include <QCoreApplication>

namespace lintel {
namespace {

// Births follow a connection within a moment; only after this does silence mean "nothing there".
constexpr Millis kSettle{5'000};

QString tr(const char *text)
{
    return QCoreApplication::translate("PageState", text);
}

} // namespace

PageState::State pageState(const BuildingStore &store, bool hasContent)
{
    using enum PageState::State;
    const LinkState &link = store.link();
    switch (link.phase) {
    case LinkState::Phase::Starting:
    case LinkState::Phase::Connecting: return hasContent ? Offline : Loading;
    case LinkState::Phase::Failed: return Failed;
    case LinkState::Phase::Lost: return Offline;
    case LinkState::Phase::Connected:
    case LinkState::Phase::Example: break;
    }
    if (hasContent)
        return Ready;
    return store.clock().now() - link.since < kSettle ? Loading : Empty;
}

QString pageHeading(const BuildingStore &store, PageState::State state)
{
    switch (state) {
    case PageState::State::Loading:
        return store.link().phase == LinkState::Phase::Connected ? tr("Asking for devices") : tr("Connecting");
    case PageState::State::Empty: return tr("No device has reported yet");
    case PageState::State::Offline: return tr("Not connected");
    case PageState::State::Failed: return tr("Cannot connect");
    case PageState::State::Ready: break;
    }
    return {};
}

QString pageSentence(const BuildingStore &store, PageState::State state)
{
    const LinkState &link = store.link();
    switch (state) {
    case PageState::State::Loading:
        if (link.phase == LinkState::Phase::Connected)
            return tr("Connected to %1, waiting for the first devices to say what they measure.").arg(link.broker);
        return tr("Opening a mutual-TLS connection to %1.").arg(link.broker);
    case PageState::State::Empty:
        if (!link.sentence.isEmpty())
            return link.sentence;
        return tr("The connection to %1 is up. Devices appear here with their first message; check that their agents run and use the same site.")
            .arg(link.broker);
    case PageState::State::Offline:
        return link.sentence.isEmpty()
                   ? tr("The connection to %1 was lost. The console tries again by itself.").arg(link.broker)
                   : link.sentence;
    case PageState::State::Failed: return link.sentence;
    case PageState::State::Ready: break;
    }
    return {};
}

} // namespace lintel
