#include "buffer_command.h"

#include "adapters/sqlite/sqlite_spool.h"
#include "custody/answers.h"
#include "exit_codes.h"
#include "output.h"
#include "ports/system_clock.h"

#include <QCborArray>
#include <QFile>
#include <QFileInfo>
#include <QTemporaryDir>

namespace lintel::cli {

using namespace Qt::StringLiterals;

namespace {

constexpr int kShownLosses = 100;

const QString kHelp = u"Usage: lintelctl buffer inspect FILE [--json]\n"
                      "Shows what an agent's store of readings holds: how many were ever stored, how many wait,\n"
                      "what was lost and why. Works on a copy, so the file is not touched; readings that an agent\n"
                      "which runs has not folded into the file yet are copied along. How large it may become stands\n"
                      "in the agent's configuration (spool.max_bytes), not in the file.\n\n"
                      "Example:\n"
                      "  lintelctl buffer inspect /var/lib/lintel/hvac-001/spool.db\n\n"
                      "Exit codes: 0 shown, 1 the file cannot be read or is no store, 2 wrong arguments.\n"_s;

/// Opening a store may migrate or mend it; a copy keeps the original as it is.
Result<QCborMap> inspect(const QString &file)
{
    if (!QFile::exists(file))
        return Error{
            Errc::NotFound,
            u"There is no file \"%1\"; name an agent's store, such as /var/lib/lintel/hvac-001/spool.db."_s.arg(file)};
    if (QFileInfo(file).isDir())
        return Error{Errc::Malformed, u"\"%1\" is a folder; name the file in it, such as spool.db."_s.arg(file)};
    QFile header(file);
    if (!header.open(QIODevice::ReadOnly))
        return Error{Errc::Io, u"\"%1\" cannot be read: %2."_s.arg(file, header.errorString())};
    if (!header.read(16).startsWith("SQLite format 3"))
        return Error{Errc::Malformed, u"\"%1\" is not a store of readings (no SQLite file)."_s.arg(file)};
    const QTemporaryDir folder;
    if (!folder.isValid())
        return Error{Errc::Io, u"No temporary folder can be made: %1."_s.arg(folder.errorString())};
    const QString copy = folder.filePath(u"spool.db"_s);
    if (!QFile::copy(file, copy)
        || (QFile::exists(file + u"-wal"_s) && !QFile::copy(file + u"-wal"_s, copy + u"-wal"_s)))
        return Error{Errc::Io, u"\"%1\" cannot be copied to a temporary folder; is that full?"_s.arg(file)};
    QFile::setPermissions(copy, QFile::ReadOwner | QFile::WriteOwner);

    const SystemClock clock;
    const auto spool = SqliteSpool::open({copy, u"inspect"_s, {}, {}}, clock);
    if (!spool)
        return spool.error();
    QCborMap answer = answers::spool((*spool)->status());
    // The file does not say how large it may become: that stands in its agent's configuration.
    answer.remove("max_bytes"_L1);
    answer.remove("written_bytes"_L1); // since an agent opened it, which this copy never was
    const auto losses = (*spool)->losses(kShownLosses);
    if (!losses)
        return losses.error();
    QCborArray array;
    for (const Loss &loss : *losses)
        array.append(answers::loss(loss));
    answer.insert("losses"_L1, array);
    return answer;
}

} // namespace

int runBuffer(const QStringList &arguments)
{
    QStringList rest = arguments;
    const bool json = rest.removeAll(u"--json"_s) > 0;
    if (rest.contains(u"--help"_s) || rest.contains(u"-h"_s)) {
        printHelp(kHelp);
        return kOk;
    }
    for (const QString &argument : std::as_const(rest)) {
        if (argument.startsWith("--"_L1)) {
            reportError({Errc::Malformed, u"There is no option %1. See `lintelctl buffer --help`."_s.arg(argument)},
                        json);
            return kUsage;
        }
    }
    if (rest.size() != 2 || rest.first() != u"inspect") {
        reportError({Errc::Malformed, u"Say `lintelctl buffer inspect FILE`; see `lintelctl buffer --help`."_s}, json);
        return kUsage;
    }
    const auto answer = inspect(rest.at(1));
    if (!answer) {
        reportError(answer.error(), json);
        return kFailed;
    }
    if (json)
        printJson(answer->toJsonObject());
    else
        printOut(humanText(*answer));
    return kOk;
}

} // namespace lintel::cli
