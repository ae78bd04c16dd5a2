#include "authority/boot_view.h"
#include "authority/commands.h"
#include "spire/server_methods.h"

#include <QJsonArray>

namespace lintel::cli {

using namespace Qt::StringLiterals;
namespace method = spire::method;
using spire::textOf;

namespace {

Result<wire::ReferenceValues> kindFrom(const Arguments &arguments)
{
    if (!arguments.has(u"hardware"_s))
        return wrongUsage(u"Say with --hardware what the values are of. See `lintelctl reference --help`."_s);
    wire::ReferenceValues values;
    values.set_hardware(arguments.value(u"hardware"_s).toStdString());
    values.set_release(arguments.value(u"release"_s).toStdString());
    return values;
}

QString shown(const wire::ReferenceValues &values)
{
    return QString(textOf(values.hardware()) + u' ' + textOf(values.release())).trimmed();
}

Result<Answer> list(const Arguments &arguments)
{
    const auto all = clientFor(arguments).call<wire::ReferenceValuesList>(method::admin("ListReferenceValues"),
                                                                          wire::ReferenceValuesList());
    if (!all)
        return all.error();
    QJsonArray array;
    QStringList blocks;
    for (const auto &values : all->values()) {
        array.append(referenceJson(values));
        blocks.append(referenceText(values));
    }
    return Answer{{{u"references"_s, array}},
                  blocks.isEmpty() ? u"No reference values; see: lintelctl device accept-boot\n"_s
                                   : blocks.join(u'\n')};
}

Result<Answer> set(const Arguments &arguments)
{
    auto values = kindFrom(arguments);
    if (!values)
        return values.error();
    if (!arguments.has(u"pcr"_s))
        return wrongUsage(u"Say with --pcr which registers have which values. See `lintelctl reference --help`."_s);
    for (const QString &text : arguments.values(u"pcr"_s))
        if (const auto taken = takeRegister(text, &*values); !taken)
            return taken.error();
    const auto done = clientFor(arguments).ask(method::admin("SetReferenceValues"), spire::serialize(*values));
    if (!done)
        return done.error();
    return Answer{referenceJson(*values),
                  u"A boot of %1 is as expected when its registers have these values.\n"_s.arg(shown(*values))};
}

Result<Answer> remove(const Arguments &arguments)
{
    const auto values = kindFrom(arguments);
    if (!values)
        return values.error();
    const auto done = clientFor(arguments).ask(method::admin("RemoveReferenceValues"), spire::serialize(*values));
    if (!done)
        return done.error();
    return Answer{referenceJson(*values), u"There are no reference values of %1 any more.\n"_s.arg(shown(*values))};
}

} // namespace

int runReference(const QStringList &arguments)
{
    const Option hardware{u"hardware"_s, u"HARDWARE"_s, u"a kind of machine, as its devices are enrolled with"_s};
    const Option release{u"release"_s, u"RELEASE"_s, u"of its software; without it: devices without a release"_s};
    return runGroup(
        {u"reference"_s,
         u"What the boot of devices should have measured, by hardware and release. `lintelctl device\n"
         "accept-boot` takes it from a device; these commands name the values themselves."_s,
         {{u"list"_s, QString(), u"all reference values"_s, {socketOption()}, 0, list},
          {u"set"_s,
           u"--hardware HARDWARE [--release RELEASE] --pcr NUMBER=VALUE..."_s,
           u"in place of those that there are; registers that are not named may have any value"_s,
           {hardware,
            release,
            {u"pcr"_s, u"N=VALUE"_s, u"64 hexadecimal digits (SHA-256); several for one register: each is good"_s,
             true},
            socketOption()},
           0,
           set},
          {u"remove"_s,
           u"--hardware HARDWARE [--release RELEASE]"_s,
           u"its devices are \"measured, no reference values\" from their next attestation on"_s,
           {hardware, release, socketOption()},
           0,
           remove}},
         u"  lintelctl reference list\n"
         "  lintelctl reference set --hardware hv-controller --release 1.4 --pcr 4=6e34...01 --pcr 7=b1c2...9f\n"
         "  lintelctl reference remove --hardware hv-controller --release 1.3\n"_s},
        arguments);
}

} // namespace lintel::cli
