// gRPC's framing and header values, without a connection.
#include "grpc/http1_documents.h"
#include "grpc/wire.h"

#include <QTest>

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::grpc;

class TestGrpcWire : public QObject
{
    Q_OBJECT

    static QByteArray ask(const QByteArray &request)
    {
        const DocumentProviders documents{
            {"/", [] { return Result<Document>(Document{"{}"}); }},
        };
        DocumentExchange exchange;
        QByteArray answer;
        for (const char c : request) // as slowly as a network can
            answer += exchange.receive(QByteArrayView(&c, 1), documents);
        return answer;
    }

private Q_SLOTS:
    void messages_survivesEveryCut()
    {
        const QByteArray bytes = frameMessage("one") + frameMessage("") + frameMessage(QByteArray(300, 'x'));
        for (qsizetype step = 1; step <= bytes.size(); ++step) {
            MessageReader reader(1'000);
            QList<QByteArray> messages;
            for (qsizetype at = 0; at < bytes.size(); at += step) {
                reader.append(QByteArrayView(bytes).sliced(at, std::min(step, bytes.size() - at)));
                while (reader.hasMessage())
                    messages.append(reader.takeMessage());
            }
            QCOMPARE(messages, (QList<QByteArray>{"one", "", QByteArray(300, 'x')}));
            QVERIFY(!reader.fault() && !reader.isInsideMessage());
            QCOMPARE(reader.heldBytes(), 0);
        }
    }

    void messages_refusesWhatItMust()
    {
        const auto faultOf = [](const QByteArray &bytes) {
            MessageReader reader(100);
            reader.append(bytes);
            return reader.fault() ? reader.fault()->code : StatusCode::Ok;
        };
        QCOMPARE(faultOf(QByteArray::fromHex("0000000064")), StatusCode::Ok);
        QCOMPARE(faultOf(QByteArray::fromHex("0000000065")), StatusCode::ResourceExhausted);
        QCOMPARE(faultOf(QByteArray::fromHex("00ffffffff")), StatusCode::ResourceExhausted);
        QCOMPARE(faultOf(QByteArray::fromHex("0100000001aa")), StatusCode::Unimplemented);
        QCOMPARE(faultOf(QByteArray::fromHex("0200000001aa")), StatusCode::Internal);
    }

    void timeout_parsesAndPrints_data()
    {
        QTest::addColumn<QByteArray>("text");
        QTest::addColumn<qint64>("ms");
        QTest::newRow("hours") << QByteArray("2H") << qint64{7'200'000};
        QTest::newRow("minutes") << QByteArray("3M") << qint64{180'000};
        QTest::newRow("seconds") << QByteArray("4S") << qint64{4'000};
        QTest::newRow("milliseconds") << QByteArray("99999999m") << qint64{99'999'999};
        QTest::newRow("microseconds, rounded up") << QByteArray("1001u") << qint64{2};
        QTest::newRow("nanoseconds, rounded up") << QByteArray("1n") << qint64{1};
        for (const char *wrong : {"", "S", "1", "1s", "-1S", "123456789S", "1.5S", " 1S"})
            QTest::newRow(qPrintable("wrong: "_L1 + QLatin1StringView(wrong))) << QByteArray(wrong) << qint64{-1};
    }
    void timeout_parsesAndPrints()
    {
        QFETCH(QByteArray, text);
        QFETCH(qint64, ms);
        const auto timeout = decodeTimeout(text);
        QCOMPARE(timeout.has_value(), ms >= 0);
        if (timeout) {
            QCOMPARE(timeout->count(), ms);
            QCOMPARE(decodeTimeout(encodeTimeout(*timeout)), timeout);
        }
    }

    void statusMessage_isPercentEncoded()
    {
        QCOMPARE(encodeStatusMessage(u"a%b ä\n"_s), QByteArray("a%25b %C3%A4%0A"));
        QCOMPARE(decodeStatusMessage("a%25b %c3%A4%0A"), u"a%b ä\n"_s);
        QCOMPARE(decodeStatusMessage("100%"), u"100%"_s);
        QCOMPARE(decodeStatusMessage("%4"), u"%4"_s);
        QCOMPARE(decodeStatusMessage("%zz%41"), u"%zzA"_s);
    }

    void metadata_checksNamesAndEncodesBinary()
    {
        QVERIFY(isMetadata("x-1_a.b", "value with spaces"));
        QVERIFY(isMetadata("x-bin", QByteArray("\0\xff", 2)));
        for (const char *name : {"", "Upper", ":path", "grpc-status", "te", "content-type", "with space"})
            QVERIFY2(!isMetadata(name, "v"), name);
        QVERIFY(!isMetadata("x", "line\nbreak"));
        QCOMPARE(encodeMetadata("x-bin", "\xff"), QByteArray("/w"));
        QCOMPARE(decodeMetadata("x-bin", "/w"), QByteArray("\xff"));
        QCOMPARE(decodeMetadata("x-bin", "/w=="), QByteArray("\xff"));
        QCOMPARE(decodeMetadata("x-bin", "/w,AA"), QByteArray("\xff"));
        QCOMPARE(decodeMetadata("x", "/w"), QByteArray("/w"));
    }

    void codes_ofOtherLayers()
    {
        QCOMPARE(codeFromText("16"), StatusCode::Unauthenticated);
        QCOMPARE(codeFromText("17"), StatusCode::Unknown);
        QCOMPARE(codeFromText("-1"), StatusCode::Unknown);
        QCOMPARE(codeFromText("x"), StatusCode::Unknown);
        QCOMPARE(codeOfHttpStatus(503), StatusCode::Unavailable);
        QCOMPARE(codeOfHttp2Error(7), StatusCode::Unavailable);
        QCOMPARE(codeOfHttp2Error(1), StatusCode::Internal);
    }

    void documents_answerInHttp1_data()
    {
        QTest::addColumn<QByteArray>("request");
        QTest::addColumn<QByteArray>("status");
        const QByteArray host = "\r\nHost: x\r\n\r\n";
        QTest::newRow("get") << "GET / HTTP/1.1" + host << QByteArray("200");
        QTest::newRow("query") << "GET /?a=b HTTP/1.1" + host << QByteArray("200");
        QTest::newRow("1.0 without host") << QByteArray("GET / HTTP/1.0\r\n\r\n") << QByteArray("200");
        QTest::newRow("post") << "POST / HTTP/1.1" + host << QByteArray("405");
        QTest::newRow("missing") << "GET /x HTTP/1.1" + host << QByteArray("404");
        QTest::newRow("no host") << QByteArray("GET / HTTP/1.1\r\n\r\n") << QByteArray("400");
        QTest::newRow("two hosts") << "GET / HTTP/1.1\r\nHost: y" + host << QByteArray("400");
        QTest::newRow("http/2") << "GET / HTTP/2" + host << QByteArray("400");
        QTest::newRow("proxy") << "GET http://x/ HTTP/1.1" + host << QByteArray("400");
        QTest::newRow("folded header") << "GET / HTTP/1.1\r\n folded: x" + host << QByteArray("400");
        QTest::newRow("nonsense") << QByteArray("\r\n\r\n") << QByteArray("400");
        QTest::newRow("endless") << "GET / HTTP/1.1\r\nx: " + QByteArray(10'000, 'x') << QByteArray("431");
    }
    void documents_answerInHttp1()
    {
        QFETCH(QByteArray, request);
        QFETCH(QByteArray, status);
        const QByteArray answer = ask(request);
        QVERIFY2(answer.startsWith("HTTP/1.1 " + status + ' '), answer.constData());
        QCOMPARE(answer.count("HTTP/1.1 "), 1);
    }

    void documents_headHasNoBody()
    {
        const QByteArray answer = ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
        QVERIFY(answer.contains("Content-Length: 2\r\n"));
        QVERIFY(answer.endsWith("\r\n\r\n"));
    }
};

QTEST_APPLESS_MAIN(TestGrpcWire)
#include "tst_grpc_wire.moc"
