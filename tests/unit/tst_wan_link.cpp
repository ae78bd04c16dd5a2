#include "demo/wan_link.h"

#include <QSignalSpy>
#include <QTcpServer>
#include <QTcpSocket>
#include <QTest>

using namespace lintel::demo;

class TestWanLink : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void relays_bothWays()
    {
        QTcpServer far;
        QVERIFY(far.listen(QHostAddress::LocalHost));
        WanLink link(far.serverPort());
        QVERIFY(link.listen());
        QTcpSocket near;
        near.connectToHost(QHostAddress::LocalHost, link.port());
        QTRY_VERIFY(far.hasPendingConnections());
        QTcpSocket *peer = far.nextPendingConnection();
        const QByteArray much(3'000'000, 'x');
        near.write(much);
        QByteArray got;
        QTRY_VERIFY_WITH_TIMEOUT((got += peer->readAll()).size() == much.size(), 20'000);
        peer->write("back");
        QTRY_COMPARE(near.bytesAvailable(), qint64(4));
        QCOMPARE(near.readAll(), QByteArray("back"));
        near.disconnectFromHost();
        QTRY_COMPARE(peer->state(), QAbstractSocket::UnconnectedState);
    }

    void cut_dropsAndRefusesUntilMended()
    {
        QTcpServer far;
        QVERIFY(far.listen(QHostAddress::LocalHost));
        WanLink link(far.serverPort());
        QVERIFY(link.listen());
        QTcpSocket near;
        near.connectToHost(QHostAddress::LocalHost, link.port());
        QTRY_VERIFY(far.hasPendingConnections());
        link.cut();
        QVERIFY(link.isCut());
        QTRY_COMPARE(near.state(), QAbstractSocket::UnconnectedState);
        QTcpSocket refused;
        refused.connectToHost(QHostAddress::LocalHost, link.port());
        QTRY_COMPARE(refused.state(), QAbstractSocket::UnconnectedState);
        link.mend();
        QTcpSocket again;
        again.connectToHost(QHostAddress::LocalHost, link.port());
        QTRY_COMPARE(again.state(), QAbstractSocket::ConnectedState);
        QTRY_VERIFY(far.hasPendingConnections());
    }
};

QTEST_GUILESS_MAIN(TestWanLink)
#include "tst_wan_link.moc"
