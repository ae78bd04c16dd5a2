// SPDX-License-Identifier: GPL-3.0-only
// The units in which the whole window shows values: every model asks here before a value becomes
// text or a line, and draws anew on changed(). Nothing that is stored or sent passes through it.
// Owned by AppModel (or by a test). GUI thread. Never fails: what cannot be converted is shown as
// it was reported.
#pragma once

#include "text/format.h"
#include "text/unit_system.h"

#include <QObject>
#include <QVariantList>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class DisplayUnits : public QObject
{
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("Made in main.cpp.")
    /// One of the values of choices.
    Q_PROPERTY(QString choice READ choice WRITE setChoice NOTIFY changed)
    /// [{value, label, note}] in the order of UnitSystem: "metric", "Metric", "°C".
    Q_PROPERTY(QVariantList choices READ choices CONSTANT)
    /// Where the choice stands in choices.
    Q_PROPERTY(int row READ row NOTIFY changed)

public:
    using QObject::QObject;

    [[nodiscard]] UnitSystem system() const { return m_system; }
    void setSystem(UnitSystem system);
    [[nodiscard]] QString choice() const { return codeOf(m_system); }
    void setChoice(const QString &code);
    [[nodiscard]] QVariantList choices() const;
    [[nodiscard]] int row() const { return int(m_system); }

    [[nodiscard]] Unit shown(Unit reported) const { return unitIn(m_system, reported); }
    /// In shown(reported).
    [[nodiscard]] double number(double value, Unit reported) const;
    /// Value and unit as texts; converted; a whole number stays one, others have the digits of their unit.
    [[nodiscard]] format::Quantity quantity(const Value &value, Unit reported) const;
    /// A point that has no value yet: "–" and the unit.
    [[nodiscard]] format::Quantity nothing(Unit reported) const;
    [[nodiscard]] QString symbol(Unit reported) const { return format::unit(shown(reported)); }

Q_SIGNALS:
    void changed();

private:
    UnitSystem m_system = UnitSystem::AsReported;
};

} // namespace lintel
