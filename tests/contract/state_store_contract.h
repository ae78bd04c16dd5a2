// What every StateStore promises, as one suite. A test derives from it, says how to make a store and how
// to open it again, and runs.
#pragma once

#include "ports/state_store.h"

#include <QTest>

#include <memory>

namespace lintel {

class StateStoreContract : public QObject
{
    Q_OBJECT
protected:
    /// An empty store.
    [[nodiscard]] virtual std::unique_ptr<StateStore> make() = 0;
    /// The same store after a restart; null where nothing survives one.
    [[nodiscard]] virtual std::unique_ptr<StateStore> reopen(std::unique_ptr<StateStore> store) = 0;

private Q_SLOTS:
    void load_ofWhatWasNeverSavedIsNothingAndNoError()
    {
        const auto store = make();
        const auto loaded = store->load(QStringLiteral("bdSeq"));
        QVERIFY2(loaded, loaded ? "" : qPrintable(loaded.error().message));
        QVERIFY(!*loaded);
        const auto keys = store->keys({});
        QVERIFY(keys);
        QCOMPARE(*keys, QStringList());
    }

    void save_isThereAtOnceAndReplacesWhatWas()
    {
        const auto store = make();
        QVERIFY(store->save(QStringLiteral("bdSeq"), "1"));
        QCOMPARE(loaded(*store, QStringLiteral("bdSeq")), QByteArray("1"));
        QVERIFY(store->save(QStringLiteral("bdSeq"), "255"));
        QCOMPARE(loaded(*store, QStringLiteral("bdSeq")), QByteArray("255"));
        QCOMPARE(*store->keys({}), QStringList{QStringLiteral("bdSeq")});
    }

    void values_areBytes_data()
    {
        QTest::addColumn<QByteArray>("value");
        QByteArray all;
        for (int i = 0; i < 256; ++i)
            all.append(char(i));
        QTest::newRow("every byte") << all;
        QTest::newRow("zero first") << QByteArray("\0x", 2);
        QTest::newRow("line ends") << QByteArray("\r\n\n");
        QTest::newRow("no UTF-8") << QByteArray("\xff\xfe");
        QTest::newRow("100 kB") << QByteArray(100'000, 'x');
    }
    void values_areBytes()
    {
        QFETCH(QByteArray, value);
        auto store = make();
        QVERIFY(store->save(QStringLiteral("k"), value));
        QCOMPARE(loaded(*store, QStringLiteral("k")), value);
        store = reopen(std::move(store));
        if (store)
            QCOMPARE(loaded(*store, QStringLiteral("k")), value);
    }

    void emptyValue_isAValue()
    {
        auto store = make();
        QVERIFY(store->save(QStringLiteral("k"), QByteArray("")));
        auto found = store->load(QStringLiteral("k"));
        QVERIFY(found && *found);
        QVERIFY((*found)->isEmpty());
        QCOMPARE(*store->keys({}), QStringList{QStringLiteral("k")});
    }

    /// Keys are texts, not paths, patterns or file names.
    void keys_mayHoldAnything_data()
    {
        QTest::addColumn<QString>("key");
        for (const char *key :
             {"sparkplug/bdseq/building-1/hvac-001", "../escape", ".", "..", "a b", "a%2Fb", "a_b", "percent%", "star*",
              "q?", "back\\slash", "Zimmer \xc3\xa4", "UPPER", "upper", ".state"})
            QTest::newRow(key) << QString::fromUtf8(key);
    }
    void keys_mayHoldAnything()
    {
        QFETCH(QString, key);
        auto store = make();
        QVERIFY(store->save(QStringLiteral("other"), "2"));
        QVERIFY(store->save(key, "1"));
        QCOMPARE(loaded(*store, key), QByteArray("1"));
        QCOMPARE(*store->keys(key), QStringList{key});
        store = reopen(std::move(store));
        if (!store)
            return;
        QCOMPARE(loaded(*store, key), QByteArray("1"));
        QVERIFY(store->remove(key));
        QCOMPARE(*store->keys({}), QStringList{QStringLiteral("other")});
    }

    void keys_differByCase()
    {
        const auto store = make();
        QVERIFY(store->save(QStringLiteral("a"), "small"));
        QVERIFY(store->save(QStringLiteral("A"), "large"));
        QCOMPARE(loaded(*store, QStringLiteral("a")), QByteArray("small"));
        QCOMPARE(loaded(*store, QStringLiteral("A")), QByteArray("large"));
    }

    void keys_areThoseWithThePrefixSorted()
    {
        const auto store = make();
        for (const char *key : {"births/b", "bdSeq", "births/a", "birthsx", "births/", "c%", "births/a/c"})
            QVERIFY(store->save(QString::fromLatin1(key), key));
        QCOMPARE(*store->keys(QStringLiteral("births/")),
                 (QStringList{QStringLiteral("births/"), QStringLiteral("births/a"), QStringLiteral("births/a/c"),
                              QStringLiteral("births/b")}));
        QCOMPARE(*store->keys(QStringLiteral("c%")), QStringList{QStringLiteral("c%")});
        QCOMPARE(*store->keys(QStringLiteral("d")), QStringList());
        QCOMPARE(store->keys({})->size(), 7);
    }

    void remove_takesOneKeyAndIsNoErrorTwice()
    {
        auto store = make();
        QVERIFY(store->save(QStringLiteral("a"), "1"));
        QVERIFY(store->save(QStringLiteral("ab"), "2"));
        QVERIFY(store->remove(QStringLiteral("a")));
        QVERIFY(!*store->load(QStringLiteral("a")));
        QCOMPARE(loaded(*store, QStringLiteral("ab")), QByteArray("2"));
        QVERIFY(store->remove(QStringLiteral("a")));
        QVERIFY(store->remove(QStringLiteral("never")));
        store = reopen(std::move(store));
        if (store)
            QVERIFY(!*store->load(QStringLiteral("a")));
    }

    void restart_keepsTheLastOfEverything()
    {
        auto store = make();
        for (int i = 0; i < 50; ++i)
            QVERIFY(store->save(QStringLiteral("key/%1").arg(i % 10), QByteArray::number(i)));
        store = reopen(std::move(store));
        if (!store)
            QSKIP("This one forgets with its process.");
        QCOMPARE(store->keys(QStringLiteral("key/"))->size(), 10);
        for (int i = 0; i < 10; ++i)
            QCOMPARE(loaded(*store, QStringLiteral("key/%1").arg(i)), QByteArray::number(40 + i));
    }

private:
    [[nodiscard]] static QByteArray loaded(const StateStore &store, const QString &key)
    {
        const auto found = store.load(key);
        return found && *found ? **found : QByteArray("(nothing)");
    }
};

} // namespace lintel
