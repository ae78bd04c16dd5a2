// lintelctl: the command line of Lintel. One row a command; each has a file of its own.
#include "authority/commands.h"
#include "buffer_command.h"
#include "call_command.h"
#include "demo/demo_command.h"
#include "exit_codes.h"
#include "output.h"
#include "pki/pki_command.h"

#include <QCoreApplication>

namespace {

using namespace Qt::StringLiterals;
using namespace lintel::cli;
using lintel::Errc;

struct Command {
    QLatin1StringView name;
    QLatin1StringView summary;
    int (*run)(const QStringList &arguments);
};

constexpr Command kCommands[] = {
    {"authority"_L1, "make, watch, back up and restore an authority"_L1, &runAuthority},
    {"buffer"_L1, "look into an agent's store of readings"_L1, &runBuffer},
    {"bundle"_L1, "show and set trust bundles of an authority"_L1, &runBundle},
    {"call"_L1, "call a capability of an agent"_L1, &runCall},
    {"demo"_L1, "run a whole building on this machine"_L1, &runDemo},
    {"device"_L1, "list, approve, revoke devices of an authority"_L1, &runDevice},
    {"enroll"_L1, "tell an authority which TPM is which device"_L1, &runEnroll},
    {"federation"_L1, "whose bundles an authority fetches, and how it went"_L1, &runFederation},
    {"pki"_L1, "make roots and certificates for a demo or the first day of a site"_L1, &runPki},
    {"reference"_L1, "what the boot of devices should have measured"_L1, &runReference},
    {"svid"_L1, "show an identity: chain, end, validity"_L1, &runSvid},
    {"token"_L1, "join tokens, for machines without a TPM"_L1, &runToken},
};

QString help()
{
    QString text = u"Usage: lintelctl COMMAND [options]\n\nCommands:\n"_s;
    for (const Command &command : kCommands)
        text += u"  "_s + QString(command.name).leftJustified(11) + u' ' + command.summary + u'\n';
    text += u"\n`lintelctl COMMAND --help` explains each, with examples. Errors go to standard error;\n"
            "with --json, and with `call` unless --text is given, results and errors are JSON on\n"
            "standard output, an error always as\n"
            "{\"error\": {\"code\": \"not_found\", \"message\": \"...\"}}, with the codes of calls.\n\n"
            "Exit codes: 0 done, 1 the other side said no or something went wrong, 2 wrong options,\n"
            "arguments or configuration, 3 no answer in time, 4 no connection, or something that is\n"
            "needed is missing.\n"_s;
    return text;
}

} // namespace

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    QCoreApplication::setApplicationName(u"lintelctl"_s);
    QCoreApplication::setApplicationVersion(QStringLiteral(LINTEL_VERSION));
    const QStringList arguments = QCoreApplication::arguments().mid(1);
    if (arguments.isEmpty()) {
        printOut(help());
        return kUsage;
    }
    const QString &name = arguments.first();
    if (name == u"--help" || name == u"-h" || name == u"help") {
        printOut(help());
        return kOk;
    }
    if (name == u"--version") {
        printOut(u"lintelctl %1\n"_s.arg(QCoreApplication::applicationVersion()));
        return kOk;
    }
    for (const Command &command : kCommands) {
        if (name == command.name)
            return command.run(arguments.mid(1));
    }
    reportError({Errc::Malformed, u"There is no command \"%1\". See `lintelctl --help`."_s.arg(name.left(40))},
                arguments.contains(u"--json"_s));
    return kUsage;
}
