// CBOR that was sent or stored: what is no number is none, and what is broken is empty.
#include "domain/qt_cbor.h"

#include <QTest>

#include <limits>

using namespace lintel;
using namespace Qt::StringLiterals;

class TestQtCbor : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void number_isAnIntegerOrTheFallback()
    {
        QCOMPARE(wholeNumber(QCborValue(-7)), -7);
        QCOMPARE(wholeNumber(QCborValue(std::numeric_limits<qint64>::max())), std::numeric_limits<qint64>::max());
        QCOMPARE(wholeNumber(QCborValue(1e300), 3), 3);
        QCOMPARE(wholeNumber(QCborValue(7.0), 3), 3);
        QCOMPARE(wholeNumber(QCborValue(u"7"_s)), 0);
        QCOMPARE(wholeNumber(QCborMap().value(1), -1), -1);
    }
    void map_ofBrokenBytesIsEmpty()
    {
        const QCborMap whole{{u"a"_s, QCborMap{{u"b"_s, 1}}}, {u"c"_s, u"text"_s}};
        const QByteArray bytes = whole.toCborValue().toCbor();
        QCOMPARE(cborMap(bytes), whole);
        for (qsizetype end = 0; end < bytes.size(); ++end)
            QVERIFY(cborMap(bytes.left(end)).isEmpty());
        QVERIFY(cborMap(QCborValue(QCborArray{1, 2}).toCbor()).isEmpty());
    }
};

QTEST_GUILESS_MAIN(TestQtCbor)
#include "tst_qt_cbor.moc"
