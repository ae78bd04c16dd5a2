// A service that crashes leaves its memory to nobody.
#include "process/service_main.h"

#include <QDir>
#include <QTemporaryDir>
#include <QtTest>

#include <csignal>
#include <cstdlib>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {
Q_LOGGING_CATEGORY(logTest, "lintel.test")

service::Program program()
{
    service::Program test;
    test.name = u"test"_s;
    test.category = &logTest;
    return test;
}

/// How a child of this process ends that calls `first` and crashes; it would leave a core where it may.
int endOf(const QString &dir, void (*first)())
{
    const pid_t child = ::fork();
    if (child == 0) {
        rlimit core{};
        (void)::getrlimit(RLIMIT_CORE, &core);
        core.rlim_cur = core.rlim_max;
        (void)::setrlimit(RLIMIT_CORE, &core);
        if (::chdir(QFile::encodeName(dir).constData()) != 0)
            ::_exit(1);
        std::signal(SIGABRT, SIG_DFL); // not Qt Test's
        first();
        std::abort();
    }
    int status = 0;
    (void)::waitpid(child, &status, 0);
    return status;
}
} // namespace

class TestProcessLimits : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void crash_leavesNoCoreToAFileOrAProgram()
    {
        const QTemporaryDir dir;
        const int end = endOf(dir.path(), [] {
            service::setLimits(program());
            rlimit core{};
            // With 0, a core_pattern that is a pipe gets the whole memory; with 1, nobody does.
            if (::getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 1 || core.rlim_max != 1)
                ::_exit(2);
        });
        if (WIFEXITED(end) && WEXITSTATUS(end) == 2) {
            rlimit core{};
            QVERIFY(::getrlimit(RLIMIT_CORE, &core) == 0);
            QVERIFY2(core.rlim_max == 0 && ::geteuid() != 0, "the limit is not one byte"); // and cannot be
            return;
        }
        QVERIFY(WIFSIGNALED(end) && WTERMSIG(end) == SIGABRT);
        QVERIFY(!WCOREDUMP(end));
        QVERIFY(QDir(dir.path()).isEmpty());
    }
};

QTEST_GUILESS_MAIN(TestProcessLimits)
#include "tst_process_limits.moc"
