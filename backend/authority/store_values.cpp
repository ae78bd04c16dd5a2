#include "authority/store_values.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

namespace lintel::authority {

namespace {
QString printed(const QJsonArray &array)
{
    return QString::fromUtf8(QJsonDocument(array).toJson(QJsonDocument::Compact));
}
QString printed(const QJsonObject &object)
{
    return QString::fromUtf8(QJsonDocument(object).toJson(QJsonDocument::Compact));
}
QJsonDocument parsed(const QString &column)
{
    return QJsonDocument::fromJson(column.toUtf8());
}
} // namespace

QString toColumn(const QStringList &texts)
{
    return printed(QJsonArray::fromStringList(texts));
}

QStringList textsOf(const QString &column)
{
    QStringList texts;
    const QJsonArray array = parsed(column).array();
    for (const auto value : array)
        texts.append(value.toString());
    return texts;
}

QString toColumn(const Selectors &selectors)
{
    QJsonArray array;
    for (const Selector &selector : selectors)
        array.append(QJsonArray{selector.type, selector.value});
    return printed(array);
}

Selectors selectorsOf(const QString &column)
{
    Selectors selectors;
    const QJsonArray array = parsed(column).array();
    for (const auto value : array)
        selectors.append({value.toArray().at(0).toString(), value.toArray().at(1).toString()});
    return selectors;
}

QString toColumn(const QList<TrustDomain> &domains)
{
    QStringList names;
    for (const TrustDomain &domain : domains)
        names.append(domain.name());
    return toColumn(names);
}

QList<TrustDomain> domainsOf(const QString &column)
{
    QList<TrustDomain> domains;
    const QStringList names = textsOf(column);
    for (const QString &name : names)
        if (const auto domain = TrustDomain::parse(name))
            domains.append(*domain);
    return domains;
}

QString toColumn(const QMap<int, QByteArray> &pcrs)
{
    QJsonObject object;
    for (auto it = pcrs.cbegin(); it != pcrs.cend(); ++it)
        object.insert(QString::number(it.key()), QString::fromLatin1(it.value().toHex()));
    return printed(object);
}

QMap<int, QByteArray> pcrsOf(const QString &column)
{
    QMap<int, QByteArray> pcrs;
    const QJsonObject object = parsed(column).object();
    for (auto it = object.begin(); it != object.end(); ++it)
        pcrs.insert(it.key().toInt(), QByteArray::fromHex(it.value().toString().toLatin1()));
    return pcrs;
}

QString toColumn(const QMap<int, QList<QByteArray>> &references)
{
    QJsonObject object;
    for (auto it = references.cbegin(); it != references.cend(); ++it) {
        QJsonArray values;
        for (const QByteArray &value : it.value())
            values.append(QString::fromLatin1(value.toHex()));
        object.insert(QString::number(it.key()), values);
    }
    return printed(object);
}

QMap<int, QList<QByteArray>> referencesOf(const QString &column)
{
    QMap<int, QList<QByteArray>> references;
    const QJsonObject object = parsed(column).object();
    for (auto it = object.begin(); it != object.end(); ++it) {
        const QJsonArray values = it.value().toArray();
        for (const auto value : values)
            references[it.key().toInt()].append(QByteArray::fromHex(value.toString().toLatin1()));
    }
    return references;
}

QString agentPath(const char *type, const QString &what)
{
    return QStringLiteral("/spire/agent/%1/%2").arg(QLatin1StringView(type), what);
}

SpiffeId idOf(const QString &column)
{
    const auto id = SpiffeId::parse(column);
    return id ? *id : SpiffeId();
}

} // namespace lintel::authority
