#include "domain/principal.h"

#include <QRandomGenerator>
#include <QtTest>

using namespace lintel;

class TestPrincipal : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void print_fitsIntoATopic_data();
    void print_fitsIntoATopic();
    void parse_refusesOtherSpellings_data();
    void parse_refusesOtherSpellings();
    void mapping_isOneToOne();
};

void TestPrincipal::print_fitsIntoATopic_data()
{
    QTest::addColumn<QString>("id");
    QTest::addColumn<QString>("principal");
    QTest::newRow("gateway") << "spiffe://building-1.smart.local/agent/gateway"
                             << "building-1~smart~local:agent:gateway";
    QTest::newRow("trust domain alone") << "spiffe://smart-building.cloud"
                                        << "smart-building~cloud";
    QTest::newRow("dots in the path") << "spiffe://a/v1.2/x_y"
                                      << "a:v1~2:x_y";
}

void TestPrincipal::print_fitsIntoATopic()
{
    QFETCH(QString, id);
    QFETCH(QString, principal);
    const Principal there(*SpiffeId::parse(id));
    QCOMPARE(there.toString(), principal);
    const auto back = Principal::parse(principal);
    QVERIFY(back);
    QCOMPARE(back->spiffeId().toString(), id);
    QVERIFY(*back == there);
    QCOMPARE(qHash(*back), qHash(there));
}

void TestPrincipal::parse_refusesOtherSpellings_data()
{
    QTest::addColumn<QString>("text");
    for (const char *text : {"", "spiffe://smart.local", "smart.local:agent", "smart~local/agent", "smart~local:",
                             ":agent", "a::b", "a:~:b", "a:~~", "Smart~local", "a b", "a:+", "a:#", "a:b%20", "a@b"})
        QTest::newRow(text) << QString::fromUtf8(text);
}

void TestPrincipal::parse_refusesOtherSpellings()
{
    QFETCH(QString, text);
    const auto parsed = Principal::parse(text);
    QVERIFY(!parsed);
    QCOMPARE(parsed.error().code, Errc::Malformed);
}

void TestPrincipal::mapping_isOneToOne()
{
    QVERIFY(Principal().isEmpty());
    QVERIFY(Principal().toString().isEmpty());
    QRandomGenerator random(5);
    constexpr QStringView alphabet = u"aZ09._-/:~+#%";
    for (int i = 0; i < 20'000; ++i) {
        QString text = QStringLiteral("td");
        for (int n = random.bounded(10); n > 0; --n)
            text += alphabet[random.bounded(int(alphabet.size()))];
        if (const auto principal = Principal::parse(text))
            QCOMPARE(principal->toString(), text);
        if (const auto id = SpiffeId::parse(QStringLiteral("spiffe://") + text)) {
            const auto back = Principal::parse(Principal(*id).toString());
            QVERIFY(back);
            QVERIFY(back->spiffeId() == *id);
        }
    }
}

QTEST_GUILESS_MAIN(TestPrincipal)
#include "tst_principal.moc"
