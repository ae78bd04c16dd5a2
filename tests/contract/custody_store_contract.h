// What every custody store promises about streams of the same name from different nodes. A store's
// test derives from it.
#pragma once

#include "custody/custody_intake.h"

#include <QTest>

namespace lintel {

class CustodyStoreContract : public QObject
{
    Q_OBJECT

protected:
    /// Empty, and usable until the next call.
    [[nodiscard]] virtual CustodyStore &freshStore() = 0;
    /// Readings that are stored, of every device.
    [[nodiscard]] virtual quint64 storedReadings() const = 0;
    [[nodiscard]] virtual QList<Loss> storedLosses() const = 0;

    [[nodiscard]] static sparkplug::NodeId node(const char *name)
    {
        return {QStringLiteral("building-1"), QLatin1StringView(name)};
    }
    [[nodiscard]] static sparkplug::HostBatch numbered(const sparkplug::NodeId &from, const StreamId &stream, Msn msn,
                                                       QList<Loss> losses = {})
    {
        Reading reading;
        reading.point = QStringLiteral("air_temp");
        reading.value = 20.0;
        reading.unit = Unit::Celsius;
        reading.deviceTime = fromEpochMillis(1'760'000'000'000 + qint64(msn));
        return {from, {}, ReadingBatch{from.node, {reading}, std::move(losses)}, Receipt{stream, msn}, false};
    }

private Q_SLOTS:
    void sameStreamOfTwoNodes_keepsEveryReadingAndTwoWatermarks()
    {
        CustodyStore &store = freshStore();
        const StreamId stream = QUuid::createUuid(); // cloned with the memory card
        const std::vector group{numbered(node("a"), stream, 1), numbered(node("b"), stream, 1),
                                numbered(node("a"), stream, 2)};
        const auto stored = store.append(group);
        QVERIFY(stored);
        QCOMPARE(stored->batches, 3u);
        QCOMPARE(stored->duplicates, 0u);
        QCOMPARE(storedReadings(), quint64(3));
        QCOMPARE(store.contiguousReceipt(node("a"), stream), Msn(2));
        QCOMPARE(store.contiguousReceipt(node("b"), stream), Msn(1));

        const std::vector again{numbered(node("b"), stream, 1), numbered(node("b"), stream, 2)};
        const auto repeated = store.append(again);
        QVERIFY(repeated);
        QCOMPARE(repeated->duplicates, 1u); // its own are known again
        QCOMPARE(store.contiguousReceipt(node("b"), stream), Msn(2));
    }

    void senderDropped_writesOffNothingOfAnotherNode()
    {
        CustodyStore &store = freshStore();
        const StreamId stream = QUuid::createUuid();
        const std::vector first{numbered(node("a"), stream, 1)};
        QVERIFY(store.append(first));
        QVERIFY(store.senderDropped(node("evil"), stream, 1'000));
        QCOMPARE(store.contiguousReceipt(node("a"), stream), Msn(1));
        QVERIFY(storedLosses().isEmpty());
        const std::vector next{numbered(node("a"), stream, 2)};
        const auto stored = store.append(next);
        QVERIFY(stored);
        QCOMPARE(stored->duplicates, 0u);
        QCOMPARE(storedReadings(), quint64(2));
    }

    void lossesOfANode_freeItsOwnNumbersOnly()
    {
        CustodyStore &store = freshStore();
        const StreamId stream = QUuid::createUuid();
        const Loss lost{QStringLiteral("a"), stream, 1, 3, 3, {}, {}, LossReason::SpoolFull};
        const std::vector group{numbered(node("a"), stream, 4, {lost}), numbered(node("b"), stream, 4)};
        QVERIFY(store.append(group));
        QCOMPARE(store.contiguousReceipt(node("a"), stream), Msn(4));
        QCOMPARE(store.contiguousReceipt(node("b"), stream), Msn(0));
    }

    void lossTheSameBothWays_isWrittenDownOnce()
    {
        CustodyStore &store = freshStore();
        const StreamId stream = QUuid::createUuid();
        const std::vector first{numbered(node("a"), stream, 1)};
        QVERIFY(store.append(first));
        QVERIFY(store.senderDropped(node("a"), stream, 4)); // 2 and 3 never came
        QCOMPARE(storedLosses().size(), 1);
        const Loss again{QStringLiteral("a"), stream, 2, 3, 0, {}, {}, LossReason::NeverSent};
        const std::vector next{numbered(node("a"), stream, 4, {again})};
        QVERIFY(store.append(next));
        QCOMPARE(store.contiguousReceipt(node("a"), stream), Msn(4));
        QCOMPARE(storedLosses().size(), 1);
    }
};

} // namespace lintel
