#include "domain/spiffe_id.h"

#include <QSet>
#include <QtTest>

using namespace lintel;

class TestSpiffeId : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void parse_takesWhatSection2Allows_data();
    void parse_takesWhatSection2Allows();
    void parse_refusesWhatSection2Forbids_data();
    void parse_refusesWhatSection2Forbids();
    void parse_decidesOnEveryCharacter();
    void trustDomain_isTheNameAlone();
    void id_isAValue();
};

void TestSpiffeId::parse_takesWhatSection2Allows_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("domain");
    QTest::addColumn<QString>("path");
    const auto good = [](const char *name, const QString &domain, const QString &path) {
        QTest::newRow(name) << QStringLiteral("spiffe://") + domain + path << domain << path;
    };
    good("trust domain only", QStringLiteral("building-1.smart.local"), {});
    good("one segment", QStringLiteral("smart.local"), QStringLiteral("/broker"));
    good("three segments", QStringLiteral("building-1.smart.local"), QStringLiteral("/agent/hvac/001"));
    good("upper case in the path", QStringLiteral("smart.local"), QStringLiteral("/Agent/HVAC"));
    good("dots in a segment", QStringLiteral("smart.local"), QStringLiteral("/.../..a/a..b/.hidden"));
    good("underscore in the domain", QStringLiteral("smart_building"), {});
    good("IPv4 address", QStringLiteral("10.0.0.1"), QStringLiteral("/a"));
    good("domain of marks", QStringLiteral(".-_"), QStringLiteral("/-/_"));
    good("domain is a UUID", QStringLiteral("0bbec001-1dca-4f68-afed-054e7c1788cf"), {});
    good("domain of 255", QString(255, u'a'), QStringLiteral("/x"));
    good("id of 2048", QStringLiteral("a"), u'/' + QString(2048 - 11, u'z'));
}

void TestSpiffeId::parse_takesWhatSection2Allows()
{
    QFETCH(QString, text);
    const auto id = SpiffeId::parse(text);
    QVERIFY2(id, id ? "" : qPrintable(id.error().message));
    QTEST(id->trustDomain().name(), "domain");
    QTEST(id->path(), "path");
    QCOMPARE(id->toString(), text);
    QVERIFY(!id->isEmpty());
    QVERIFY(id->isMemberOf(*TrustDomain::parse(id->trustDomain().name())));
}

void TestSpiffeId::parse_refusesWhatSection2Forbids_data()
{
    QTest::addColumn<QString>("text");
    const auto bad = [](const char *name, const QString &text) { QTest::newRow(name) << text; };
    bad("empty", {});
    bad("no scheme", QStringLiteral("smart.local/agent"));
    bad("other scheme", QStringLiteral("https://smart.local/agent"));
    bad("scheme in upper case", QStringLiteral("SPIFFE://smart.local/agent"));
    bad("scheme with one slash", QStringLiteral("spiffe:/smart.local/agent"));
    bad("scheme alone", QStringLiteral("spiffe://"));
    bad("no trust domain", QStringLiteral("spiffe:///agent"));
    bad("blank before", QStringLiteral(" spiffe://smart.local"));
    bad("blank behind", QStringLiteral("spiffe://smart.local "));
    bad("upper case in the trust domain", QStringLiteral("spiffe://Smart.local"));
    bad("user info", QStringLiteral("spiffe://root@smart.local"));
    bad("port", QStringLiteral("spiffe://smart.local:8443/agent"));
    bad("empty port", QStringLiteral("spiffe://smart.local:/agent"));
    bad("IPv6 address", QStringLiteral("spiffe://[::1]/agent"));
    bad("percent encoding in the trust domain", QStringLiteral("spiffe://smart%2elocal"));
    bad("percent encoding in the path", QStringLiteral("spiffe://smart.local/a%62"));
    bad("letter of another alphabet in the trust domain", QStringLiteral("spiffe://smаrt.local"));
    bad("letter of another alphabet in the path", QStringLiteral("spiffe://smart.local/ägent"));
    bad("digit of another script", QStringLiteral("spiffe://smart.local/agent٣"));
    bad("trailing slash", QStringLiteral("spiffe://smart.local/"));
    bad("trailing slash behind a path", QStringLiteral("spiffe://smart.local/agent/"));
    bad("empty segment", QStringLiteral("spiffe://smart.local/a//b"));
    bad("empty first segment", QStringLiteral("spiffe://smart.local//a"));
    bad("dot segment", QStringLiteral("spiffe://smart.local/./a"));
    bad("dot dot segment", QStringLiteral("spiffe://smart.local/a/../b"));
    bad("dot dot at the end", QStringLiteral("spiffe://smart.local/a/.."));
    bad("query", QStringLiteral("spiffe://smart.local/a?b=c"));
    bad("query behind the trust domain", QStringLiteral("spiffe://smart.local?b"));
    bad("fragment", QStringLiteral("spiffe://smart.local/a#b"));
    bad("fragment behind the trust domain", QStringLiteral("spiffe://smart.local#b"));
    bad("backslash", QStringLiteral("spiffe://smart.local\\a"));
    bad("NUL", QStringLiteral("spiffe://smart.local/a") + QChar(0));
    bad("line break", QStringLiteral("spiffe://smart.local/a\n"));
    bad("half a surrogate pair", QStringLiteral("spiffe://smart.local/") + QChar(0xd800));
    bad("colon in the path", QStringLiteral("spiffe://smart.local/a:b"));
    bad("tilde in the path", QStringLiteral("spiffe://smart.local/a~b"));
    bad("trust domain of 256", QStringLiteral("spiffe://") + QString(256, u'a'));
    bad("id of 2049", QStringLiteral("spiffe://a/") + QString(2049 - 11, u'z'));
}

void TestSpiffeId::parse_refusesWhatSection2Forbids()
{
    QFETCH(QString, text);
    const auto id = SpiffeId::parse(text);
    QVERIFY(!id);
    QCOMPARE(id.error().code, Errc::Malformed);
    QVERIFY(!id.error().message.isEmpty());
    QVERIFY(!id.error().message.contains(u'\n') && !id.error().message.contains(QChar(0)));
}

/// The characters of sections 2.1 and 2.2 are these and no others.
void TestSpiffeId::parse_decidesOnEveryCharacter()
{
    const QString domainCharacters = QStringLiteral("abcdefghijklmnopqrstuvwxyz0123456789.-_");
    const QString pathCharacters = domainCharacters + QStringLiteral("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    for (char16_t c = 0; c < 0xffff; ++c) {
        const QChar ch(c);
        QCOMPARE(bool(TrustDomain::parse(QString(u'a') + ch)), domainCharacters.contains(ch));
        const QString withPath = QStringLiteral("spiffe://td/a") + ch + u'z';
        QCOMPARE(bool(SpiffeId::parse(withPath)), pathCharacters.contains(ch) || ch == u'/');
    }
}

void TestSpiffeId::trustDomain_isTheNameAlone()
{
    QVERIFY(TrustDomain::parse(u"smart.local"));
    QVERIFY(!TrustDomain::parse(u""));
    QVERIFY(!TrustDomain::parse(u"spiffe://smart.local"));
    QVERIFY(!TrustDomain::parse(u"smart.local/agent"));
}

void TestSpiffeId::id_isAValue()
{
    const SpiffeId none;
    QVERIFY(none.isEmpty());
    QVERIFY(none.toString().isEmpty());
    const SpiffeId a = *SpiffeId::parse(u"spiffe://smart.local/a");
    const SpiffeId upper = *SpiffeId::parse(u"spiffe://smart.local/A");
    QVERIFY(a == *SpiffeId::parse(u"spiffe://smart.local/a"));
    QVERIFY2(a != upper, "the path is case-sensitive (section 2.4)");
    QVERIFY(a.isMemberOf(upper.trustDomain()));
    QVERIFY(*TrustDomain::parse(u"a") < *TrustDomain::parse(u"b"));
    QCOMPARE((QSet<SpiffeId>{a, upper, a}.size()), 2);
}

QTEST_GUILESS_MAIN(TestSpiffeId)
#include "tst_spiffe_id.moc"
