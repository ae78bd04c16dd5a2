#include "authority/arguments.h"

#include <algorithm>

namespace lintel::cli {

using namespace Qt::StringLiterals;

namespace {
constexpr int kHelpColumn = 28;

Error wrong(const QString &what, const QString &help)
{
    return {Errc::Malformed, u"%1 See `%2`."_s.arg(what, help)};
}
} // namespace

Result<Arguments> Arguments::parse(const QList<Option> &options, const QStringList &arguments, const QString &help)
{
    QList<Option> known = options;
    known.append({u"json"_s, {}, {}, true});
    known.append({u"help"_s, {}, {}, true});
    Arguments out;
    for (qsizetype i = 0; i < arguments.size(); ++i) {
        QString text = arguments.at(i);
        if (text == u"-h")
            text = u"--help"_s;
        if (!text.startsWith(u'-') || text == u"-") {
            out.m_words.append(text);
            continue;
        }
        const qsizetype equals = text.indexOf(u'=');
        const QString shown = text.left(equals < 0 ? text.size() : equals);
        const auto option =
            std::find_if(known.cbegin(), known.cend(), [&](const Option &one) { return "--"_L1 + one.name == shown; });
        if (option == known.cend())
            return wrong(u"There is no option %1."_s.arg(shown.left(40)), help);
        const bool isFlag = option->valueName.isEmpty();
        if (isFlag && equals >= 0)
            return wrong(u"The option %1 has no value."_s.arg(shown), help);
        QString value = equals < 0 ? QString() : text.mid(equals + 1);
        if (!isFlag && equals < 0) {
            if (i + 1 == arguments.size() || arguments.at(i + 1).startsWith("--"_L1))
                return wrong(u"The option %1 needs a value."_s.arg(shown), help);
            value = arguments.at(++i);
        }
        if (out.has(option->name) && !option->repeats)
            return wrong(u"The option %1 stands twice."_s.arg(shown), help);
        out.m_values[option->name].append(value);
    }
    return out;
}

QString Arguments::value(const QString &name, const QString &otherwise) const
{
    const auto found = m_values.constFind(name);
    return found == m_values.cend() ? otherwise : found->last();
}

QString describe(const QList<Option> &options)
{
    QString text;
    for (const Option &option : options) {
        QString left = u"  --"_s + option.name;
        if (!option.valueName.isEmpty())
            left += u' ' + option.valueName;
        text += left.leftJustified(kHelpColumn) + option.meaning + u'\n';
    }
    return text + u"  --json"_s.leftJustified(kHelpColumn) + u"print JSON (otherwise text for people)\n"_s;
}

} // namespace lintel::cli
