#include "call_command.h"

#include "broker_connection.h"
#include "call_options.h"
#include "exit_codes.h"
#include "output.h"

#include <QCborValue>
#include <QEventLoop>

namespace lintel::cli {

using namespace Qt::StringLiterals;

namespace {

Result<QCborMap> callAndWait(BrokerConnection &connection, const CallOptions &options)
{
    QEventLoop loop;
    Result<QCborMap> answer = Error{Errc::Timeout, u"No answer."_s};
    connection.client().call(options.target, options.method, options.args, options.timeout,
                             [&](Result<QCborMap> result) {
                                 answer = std::move(result);
                                 loop.quit();
                             });
    loop.exec();
    return answer;
}

/// A call that ran out of time because there never was a connection is a different trouble.
Error explain(const Error &error, const BrokerConnection &connection, const CallOptions &options)
{
    if (error.code != Errc::Timeout || connection.wasConnected())
        return error;
    const QString why = connection.lastFailure() ? connection.lastFailure()->message : u"it does not answer."_s;
    return {Errc::Unavailable,
            u"No connection to the broker %1:%2: %3"_s.arg(options.broker.host).arg(options.broker.port).arg(why)};
}

} // namespace

int runCall(const QStringList &arguments)
{
    const bool json = !arguments.contains(u"--text"_s); // also for what cannot be parsed
    const auto options = parseCallOptions(arguments);
    if (!options) {
        reportError(options.error(), json);
        return kUsage;
    }
    if (options->help) {
        printHelp(callHelp());
        return kOk;
    }
    auto connection = BrokerConnection::open(options->broker);
    if (!connection) {
        reportError(connection.error(), json);
        return kCannotConnect;
    }
    const auto answer = callAndWait(**connection, *options);
    int code = kOk;
    if (answer) {
        if (json)
            printJson(answer->toJsonObject());
        else
            printOut(humanText(*answer));
    } else {
        const Error error = explain(answer.error(), **connection, *options);
        reportError(error, json);
        code = exitCodeOf(error);
    }
    (*connection)->close();
    return code;
}

} // namespace lintel::cli
