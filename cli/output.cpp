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

constexpr qsizetype kHelpWidth = 100;

/// Where the rest of a line goes on.
qsizetype hangOf(const QString &line, bool isCommand)
{
    qsizetype start = 0;
    while (start < line.size() && line[start] == u' ')
        ++start;
    if (isCommand)
        return start + 8;
    const qsizetype gap = line.mid(start).startsWith("--"_L1) ? line.indexOf("  "_L1, start) : -1;
    if (gap < 0)
        return start;
    qsizetype column = gap;
    while (column < line.size() && line[column] == u' ')
        ++column;
    return column;
}

/// The last blank before the edge at which the line may be parted: not inside of "[--tag TAG]", and in a
/// command only before the next option.
qsizetype breakOf(const QString &line, qsizetype from, bool isCommand)
{
    qsizetype best = -1;
    int depth = 0;
    for (qsizetype i = from; i < line.size(); ++i) {
        if (line[i] == u'[')
            ++depth;
        else if (line[i] == u']')
            --depth;
        else if (line[i] == u' ' && depth == 0 && i + 1 < line.size()
                 && (!isCommand || u"[-("_s.contains(line[i + 1]))) {
            if (best >= 0 && i > kHelpWidth)
                break;
            best = i;
        }
    }
    return best;
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

void printHelp(const QString &text)
{
    printOut(helpLines(text));
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

QString helpLines(const QString &text)
{
    QStringList out;
    const QStringList lines = text.split(u'\n');
    for (QString line : lines) {
        while (line.endsWith(u' '))
            line.chop(1);
        const bool isCommand = line.startsWith("  lintelctl "_L1);
        const qsizetype hang = hangOf(line, isCommand);
        while (line.size() > kHelpWidth) {
            const qsizetype at = breakOf(line, hang, isCommand);
            if (at < 0)
                break;
            out.append(line.left(at));
            line = QString(hang, u' ') + line.mid(at + 1);
        }
        out.append(line);
    }
    return out.join(u'\n');
}

QString counted(quint64 count, const QString &one, const QString &many)
{
    return QString::number(count) + u' ' + (count == 1 ? one : many);
}

QString humanText(const QCborMap &map)
{
    QString out;
    appendTree(out, map, 0);
    return out.isEmpty() ? u"(nothing)\n"_s : out;
}

} // namespace lintel::cli
