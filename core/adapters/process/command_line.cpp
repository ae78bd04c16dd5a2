#include "process/command_line.h"

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

bool wantsValue(const QList<QCommandLineOption> &options, const QString &argument)
{
    for (const QCommandLineOption &option : options) {
        for (const QString &name : option.names()) {
            if (argument == u"--"_s + name)
                return !option.valueName().isEmpty();
        }
    }
    return false;
}

} // namespace

Result<void> parseArguments(QCommandLineParser &parser, const QList<QCommandLineOption> &options,
                            const QStringList &arguments, const QString &help)
{
    parser.addOptions(options);
    const auto wrong = [&help](const QString &what) {
        return Error{Errc::Malformed, what + u" See `%1`."_s.arg(help)};
    };
    for (qsizetype i = 0; i < arguments.size(); ++i) {
        const QString &argument = arguments[i];
        if (argument == "--"_L1)
            break;
        if (!wantsValue(options, argument))
            continue;
        if (i + 1 == arguments.size() || arguments[i + 1].startsWith("--"_L1))
            return wrong(u"The option %1 needs a value."_s.arg(argument));
        ++i;
    }
    if (!parser.parse(QStringList{help.section(u' ', 0, 0)} + arguments)) {
        const QStringList unknown = parser.unknownOptionNames();
        if (unknown.isEmpty())
            return wrong(parser.errorText());
        return wrong(u"There is no option %1%2."_s.arg(unknown.first().size() > 1 ? u"--"_s : u"-"_s, unknown.first()));
    }
    if (!parser.positionalArguments().isEmpty())
        return wrong(u"\"%1\" is not an option."_s.arg(parser.positionalArguments().first()));
    for (const QCommandLineOption &option : options) {
        const QString &name = option.names().constLast();
        if (!option.valueName().isEmpty() && parser.values(name).contains(QString()))
            return wrong(u"The option --%1 needs a value."_s.arg(name));
    }
    return {};
}

QString optionLines(const QList<QCommandLineOption> &options, int column)
{
    QString lines;
    for (const QCommandLineOption &option : options) {
        QString name = u"  --"_s + option.names().constLast();
        if (!option.valueName().isEmpty())
            name += u' ' + option.valueName();
        lines += name.leftJustified(column) + u' ' + option.description() + u'\n';
    }
    return lines;
}

void writeText(std::FILE *stream, const QString &text)
{
    const QByteArray bytes = text.toUtf8();
    std::fwrite(bytes.constData(), 1, size_t(bytes.size()), stream);
    std::fflush(stream);
}

} // namespace lintel
