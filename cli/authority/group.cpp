#include "authority/group.h"

#include "output.h"

#include <algorithm>

namespace lintel::cli {

using namespace Qt::StringLiterals;

namespace {

// Marks an error as one of the arguments or of the file that they name; taken off before anybody sees it.
const QString kUsageMark = u"\u0001"_s;

QString commandOf(const Group &group, const Verb &verb)
{
    return verb.name.isEmpty() ? group.name : group.name + u' ' + verb.name;
}

/// The whole of it, with what belongs behind its name.
QString usageOf(const Group &group, const Verb &verb)
{
    const QString command = u"lintelctl "_s + commandOf(group, verb);
    return verb.usage.isEmpty() ? command : command + u' ' + verb.usage;
}

QString helpOf(const Group &group)
{
    QString text = u"Usage:\n"_s;
    for (const Verb &verb : group.verbs)
        text += u"  %1\n      %2\n"_s.arg(usageOf(group, verb), verb.summary);
    text += u'\n' + group.purpose + u"\n\nOptions:\n"_s;
    QList<Option> all;
    for (const Verb &verb : group.verbs)
        for (const Option &option : verb.options)
            if (std::none_of(all.cbegin(), all.cend(), [&](const Option &one) { return one.name == option.name; }))
                all.append(option);
    text += describe(all);
    return text + u"\nExamples:\n"_s + group.examples
           + u"\nExit codes: %1\n"_s.arg(group.exitCodes.isEmpty()
                                             ? u"0 done, 1 refused or failed, 2 wrong arguments, 3 no answer in time,\n"
                                               "4 no authority there."_s
                                             : group.exitCodes);
}

const Verb *verbOf(const Group &group, const QString &name)
{
    const auto found =
        std::find_if(group.verbs.cbegin(), group.verbs.cend(), [&](const Verb &verb) { return verb.name == name; });
    return found == group.verbs.cend() ? nullptr : &*found;
}

Result<Answer> dispatch(const Group &group, const Verb &verb, const QStringList &arguments)
{
    const QString help = u"lintelctl %1 --help"_s.arg(group.name);
    const auto parsed = Arguments::parse(verb.options, arguments, help);
    if (!parsed)
        return wrongUsage(parsed.error().message);
    const qsizetype words = parsed->words().size();
    if (words < verb.words || (words > verb.words && !verb.takesMore))
        return wrongUsage(u"Say: %1. See `%2`."_s.arg(usageOf(group, verb), help));
    return verb.run(*parsed);
}

} // namespace

Error wrongUsage(const QString &what)
{
    return {Errc::Malformed, kUsageMark + what};
}

Error badConfiguration(const Error &error)
{
    return {error.code, kUsageMark + error.message};
}

int runGroup(const Group &group, const QStringList &arguments)
{
    const bool json = arguments.contains(u"--json"_s);
    if (arguments.contains(u"--help"_s) || arguments.contains(u"-h"_s)) {
        printHelp(helpOf(group));
        return kOk;
    }
    const Verb *direct = verbOf(group, {});
    const Verb *verb = direct ? direct : verbOf(group, arguments.value(0));
    if (!verb) {
        if (arguments.isEmpty()) {
            printHelp(helpOf(group));
            return kUsage;
        }
        reportError({Errc::Malformed, u"There is no \"lintelctl %1 %2\". See `lintelctl %1 --help`."_s.arg(
                                          group.name, arguments.first().left(40))},
                    json);
        return kUsage;
    }
    const auto answer = dispatch(group, *verb, direct ? arguments : arguments.mid(1));
    if (!answer) {
        Error error = answer.error();
        const bool isUsage = error.message.startsWith(kUsageMark);
        if (isUsage)
            error.message.remove(0, kUsageMark.size());
        reportError(error, json);
        return isUsage ? kUsage : exitCodeOf(error);
    }
    if (json) {
        printJson(answer->json);
        return answer->exitCode;
    }
    printOut(answer->text);
    for (const QString &failure : answer->failures)
        printError(failure);
    return answer->exitCode;
}

Option socketOption()
{
    return {u"socket"_s, u"PATH"_s, u"the authority's socket (/run/lintel/authority.sock)"_s};
}

AdminClient clientFor(const Arguments &arguments)
{
    return AdminClient(arguments.value(u"socket"_s, u"/run/lintel/authority.sock"_s));
}

} // namespace lintel::cli
