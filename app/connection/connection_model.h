// SPDX-License-Identifier: GPL-3.0-only
// The trust strip: is the console connected, to what, since when, and how long all goes well
// without help. Says "unknown" where nobody has told it. Owned by AppModel. GUI thread.
#pragma once

#include "feed/building_store.h"

#include <QObject>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class ConnectionModel : public QObject
{
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("Made in main.cpp.")
    Q_PROPERTY(QString stateText READ stateText NOTIFY refreshed)
    Q_PROPERTY(QString sentence READ sentence NOTIFY refreshed)
    Q_PROPERTY(QString hostText READ hostText NOTIFY refreshed)
    Q_PROPERTY(QString placeText READ placeText NOTIFY refreshed)
    /// 0 = nothing abnormal; else the priority of the connection's state, 1 … 3.
    Q_PROPERTY(int priority READ priority NOTIFY refreshed)
    Q_PROPERTY(bool example READ isExample NOTIFY refreshed)
    /// Connection gone while values are on the screen: pages show a banner.
    Q_PROPERTY(bool cut READ isCut NOTIFY refreshed)
    /// Connected, but the broker refuses a part of what the console asked for: pages show a banner.
    Q_PROPERTY(bool partial READ isPartial NOTIFY refreshed)
    Q_PROPERTY(QString reportingText READ reportingText NOTIFY refreshed)
    Q_PROPERTY(QString oldestUnsentText READ oldestUnsentText NOTIFY refreshed)
    Q_PROPERTY(QString trustRunwayText READ trustRunwayText NOTIFY refreshed)
    /// Whose that is, where several gateways tell; else empty.
    Q_PROPERTY(QString trustOwner READ trustOwner NOTIFY refreshed)
    Q_PROPERTY(int trustPriority READ trustPriority NOTIFY refreshed)
    /// "Trust holds for 6 h 12 min without the uplink", of several gateways that whose trust ends first,
    /// and whose it is; empty where no gateway has told.
    Q_PROPERTY(QString trustSentence READ trustSentence NOTIFY refreshed)
    Q_PROPERTY(QString bufferRunwayText READ bufferRunwayText NOTIFY refreshed)
    Q_PROPERTY(QString lastMessageText READ lastMessageText NOTIFY refreshed)

public:
    explicit ConnectionModel(const BuildingStore &store, QString place, QObject *parent = nullptr);

    [[nodiscard]] QString stateText() const;
    [[nodiscard]] QString sentence() const;
    [[nodiscard]] QString hostText() const;
    [[nodiscard]] QString placeText() const;
    [[nodiscard]] int priority() const;
    [[nodiscard]] bool isExample() const;
    [[nodiscard]] bool isCut() const { return m_store.isCut(); }
    [[nodiscard]] bool isPartial() const;
    /// "8 of 9"
    [[nodiscard]] QString reportingText() const;
    /// "0:04", "none" or empty = unknown. The same for the runways.
    [[nodiscard]] QString oldestUnsentText() const;
    [[nodiscard]] QString trustRunwayText() const;
    [[nodiscard]] QString trustOwner() const;
    [[nodiscard]] int trustPriority() const;
    [[nodiscard]] QString trustSentence() const;
    [[nodiscard]] QString bufferRunwayText() const;
    [[nodiscard]] QString lastMessageText() const;

    void refresh();

Q_SIGNALS:
    void refreshed();

private:
    [[nodiscard]] bool knowsCustody() const;
    [[nodiscard]] bool knowsTrust() const { return m_store.trust() != nullptr && !m_store.isCut(); }
    [[nodiscard]] std::optional<Millis> trustLeft() const;

    const BuildingStore &m_store;
    QString m_place;
};

} // namespace lintel
