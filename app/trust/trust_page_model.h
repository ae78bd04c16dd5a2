// SPDX-License-Identifier: GPL-3.0-only
// The Trust page: whose identity is not in order and why, who waits for approval and what to do, whom the
// broker refused, and how long each gateway's trust holds. What nobody has told it says, and after a lost
// connection all of it is the last known. Owned by AppModel. GUI thread.
//
// The lists are short (the feed bounds them), and their texts change with what is told, not with time; they
// are compared once a second, so that rows stay while nothing changed.
#pragma once

#include "feed/building_store.h"
#include "shell/page_state.h"

#include <QObject>
#include <QVariantList>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class TrustPageModel : public QObject
{
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("Made in main.cpp.")
    Q_PROPERTY(lintel::PageState::State state READ state NOTIFY refreshed)
    Q_PROPERTY(QString heading READ heading NOTIFY refreshed)
    Q_PROPERTY(QString sentence READ sentence NOTIFY refreshed)
    /// "1 not in order, 2 wait for approval, 1 refused just now"; empty when nothing is.
    Q_PROPERTY(QString summary READ summary NOTIFY refreshed)
    /// Devices: [{title, stateText, detail, note, priority, accessibleText}].
    Q_PROPERTY(QVariantList broken READ broken NOTIFY brokenChanged)
    Q_PROPERTY(QString brokenNote READ brokenNote NOTIFY refreshed)
    /// The same, and `hash`, `command`; `owner` is the site where several gateways tell, else empty.
    Q_PROPERTY(QVariantList waiting READ waiting NOTIFY waitingChanged)
    Q_PROPERTY(int waitingTotal READ waitingTotal NOTIFY refreshed)
    Q_PROPERTY(QString waitingNote READ waitingNote NOTIFY refreshed)
    Q_PROPERTY(QVariantList refused READ refused NOTIFY refusedChanged)
    Q_PROPERTY(QString refusedNote READ refusedNote NOTIFY refreshed)
    /// Of each gateway that tells.
    Q_PROPERTY(QVariantList gateways READ gateways NOTIFY gatewaysChanged)
    Q_PROPERTY(QString gatewaysNote READ gatewaysNote NOTIFY refreshed)
    /// What asks for a person here and stands on no other page: how many are refused at this moment, priority 3,
    /// or else how many wait, with no priority, as nothing is wrong with that.
    Q_PROPERTY(int attention READ attention NOTIFY refreshed)
    Q_PROPERTY(int attentionPriority READ attentionPriority NOTIFY refreshed)

public:
    /// Somebody who was refused within this time may be trying still.
    static constexpr std::chrono::minutes kRecent{10};

    explicit TrustPageModel(const BuildingStore &store, QObject *parent = nullptr);

    [[nodiscard]] PageState::State state() const;
    [[nodiscard]] QString heading() const { return pageHeading(m_store, state()); }
    [[nodiscard]] QString sentence() const { return pageSentence(m_store, state()); }
    [[nodiscard]] QString summary() const;
    [[nodiscard]] QVariantList broken() const { return m_broken; }
    [[nodiscard]] QString brokenNote() const;
    [[nodiscard]] QVariantList waiting() const { return m_waiting; }
    /// Also those that the list has no room for.
    [[nodiscard]] int waitingTotal() const;
    [[nodiscard]] QString waitingNote() const;
    [[nodiscard]] QVariantList refused() const { return m_refused; }
    [[nodiscard]] QString refusedNote() const;
    [[nodiscard]] QVariantList gateways() const { return m_gateways; }
    [[nodiscard]] QString gatewaysNote() const;
    [[nodiscard]] int attention() const;
    [[nodiscard]] int attentionPriority() const;

    void refresh();

Q_SIGNALS:
    void refreshed();
    void brokenChanged();
    void waitingChanged();
    void refusedChanged();
    void gatewaysChanged();

private:
    [[nodiscard]] Timestamp now() const { return m_store.clock().now(); }
    [[nodiscard]] QVariantList listBroken() const;
    [[nodiscard]] bool isTold() const;
    [[nodiscard]] QVariantList listWaiting() const;
    [[nodiscard]] QVariantList waitingAt(const Admission &admission) const;
    [[nodiscard]] QVariantList listRefused() const;
    [[nodiscard]] QVariantList refusedAt(const Admission &admission) const;
    [[nodiscard]] QString waitingNoteOf(const Admission &admission) const;
    [[nodiscard]] QString refusedNoteOf(const Admission &admission) const;
    [[nodiscard]] QString noteOfAll(QString (TrustPageModel::*noteOf)(const Admission &) const) const;
    [[nodiscard]] QVariantList listGateways() const;
    [[nodiscard]] bool isRecent(const RefusedCertificate &refused) const;
    [[nodiscard]] int recentRefusals() const;

    const BuildingStore &m_store;
    QVariantList m_broken;
    QVariantList m_waiting;
    QVariantList m_refused;
    QVariantList m_gateways;
};

} // namespace lintel
