// Answers of bundle endpoints: whole ones in any pieces, and everything that is none.
#include "grpc/document_fetch.h"
#include "grpc/http1_response.h"

#include <QTest>

using namespace lintel;
using namespace lintel::grpc;
using namespace Qt::StringLiterals;

class TestHttp1Response : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void response_isTheSameInAnyPieces_data()
    {
        QTest::addColumn<QByteArray>("bytes");
        QTest::newRow("sized") << QByteArray("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        QTest::newRow("chunked") << QByteArray(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: x\r\n\r\n");
        QTest::newRow("after an interim one")
            << QByteArray("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 200\r\ncontent-length:5\r\n\r\nhello");
        QTest::newRow("with bytes behind") << QByteArray("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, world");
    }

    void response_isTheSameInAnyPieces()
    {
        QFETCH(const QByteArray, bytes);
        for (qsizetype size = 1; size <= bytes.size(); ++size) {
            Http1Response response;
            Result<bool> complete = false;
            for (qsizetype at = 0; at < bytes.size() && complete && !*complete; at += size)
                complete = response.receive(QByteArrayView(bytes).sliced(at, std::min(size, bytes.size() - at)));
            QVERIFY2(complete && *complete, QByteArray::number(size));
            QCOMPARE(response.status(), 200);
            QCOMPARE(response.body(), QByteArray("hello"));
        }
    }

    void response_thatIsCutOffIsNotComplete()
    {
        Http1Response response;
        const auto complete = response.receive("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello");
        QVERIFY(complete && !*complete);
    }

    void response_thatIsNoneIsRefused_data()
    {
        QTest::addColumn<QByteArray>("bytes");
        QTest::addColumn<Errc>("code");
        const auto row = [](const char *name, const QByteArray &bytes, Errc code = Errc::Malformed) {
            QTest::newRow(name) << bytes << code;
        };
        const QByteArray ok = "HTTP/1.1 200 OK\r\n";
        row("another protocol", "SSH-2.0-x\r\n\r\n");
        row("status without digits", "HTTP/1.1 2x0 OK\r\n\r\n");
        row("field without a name", ok + ": x\r\n\r\n");
        row("field with a blank in its name", ok + "Content Length: 1\r\n\r\n");
        row("end told by the connection alone", ok + "Connection: close\r\n\r\n");
        row("two lengths", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n");
        row("negative length", ok + "Content-Length: -1\r\n\r\n");
        row("length beyond 64 bits", ok + "Content-Length: 99999999999999999999\r\n\r\n");
        row("unknown coding", ok + "Transfer-Encoding: gzip\r\n\r\n");
        row("too long", ok + "Content-Length: 1048577\r\n\r\n", Errc::Full);
        row("chunk without a size", ok + "Transfer-Encoding: chunked\r\n\r\nx\r\n");
        row("chunk too long", ok + "Transfer-Encoding: chunked\r\n\r\n100001\r\n", Errc::Full);
        row("chunk longer than it says", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n");
        row("endless head", ok + QByteArray(20'000, 'x'));
    }

    void response_thatIsNoneIsRefused()
    {
        QFETCH(const QByteArray, bytes);
        QFETCH(const Errc, code);
        Http1Response response;
        const auto complete = response.receive(bytes);
        QVERIFY(!complete);
        QCOMPARE(complete.error().code, code);
    }

    void address_mustBeHttpsWithoutAUser()
    {
        QVERIFY(DocumentFetch::checkUrl(QUrl(u"https://host.example/a?b=c"_s)));
        QVERIFY(DocumentFetch::checkUrl(QUrl(u"https://[::1]:8443/"_s)));
        for (const QString &wrong : {u"http://host.example/"_s, u"https://user@host.example/"_s, u"https:///path"_s,
                                     u"file:///etc/passwd"_s, QString()})
            QVERIFY2(!DocumentFetch::checkUrl(QUrl(wrong)), qPrintable(wrong));
    }
};

QTEST_GUILESS_MAIN(TestHttp1Response)
#include "tst_http1_response.moc"
