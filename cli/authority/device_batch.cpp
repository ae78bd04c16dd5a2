#include "authority/device_batch.h"

#include "calls/call.h"
#include "output.h"
#include "spire/server_methods.h"

#include <QJsonArray>

namespace lintel::cli {

using namespace Qt::StringLiterals;

namespace {

bool isGone(const Error &error)
{
    return error.code == Errc::Unavailable || error.code == Errc::Timeout;
}

QJsonObject failureJson(const QString &device, const Error &error)
{
    return {{u"device"_s, device},
            {u"error"_s, QJsonObject{{u"code"_s, wireName(error.code)}, {u"message"_s, error.message}}}};
}

} // namespace

QString firstTwice(const QStringList &texts)
{
    for (qsizetype i = 0; i < texts.size(); ++i)
        if (texts.indexOf(texts.at(i), i + 1) >= 0)
            return texts.at(i);
    return {};
}

Result<Answer> onEachDevice(const Arguments &arguments, const char *name,
                            const std::function<wire::DeviceRequest(qsizetype)> &requestFor,
                            const std::function<QString(const wire::Device &)> &told)
{
    const QStringList &devices = arguments.words();
    if (const QString twice = firstTwice(devices); !twice.isEmpty())
        return wrongUsage(u"The device \"%1\" stands twice."_s.arg(twice.left(80)));
    AdminClient client = clientFor(arguments);
    const auto ask = [&](qsizetype index) {
        wire::DeviceRequest request = requestFor(index);
        request.set_device(devices.at(index).toStdString());
        return client.call<wire::Device>(spire::method::admin(name), request);
    };
    if (devices.size() == 1) {
        const auto device = ask(0);
        return device ? Result<Answer>(Answer{deviceJson(*device), told(*device)}) : device.error();
    }

    Answer answer;
    QJsonArray array;
    qsizetype done = 0;
    std::optional<Error> gone;
    for (qsizetype i = 0; i < devices.size(); ++i) {
        const auto device = gone ? Result<wire::Device>(*gone) : ask(i);
        if (device) {
            ++done;
            array.append(deviceJson(*device));
            answer.text += told(*device);
            continue;
        }
        if (isGone(device.error()) && done == 0 && i == 0)
            return device.error();
        if (isGone(device.error()))
            gone = device.error();
        array.append(failureJson(devices.at(i), device.error()));
        answer.failures.append(u"%1: %2"_s.arg(devices.at(i).left(80), device.error().message));
        answer.exitCode = kFailed;
    }
    answer.json = {{u"devices"_s, array}};
    answer.text += u"%1 of %2 devices done.\n"_s.arg(done).arg(devices.size());
    return answer;
}

} // namespace lintel::cli
