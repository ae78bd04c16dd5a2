#include "demo/demo_command.h"

#include "demo/demo_options.h"
#include "demo/demo_run.h"
#include "demo/refusal.h"
#include "exit_codes.h"
#include "output.h"
#include "process/stop_signals.h"

namespace lintel::cli {

using namespace Qt::StringLiterals;

int runDemo(const QStringList &arguments)
{
    const auto options = demo::parseDemoOptions(arguments);
    if (!options) {
        demo::reportRefusal(options.error(), arguments.contains(u"--json"_s));
        return kUsage;
    }
    if (options->help) {
        printHelp(demo::demoHelp());
        return kOk;
    }
    StopSignals stopSignals;
    demo::DemoRun run(*options);
    QObject::connect(&stopSignals, &StopSignals::stopRequested, &run, &demo::DemoRun::requestStop);
    return run.run();
}

} // namespace lintel::cli
