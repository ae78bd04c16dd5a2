// The npm package sparkplug-payload and our codec read each other's payloads.
#include "fakes/needs.h"
#include "fakes/random_payload.h"
#include "sparkplug/payload.h"

#include <QDir>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QStandardPaths>
#include <QTest>

using namespace lintel;
using namespace lintel::sparkplug;
using namespace Qt::StringLiterals;

namespace {

constexpr int kPayloads = 1'000;
constexpr int kTimeout = 30'000;

QString typeName(DataType type)
{
    static const char *const names[] = {"Unknown", "Int8",     "Int16",       "Int32",          "Int64",   "UInt8",
                                        "UInt16",  "UInt32",   "UInt64",      "Float",          "Double",  "Boolean",
                                        "String",  "DateTime", "Text",        "UUID",           "DataSet", "Bytes",
                                        "File",    "Template", "PropertySet", "PropertySetList"};
    return QLatin1StringView(names[quint32(type)]);
}

bool isLong(DataType type)
{
    return type == DataType::Int64 || type == DataType::UInt64 || type == DataType::DateTime
           || type == DataType::UInt32;
}

QJsonObject longNumber(quint64 value)
{
    return {{u"i"_s, QString::number(value)}};
}

QJsonValue plain(const Scalar &scalar, DataType type)
{
    if (const auto *s = std::get_if<qint64>(&scalar))
        return isLong(type) ? QJsonValue(QJsonObject{{u"i"_s, QString::number(*s)}}) : QJsonValue(*s);
    if (const auto *u = std::get_if<quint64>(&scalar))
        return isLong(type) ? QJsonValue(longNumber(*u)) : QJsonValue(qint64(*u));
    if (const auto *f = std::get_if<float>(&scalar))
        return double(*f);
    if (const auto *d = std::get_if<double>(&scalar))
        return *d;
    if (const auto *b = std::get_if<bool>(&scalar))
        return *b;
    if (const auto *t = std::get_if<QString>(&scalar))
        return *t;
    if (const auto *b = std::get_if<QByteArray>(&scalar))
        return QJsonObject{{u"b"_s, QString::fromLatin1(b->toHex())}};
    return QJsonValue::Null;
}

QJsonObject plain(const PropertySet &set);

QJsonObject plain(const PropertyValue &value)
{
    QJsonValue content;
    if (value.type == DataType::PropertySet) {
        content = plain(value.sets.first());
    } else if (value.type == DataType::PropertySetList) {
        QJsonArray sets;
        for (const PropertySet &set : value.sets)
            sets.append(plain(set));
        content = sets;
    } else {
        content = plain(value.scalar, value.type);
    }
    return {{u"type"_s, typeName(value.type)}, {u"value"_s, content}};
}

QJsonObject plain(const PropertySet &set)
{
    QJsonObject object;
    for (qsizetype i = 0; i < set.keys.size(); ++i)
        object.insert(set.keys[i], plain(set.values[i]));
    return object;
}

QJsonObject plain(const DataSet &set)
{
    QJsonArray types;
    for (const DataType type : set.types)
        types.append(typeName(type));
    QJsonArray rows;
    for (const QList<Scalar> &row : set.rows) {
        QJsonArray cells;
        for (qsizetype i = 0; i < row.size(); ++i)
            cells.append(plain(row[i], set.types[i]));
        rows.append(cells);
    }
    return {{u"numOfColumns"_s, longNumber(quint64(set.columns.size()))},
            {u"columns"_s, QJsonArray::fromStringList(set.columns)},
            {u"types"_s, types},
            {u"rows"_s, rows}};
}

QJsonObject plain(const MetaData &meta)
{
    return {{u"isMultiPart"_s, *meta.isMultiPart},
            {u"contentType"_s, *meta.contentType},
            {u"size"_s, longNumber(*meta.size)},
            {u"seq"_s, longNumber(*meta.seq)},
            {u"fileName"_s, *meta.fileName},
            {u"fileType"_s, *meta.fileType},
            {u"md5"_s, *meta.md5},
            {u"description"_s, *meta.description}};
}

QJsonObject plain(const Metric &metric);

QJsonObject plain(const Template &value)
{
    QJsonArray metrics;
    for (const Metric &metric : value.metrics)
        metrics.append(plain(metric));
    QJsonArray parameters;
    for (const auto &p : value.parameters)
        parameters.append(
            QJsonObject{{u"name"_s, p.name}, {u"type"_s, typeName(p.type)}, {u"value"_s, plain(p.value, p.type)}});
    QJsonObject object{{u"isDefinition"_s, value.isDefinition}, {u"metrics"_s, metrics}, {u"parameters"_s, parameters}};
    if (value.version)
        object.insert(u"version"_s, *value.version);
    if (value.templateRef)
        object.insert(u"templateRef"_s, *value.templateRef);
    return object;
}

QJsonObject plain(const Metric &metric)
{
    QJsonObject object{{u"type"_s, typeName(metric.type)}};
    if (metric.name)
        object.insert(u"name"_s, *metric.name);
    if (metric.alias)
        object.insert(u"alias"_s, longNumber(*metric.alias));
    if (metric.timestamp)
        object.insert(u"timestamp"_s, longNumber(quint64(toEpochMillis(*metric.timestamp))));
    if (metric.isHistorical)
        object.insert(u"isHistorical"_s, true);
    if (metric.isTransient)
        object.insert(u"isTransient"_s, true);
    if (metric.metaData)
        object.insert(u"metadata"_s, plain(*metric.metaData));
    if (metric.properties)
        object.insert(u"properties"_s, plain(*metric.properties));
    if (metric.isNull)
        object.insert(u"value"_s, QJsonValue::Null);
    else if (metric.dataSet)
        object.insert(u"value"_s, plain(*metric.dataSet));
    else if (metric.templateValue)
        object.insert(u"value"_s, plain(*metric.templateValue));
    else
        object.insert(u"value"_s, plain(metric.value, metric.type));
    return object;
}

/// What the package is given, and what it should give back.
QJsonObject plain(const Payload &payload)
{
    QJsonArray metrics;
    for (const Metric &metric : payload.metrics)
        metrics.append(plain(metric));
    QJsonObject object{{u"metrics"_s, metrics}};
    if (payload.timestamp)
        object.insert(u"timestamp"_s, longNumber(quint64(toEpochMillis(*payload.timestamp))));
    if (payload.seq)
        object.insert(u"seq"_s, longNumber(*payload.seq));
    if (payload.uuid)
        object.insert(u"uuid"_s, *payload.uuid);
    if (!payload.body.isEmpty())
        object.insert(u"body"_s, QJsonObject{{u"b"_s, QString::fromLatin1(payload.body.toHex())}});
    return object;
}

} // namespace

class TestForeignPayload : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void cleanupTestCase();
    void theirs_decodesWhatWeEncode();
    void ours_decodesWhatTheyEncode();

private:
    QByteArray ask(const QByteArray &request)
    {
        m_peer.write(request + '\n');
        while (!m_peer.canReadLine()) {
            if (!m_peer.waitForReadyRead(kTimeout))
                return "error no answer";
        }
        return m_peer.readLine().trimmed();
    }

    QProcess m_peer;
};

void TestForeignPayload::initTestCase()
{
    const QString node = qEnvironmentVariable("LINTEL_NODE", QStandardPaths::findExecutable(u"node"_s));
    const QString folder =
        qEnvironmentVariable("LINTEL_FOREIGN_DIR", QStringLiteral(LINTEL_SOURCE_DIR "/tests/foreign"));
    if (node.isEmpty())
        LINTEL_SKIP("Node.js is missing; install it (scripts/bootstrap --test) or name it in LINTEL_NODE.");
    if (!QDir(folder + u"/node_modules/sparkplug-payload"_s).exists())
        LINTEL_SKIP(
            "tests/foreign has no node_modules; run \"npm ci\" there (scripts/bootstrap --test) or set LINTEL_FOREIGN_DIR.");
    m_peer.setProcessChannelMode(QProcess::ForwardedErrorChannel);
    auto environment = QProcessEnvironment::systemEnvironment();
    environment.insert(u"NODE_PATH"_s, folder + u"/node_modules"_s);
    m_peer.setProcessEnvironment(environment);
    m_peer.start(node, {QStringLiteral(LINTEL_SOURCE_DIR "/tests/foreign/payload_peer.js")});
    QVERIFY(m_peer.waitForStarted(kTimeout));
}

void TestForeignPayload::cleanupTestCase()
{
    if (m_peer.state() == QProcess::NotRunning)
        return;
    m_peer.closeWriteChannel();
    if (!m_peer.waitForFinished(kTimeout)) {
        m_peer.kill();
        m_peer.waitForFinished(kTimeout);
    }
}

void TestForeignPayload::theirs_decodesWhatWeEncode()
{
    RandomPayload random(42);
    random.forJavaScript = true;
    random.allowUInt32 = false;
    for (int i = 0; i < kPayloads; ++i) {
        const Payload payload = random.next();
        const QByteArray answer = ask("decode " + encode(payload).toHex());
        QVERIFY2(!answer.startsWith("error"), answer.constData());
        const QJsonObject theirs = QJsonDocument::fromJson(answer).object();
        const QJsonObject ours = QJsonDocument::fromJson(QJsonDocument(plain(payload)).toJson()).object();
        if (theirs != ours) {
            qInfo().noquote() << "ours  " << QJsonDocument(ours).toJson(QJsonDocument::Compact);
            qInfo().noquote() << "theirs" << answer;
        }
        QVERIFY2(theirs == ours, qPrintable(u"payload %1"_s.arg(i)));
    }
}

void TestForeignPayload::ours_decodesWhatTheyEncode()
{
    RandomPayload random(43);
    random.forJavaScript = true;
    for (int i = 0; i < kPayloads; ++i) {
        const Payload payload = random.next();
        const QByteArray answer = ask("encode " + QJsonDocument(plain(payload)).toJson(QJsonDocument::Compact));
        QVERIFY2(!answer.startsWith("error"), answer.constData());
        const auto decoded = decode(QByteArray::fromHex(answer));
        QVERIFY(decoded);
        if (!(*decoded == payload))
            qInfo().noquote() << QJsonDocument(plain(payload)).toJson(QJsonDocument::Compact) << answer;
        QVERIFY2(*decoded == payload, qPrintable(u"payload %1"_s.arg(i)));
    }
}

QTEST_GUILESS_MAIN(TestForeignPayload)
#include "tst_foreign_payload.moc"
