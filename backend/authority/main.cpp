// lintel-authority: chooses the adapters and puts the authority of one trust domain together.
#include "authority/authority_process.h"
#include "authority/program_config.h"
#include "ports/boot_clock.h"
#include "process/service_run.h"
#include "process/small_memory.h"

#include <QCoreApplication>
#include <QLoggingCategory>

using namespace lintel;
using namespace lintel::authority;
using namespace Qt::StringLiterals;

namespace {

Q_LOGGING_CATEGORY(lcAuthority, "lintel.authority", QtInfoMsg)

const service::Program kProgram{
    u"lintel-authority"_s, QStringLiteral(LINTEL_VERSION),
    u"The authority of a trust domain: enrols devices, attests them, and gives them identities."_s, lcAuthority};

Result<int> run(const ProgramConfig &config)
{
    const BootClock clock;
    const auto opened = AuthorityProcess::open(config, clock, kProgram.version);
    if (!opened)
        return opened.error();
    AuthorityProcess &process = **opened;
    const service::ServiceRun life(kProgram, process);
    qCInfo(lcAuthority).noquote() << u"%1 %2 starts as spiffe://%3/spire/server, port %4, socket %5"_s
                                         .arg(kProgram.name, kProgram.version, config.authority.domain.name())
                                         .arg(process.port())
                                         .arg(config.adminSocket);
    if (process.bundlePort())
        qCInfo(lcAuthority).noquote() << u"the bundle endpoint is at port %1"_s.arg(*process.bundlePort());
    process.start();
    process::returnIdleMemory(&process);
    return life.exec();
}

} // namespace

int main(int argc, char **argv)
{
    process::keepMemorySmall();
    QCoreApplication application(argc, argv);
    const auto read = [](const service::CommandLine &line) { return readProgramConfig(line.config); };
    return service::runProgram(kProgram, read, run);
}
