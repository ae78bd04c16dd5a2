#include "fakes/call_bus.h"

using namespace lintel;
using namespace lintel::test;
using namespace std::chrono_literals;

class TestCallCodec : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void codec_roundTrips();
    void codec_carriesEveryError();
    void codec_keepsTheSentenceOfAnUnknownError();
    void decodeRequest_refuses_data();
    void decodeRequest_refuses();
    void decodeResponse_refuses_data();
    void decodeResponse_refuses();
    void correlation_isFoundInBrokenRequests();
};

void TestCallCodec::codec_roundTrips()
{
    const CallRequest request{QStringLiteral("c-1"), fromEpochMillis(1795254060000),
                              mapOf(R"({"points":["a","b"],"max":5,"deep":{"x":null}})")};
    const auto back = decodeCallRequest(encode(request));
    QVERIFY(back);
    QCOMPARE(back->correlation, request.correlation);
    QVERIFY(back->expires == request.expires);
    QCOMPARE(back->args, request.args);

    const auto response = decodeCallResponse(encode(CallResponse{QStringLiteral("c-1"), request.args}));
    QVERIFY(response && response->outcome);
    QCOMPARE(*response->outcome, request.args);
    QCOMPARE(response->outcome->toJsonObject(), request.args.toJsonObject());
}

void TestCallCodec::codec_carriesEveryError()
{
    QStringList names;
    for (int code = int(Errc::Malformed); code <= int(Errc::Unsupported); ++code) {
        const QString name = wireName(Errc(code));
        QVERIFY(!names.contains(name));
        names.append(name);
        QVERIFY(errcFromWireName(name) == Errc(code));
        const auto back =
            decodeCallResponse(encode(CallResponse{QStringLiteral("c"), Error{Errc(code), QStringLiteral("Why.")}}));
        QVERIFY(back && !back->outcome);
        QCOMPARE(back->outcome.error().code, Errc(code));
        QCOMPARE(back->outcome.error().message, QStringLiteral("Why."));
    }
    QCOMPARE(names.first(), QStringLiteral("malformed"));
    QVERIFY(!errcFromWireName(u"Malformed"));
    QVERIFY(!errcFromWireName(u""));
}

void TestCallCodec::codec_keepsTheSentenceOfAnUnknownError()
{
    const auto back =
        decodeCallResponse(mapOf(R"({"corr":"c","status":"failed","error":{"code":"melted","message":"Too hot."}})")
                               .toCborValue()
                               .toCbor());
    QVERIFY(back && !back->outcome);
    QCOMPARE(back->outcome.error().code, Errc::Unsupported);
    QVERIFY(back->outcome.error().message.startsWith(QStringLiteral("Too hot.")));
    QVERIFY(back->outcome.error().message.contains(QStringLiteral("melted")));
}

void TestCallCodec::decodeRequest_refuses_data()
{
    QTest::addColumn<QByteArray>("bytes");
    const auto json = [](const char *text) { QTest::newRow(text) << mapOf(text).toCborValue().toCbor(); };
    json(R"({})");
    json(R"({"corr":"","expires":1,"args":{}})");
    json(R"({"corr":7,"expires":1,"args":{}})");
    json(R"({"corr":"a b","expires":1,"args":{}})");
    json(R"({"corr":"a/b","expires":1,"args":{}})");
    json(R"({"corr":"a_b","expires":1,"args":{}})");
    json(R"({"corr":"c","args":{}})");
    json(R"({"corr":"c","expires":"now","args":{}})");
    json(R"({"corr":"c","expires":1.5,"args":{}})");
    json(R"({"corr":"c","expires":1})");
    json(R"({"corr":"c","expires":1,"args":[]})");
    json(R"({"corr":"c","expires":1,"args":"x"})");
    QTest::newRow("nothing") << QByteArray();
    QTest::newRow("an array") << QByteArray::fromHex("80");
    QTest::newRow("correlation of 65") << encode(CallRequest{QString(65, u'c'), {}, {}});
    const QByteArray good = encode(CallRequest{QStringLiteral("c"), {}, {}});
    QTest::newRow("cut") << good.chopped(1);
    QTest::newRow("goes on") << good + '\0';
    QTest::newRow("nested without end") << QByteArray(100'000, '\x81');
    QTest::newRow("claims to be large") << QByteArray::fromHex("bb7fffffffffffffff");
    QTest::newRow("is large") << encode(
        CallRequest{QStringLiteral("c"), {}, {{QStringLiteral("x"), QString(maxCallBytes, u'x')}}});
}

void TestCallCodec::decodeRequest_refuses()
{
    QFETCH(QByteArray, bytes);
    const auto request = decodeCallRequest(bytes);
    QVERIFY(!request);
    QCOMPARE(request.error().code, Errc::Malformed);
    QVERIFY(!request.error().message.isEmpty());
}

void TestCallCodec::decodeResponse_refuses_data()
{
    QTest::addColumn<QByteArray>("bytes");
    const auto json = [](const char *text) { QTest::newRow(text) << mapOf(text).toCborValue().toCbor(); };
    json(R"({})");
    json(R"({"corr":"c"})");
    json(R"({"corr":"c","status":"running"})");
    json(R"({"corr":"c","status":"completed"})");
    json(R"({"corr":"c","status":"completed","data":[1]})");
    json(R"({"corr":"c","status":"failed"})");
    json(R"({"corr":"c","status":"failed","error":"no"})");
    json(R"({"status":"completed","data":{}})");
}

void TestCallCodec::decodeResponse_refuses()
{
    QFETCH(QByteArray, bytes);
    const auto response = decodeCallResponse(bytes);
    QVERIFY(!response);
    QCOMPARE(response.error().code, Errc::Malformed);
}

void TestCallCodec::correlation_isFoundInBrokenRequests()
{
    QVERIFY(correlationOf(mapOf(R"({"corr":"c","args":[1]})").toCborValue().toCbor()) == QStringLiteral("c"));
    QVERIFY(!correlationOf(mapOf(R"({"corr":"c c"})").toCborValue().toCbor()));
    QVERIFY(!correlationOf("junk"));
}

QTEST_GUILESS_MAIN(TestCallCodec)
#include "tst_call_codec.moc"
