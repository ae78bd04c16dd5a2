// The authority's tables: a state of an older version opens, keeps what it holds, and is what a new one is.
#include "authority/authority_schema.h"
#include "authority/store.h"

#include <QTemporaryDir>
#include <QTest>

using namespace lintel;
using namespace lintel::authority;
using namespace Qt::StringLiterals;

namespace {

/// One column of text, row by row.
QStringList textsOf(sqlite::Database &database, const char *sql, int column = 0)
{
    QStringList texts;
    auto query = database.prepare(sql);
    while (query) {
        const auto row = query->step();
        if (!row || !*row)
            break;
        texts.append(query->text(column));
    }
    return texts;
}

std::unique_ptr<sqlite::Database> openIn(const QTemporaryDir &dir)
{
    auto database = sqlite::Database::open(dir.filePath(u"authority.db"_s));
    return database ? *std::move(database) : nullptr;
}

} // namespace

class TestAuthoritySchema : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void state_ofEveryOlderVersionOpensAsNew()
    {
        const QTemporaryDir fresh;
        QVERIFY(Store::open(fresh.path()));
        const auto shape = [](const QTemporaryDir &dir) {
            const auto database = openIn(dir);
            return database ? textsOf(*database, "SELECT name || ': ' || sql FROM sqlite_schema WHERE sql <> '' "
                                                 "ORDER BY name")
                            : QStringList();
        };
        QVERIFY(!shape(fresh).isEmpty());
        for (std::size_t version = 1; version < authorityMigrations().size(); ++version) {
            const QTemporaryDir dir;
            {
                const auto old = openIn(dir);
                QVERIFY(old);
                QVERIFY(old->migrate(authorityMigrations().first(version)));
                QVERIFY(
                    old->execute("INSERT INTO audit VALUES (1, 5, 'root', 'device.enroll', 'hvac-001', '', x'00')"));
            }
            {
                const auto store = Store::open(dir.path());
                QVERIFY2(store, store ? "" : qPrintable(store.error().message));
                QCOMPARE((*store)->auditRecords(0, 10, {u"hvac-001"_s})->size(), 1);
                QCOMPARE((*store)->auditRecords(0, 10, {u"hvac-002"_s})->size(), 0);
            }
            QCOMPARE(shape(dir), shape(fresh));
        }
    }

    /// The trail grows for ever; asking for one device must not read all of it.
    void audit_isFoundBySubjectWithoutReadingAll()
    {
        const QTemporaryDir dir;
        QVERIFY(Store::open(dir.path()));
        const auto database = openIn(dir);
        QVERIFY(database);
        const QString plan =
            textsOf(*database,
                    "EXPLAIN QUERY PLAN SELECT number FROM audit WHERE number > 0 AND subject IN ('a', 'b') "
                    "ORDER BY number LIMIT 10",
                    3)
                .join(u'\n');
        QVERIFY2(plan.contains(u"audit_by_subject"_s), qPrintable(plan));
    }
};

QTEST_GUILESS_MAIN(TestAuthoritySchema)
#include "tst_authority_schema.moc"
