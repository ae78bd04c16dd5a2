#include "fakes/fake_clock.h"
#include "historian/historian.h"
#include "historian/historian_schema.h"

#include <QSqlQuery>
#include <QTemporaryDir>
#include <QTest>
#include <QVariant>

#include <array>

using namespace lintel;
using namespace lintel::historian;

class tst_HistorianSchema : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    int m_made = 0;

    static constexpr const char *kConnection = "schema-test";

    template <class Work>
    void with(const QString &path, Work work)
    {
        {
            QSqlDatabase database =
                QSqlDatabase::addDatabase(QStringLiteral("QSQLITE"), QLatin1StringView(kConnection));
            database.setDatabaseName(path);
            QVERIFY(database.open());
            work(database);
        }
        QSqlDatabase::removeDatabase(QLatin1StringView(kConnection));
    }
    static QStringList describe(QSqlDatabase &database)
    {
        QStringList lines;
        QSqlQuery query(database);
        query.exec(QStringLiteral("SELECT type, name, sql FROM sqlite_master ORDER BY type, name"));
        while (query.next())
            lines.append(query.value(0).toString() + u' ' + query.value(1).toString() + u' '
                         + query.value(2).toString());
        return lines;
    }
    QString freshPath() { return m_folder.filePath(QStringLiteral("%1.db").arg(++m_made)); }

private Q_SLOTS:
    void migrate_makesTheNewestSchemaAndIsIdempotent()
    {
        with(freshPath(), [](QSqlDatabase &database) {
            QCOMPARE(*schemaVersion(database), 0);
            QVERIFY(migrate(database));
            QCOMPARE(*schemaVersion(database), int(migrations().size()));
            const QStringList schema = describe(database);
            QVERIFY(schema.size() > 8);
            QVERIFY(migrate(database));
            QCOMPARE(describe(database), schema);
        });
    }

    void migrate_stepByStepGivesTheSameSchema()
    {
        QStringList atOnce;
        with(freshPath(), [&](QSqlDatabase &database) {
            QVERIFY(migrate(database));
            atOnce = describe(database);
        });
        with(freshPath(), [&](QSqlDatabase &database) {
            for (size_t steps = 1; steps <= migrations().size(); ++steps)
                QVERIFY(migrate(database, migrations().first(steps)));
            QCOMPARE(describe(database), atOnce);
        });
    }

    void migrate_keepsTheDataOfAnOlderVersion()
    {
        static constexpr std::array kAddition{"ALTER TABLE devices ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'"};
        std::vector<Migration> newer(migrations().begin(), migrations().end());
        newer.push_back(Migration{kAddition});
        with(freshPath(), [&](QSqlDatabase &database) {
            QVERIFY(migrate(database));
            QSqlQuery query(database);
            QVERIFY(query.exec(
                QStringLiteral("INSERT INTO devices (id, site, name, node, online) VALUES (1, 's', 'd', 'n', 0)")));
            QVERIFY(migrate(database, newer));
            QCOMPARE(*schemaVersion(database), int(newer.size()));
            QVERIFY(query.exec(QStringLiteral("SELECT name, colour FROM devices")) && query.next());
            QCOMPARE(query.value(0).toString(), QStringLiteral("d"));
            QCOMPARE(query.value(1).toString(), QStringLiteral("grey"));
        });
    }

    void migrate_countsWhatAnOlderVersionStored()
    {
        with(freshPath(), [](QSqlDatabase &database) {
            QVERIFY(migrate(database, migrations().first(1)));
            QSqlQuery query(database);
            QVERIFY(query.exec(
                QStringLiteral("INSERT INTO devices (id, site, name, node, online) VALUES (1, 's', 'd', 'n', 0)")));
            QVERIFY(
                query.exec(QStringLiteral("INSERT INTO points VALUES (1, 1, 'p', '', 0, '', '', '', '', '', '', 0)")));
            for (const int historical : {0, 1, 0})
                QVERIFY(
                    query.exec(QStringLiteral("INSERT INTO readings VALUES (1, 5, 0, 1.5, NULL, NULL, '', 192, %1, 9)")
                                   .arg(historical)));
            QVERIFY(migrate(database));
            QVERIFY(query.exec(QStringLiteral("SELECT readings, historical, removed FROM totals")) && query.next());
            QCOMPARE(query.value(0).toInt(), 3);
            QCOMPARE(query.value(1).toInt(), 1);
            QCOMPARE(query.value(2).toInt(), 0);
        });
    }

    void migrate_thatFailsChangesNothing()
    {
        static constexpr std::array kBroken{"CREATE TABLE half (id BIGINT)", "CREATE TABLE devices (id BIGINT)"};
        std::vector<Migration> newer(migrations().begin(), migrations().end());
        newer.push_back(Migration{kBroken});
        with(freshPath(), [&](QSqlDatabase &database) {
            QVERIFY(migrate(database));
            const QStringList before = describe(database);
            QVERIFY(!migrate(database, newer));
            QCOMPARE(describe(database), before);
            QCOMPARE(*schemaVersion(database), int(migrations().size()));
        });
    }

    void open_refusesANewerVersion()
    {
        const QString path = freshPath();
        FakeClock clock;
        QVERIFY(Historian::open({path}, clock));
        with(path, [](QSqlDatabase &database) {
            QVERIFY(QSqlQuery(database).exec(QStringLiteral("UPDATE schema_version SET version = 1000")));
        });
        const auto refused = Historian::open({path}, clock);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Unsupported);
        QVERIFY(refused.error().message.contains(QLatin1StringView("newer version")));
    }

    void open_saysWhatIsWrongWithAFileThatIsNoDatabase()
    {
        const QString path = freshPath();
        QFile file(path);
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(QByteArray(8192, 'x'));
        file.close();
        FakeClock clock;
        const auto refused = Historian::open({path}, clock);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Io);
        QVERIFY2(refused.error().message.contains(path), qPrintable(refused.error().message));
    }
};

QTEST_GUILESS_MAIN(tst_HistorianSchema)
#include "tst_historian_schema.moc"
