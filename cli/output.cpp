#include "output.h"

#include "calls/call.h"
#include "exit_codes.h"
#include "process/command_line.h"

#include <QCborArray>
#include <QJsonDocument>

namespace lintel::cli {

using namespace Qt::StringLiterals;

namespace {

QString scalarText(const QCborValue &value)
{
    if (value.isBool())
        return value.toBool() ? u"yes"_s : u"no"_s;
    if (value.isNull() || value.isUndefined())
        return u"-"_s;
    if (value.isDouble())
        return QString::number(value.toDouble(), 'g', 10);
    if (value.isByteArray())
        return u"%1 bytes"_s.arg(value.toByteArray().size());
    return value.toVariant().toString();
}

void appendTree(QString &out, const QCborValue &value, int depth);

void appendEntry(QString &out, const QString &label, const QCborValue &value, int depth)
{
    const QString indent(depth * 2, u' ');
    const bool isTree = (value.isMap() && !value.toMap().isEmpty()) || (value.isArray() && !value.toArray().isEmpty());
    if (isTree) {
        out += indent + label + u"\n"_s;
        appendTree(out, value, depth + 1);
    } else {
        out += indent + label + u' ' + (value.isMap() || value.isArray() ? u"none"_s : scalarText(value)) + u'\n';
    }
}

void appendTree(QString &out, const QCborValue &value, int depth)
{
    if (value.isMap()) {
        const QCborMap map = value.toMap();
        for (const auto &[key, entry] : map)
            appendEntry(out, key.toString() + u':', entry, depth);
        return;
    }
    const QCborArray array = value.toArray();
    for (const auto &entry : array)
        appendEntry(out, u"-"_s, entry, depth);
}

} // namespace

ExitCode exitCodeOf(const Error &error)
{
    switch (error.code) {
    case Errc::Timeout: return kTimeout;
    case Errc::Unavailable: return kCannotConnect;
    default: return kFailed;
    }
}

void printOut(const QString &text)
{
    writeText(stdout, text);
}

void printError(const QString &text)
{
    writeText(stderr, u"lintelctl: "_s + text + u'\n');
}

void reportError(const Error &error, bool json)
{
    if (!json) {
        printError(error.message);
        return;
    }
    printJson({{u"error"_s, QJsonObject{{u"code"_s, wireName(error.code)}, {u"message"_s, error.message}}}});
}

void printJson(const QJsonObject &object)
{
    writeText(stdout, QString::fromUtf8(QJsonDocument(object).toJson(QJsonDocument::Indented)));
}

QString humanText(const QCborMap &map)
{
    QString out;
    appendTree(out, map, 0);
    return out.isEmpty() ? u"(nothing)\n"_s : out;
}

} // namespace lintel::cli
