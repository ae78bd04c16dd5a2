// What the stores in memory can do beyond their ports: fail on demand. The spool's contract is
// tested in tst_memory_spool.cpp.
#include "fakes/memory_spool.h"
#include "fakes/memory_state_store.h"

#include <QtTest>

using namespace lintel;

namespace {

IncomingBatch received(const StreamId &stream, Msn msn)
{
    return {ReadingBatch{QStringLiteral("d"), {Reading{}}, {}}, Receipt{stream, msn}};
}

} // namespace

class TestMemoryFakes final : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void failure_takesNothing();
    void senderDropped_survivesAbsurdNumbers();
    void stateStore_keepsValuesByKey();
};

void TestMemoryFakes::failure_takesNothing()
{
    MemorySpool spool;
    const StreamId stream = QUuid::createUuid();
    const std::vector<IncomingBatch> batches{received(stream, 1)};
    spool.failWith(Error{Errc::Io, QStringLiteral("The disk is gone.")});
    QCOMPARE(spool.append(batches).error().code, Errc::Io);
    QVERIFY(!spool.senderDropped(stream, QStringLiteral("d"), 5));
    QCOMPARE(spool.status().head, Msn(0));
    QCOMPARE(spool.contiguousReceipt(stream), Msn(0));
    spool.failWith({});
    QCOMPARE(spool.append(batches)->duplicates, quint32(0));
}

void TestMemoryFakes::senderDropped_survivesAbsurdNumbers()
{
    constexpr Msn largest = std::numeric_limits<Msn>::max();
    MemorySpool spool;
    const StreamId stream = QUuid::createUuid();
    QVERIFY(spool.append(std::vector{received(stream, 5)}));
    const auto lost = spool.senderDropped(stream, QStringLiteral("d"), largest);
    QVERIFY(lost);
    QCOMPARE(lost->size(), 2);
    QCOMPARE(spool.contiguousReceipt(stream), largest - 1);
}

void TestMemoryFakes::stateStore_keepsValuesByKey()
{
    MemoryStateStore store;
    QVERIFY(!*store.load(QStringLiteral("a")));
    for (const char *key : {"births/b", "births/a", "bdSeq", "birthsx"})
        QVERIFY(store.save(QString::fromLatin1(key), key));
    QCOMPARE(*store.keys(QStringLiteral("births/")),
             (QStringList{QStringLiteral("births/a"), QStringLiteral("births/b")}));
    QCOMPARE(**store.load(QStringLiteral("bdSeq")), QByteArray("bdSeq"));
    store.failWith(Error{Errc::Io, QStringLiteral("The disk is gone.")});
    QVERIFY(!store.save(QStringLiteral("bdSeq"), "2"));
    QVERIFY(!store.remove(QStringLiteral("bdSeq")));
    store.failWith({});
    QCOMPARE(**store.load(QStringLiteral("bdSeq")), QByteArray("bdSeq"));
    QVERIFY(store.remove(QStringLiteral("bdSeq")));
    QVERIFY(!*store.load(QStringLiteral("bdSeq")));
}

QTEST_GUILESS_MAIN(TestMemoryFakes)
#include "tst_memory_fakes.moc"
