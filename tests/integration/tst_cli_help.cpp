// What `lintelctl --help` and that of each command look like on a terminal.
#include "output.h"

#include <QProcess>
#include <QRegularExpression>
#include <QTest>

#include <csignal>
#include <sys/prctl.h>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

QString outputOf(const QStringList &arguments)
{
    QProcess process;
    process.setChildProcessModifier([] { prctl(PR_SET_PDEATHSIG, SIGKILL); });
    process.start(QStringLiteral(LINTEL_BIN_DIR "/lintelctl"), arguments);
    if (!process.waitForFinished(60'000) || process.exitStatus() != QProcess::NormalExit || process.exitCode() != 0)
        return {};
    return QString::fromUtf8(process.readAllStandardOutput());
}

} // namespace

class TestCliHelp : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void help_fitsIntoAHundredColumns()
    {
        const QString all = outputOf({u"--help"_s});
        QStringList commands{QString()};
        auto names = QRegularExpression(u"^  ([a-z]+) +\\w"_s, QRegularExpression::MultilineOption).globalMatch(all);
        while (names.hasNext())
            commands.append(names.next().captured(1));
        QVERIFY2(commands.size() > 10, qPrintable(all));
        for (const QString &command : std::as_const(commands)) {
            const QString help = command.isEmpty() ? all : outputOf({command, u"--help"_s});
            QVERIFY2(help.contains(u"Usage:"_s), qPrintable(command));
            const QStringList lines = help.split(u'\n');
            for (const QString &line : lines) {
                QVERIFY2(line.size() <= 100, qPrintable(command + u": "_s + line));
                QVERIFY2(!line.endsWith(u' '), qPrintable(command + u": "_s + line));
            }
        }
    }

    void longLines_goOnBelowTheirText()
    {
        const QString words = u"word "_s.repeated(30).trimmed(); // 149 columns
        const QString first = u"word "_s.repeated(18).trimmed();
        QCOMPARE(cli::helpLines(u"  --name X  "_s + words + u"\n"_s),
                 u"  --name X  %1\n            %2\n"_s.arg(u"word "_s.repeated(17).trimmed(),
                                                           u"word "_s.repeated(13).trimmed()));
        QCOMPARE(cli::helpLines(u"    "_s + words),
                 u"    "_s + u"word "_s.repeated(19).trimmed() + u"\n    "_s + u"word "_s.repeated(11).trimmed());
        QCOMPARE(cli::helpLines(u"  lintelctl x "_s + first + u" [--tag TAG]... [--ttl TIME]"_s),
                 u"  lintelctl x "_s + first + u"\n          [--tag TAG]... [--ttl TIME]"_s);
        const QString tooLong(150, u'x');
        QCOMPARE(cli::helpLines(tooLong + u"  "_s), tooLong);
    }
};

QTEST_GUILESS_MAIN(TestCliHelp)
#include "tst_cli_help.moc"
