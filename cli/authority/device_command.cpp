#include "authority/boot_view.h"
#include "authority/commands.h"
#include "authority/device_batch.h"
#include "authority/device_view.h"
#include "authority/text_table.h"
#include "output.h"
#include "spire/server_methods.h"
#include "tls/identity_files.h"
#include "tls/x509.h"
#include "tpm/attestation_verifier.h"

#include <QFile>
#include <QJsonArray>

namespace lintel::cli {

using namespace Qt::StringLiterals;
namespace method = spire::method;
using spire::textOf;

namespace {

constexpr int kShownHash = 16;
constexpr qint64 kMostCsvBytes = 3 * 1024 * 1024;

Result<wire::Device> onDevice(const Arguments &arguments, const char *name, wire::DeviceRequest request)
{
    request.set_device(arguments.words().first().toStdString());
    return clientFor(arguments).call<wire::Device>(method::admin(name), request);
}

Result<wire::DeviceState> stateFrom(const QString &word)
{
    for (const wire::DeviceState state : {wire::PENDING, wire::APPROVED, wire::REVOKED})
        if (stateWord(state) == word)
            return state;
    if (word.isEmpty())
        return wire::DEVICE_STATE_UNSPECIFIED;
    return wrongUsage(u"--state %1: say pending, approved or revoked."_s.arg(word.left(40)));
}

Result<Answer> list(const Arguments &arguments)
{
    const auto state = stateFrom(arguments.value(u"state"_s));
    if (!state)
        return state.error();
    AdminClient client = clientFor(arguments);
    QJsonArray array;
    QList<QStringList> rows;
    wire::ListDevicesRequest request;
    request.set_state(*state);
    do {
        const auto page = client.call<wire::ListDevicesResponse>(method::admin("ListDevices"), request);
        if (!page)
            return page.error();
        for (const wire::Device &device : page->devices()) {
            array.append(deviceJson(device));
            rows.append({textOf(device.name()), stateWord(device.state()), textOf(device.kind()), textOf(device.site()),
                         textOf(device.ek_hash()).left(kShownHash), shownTime(device.attested_at_ms()),
                         textOf(device.verdict_reason())});
        }
        request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    const QString text =
        rows.isEmpty()
            ? u"No devices.\n"_s
            : textTable({u"NAME"_s, u"STATE"_s, u"KIND"_s, u"SITE"_s, u"TPM"_s, u"ATTESTED"_s, u"VERDICT"_s}, rows);
    return Answer{{{u"devices"_s, array}}, text};
}

Result<Answer> show(const Arguments &arguments)
{
    const auto device = onDevice(arguments, "GetDevice", {});
    if (!device)
        return device.error();
    return deviceAnswer(*device, {});
}

/// Each device has a name of its own; the other facts are of all of them.
Result<Answer> approve(const Arguments &arguments)
{
    const QStringList names = arguments.values(u"name"_s);
    if (names.isEmpty())
        return wrongUsage(u"Say with --name what the device shall be called. See `lintelctl device --help`."_s);
    if (names.size() != arguments.words().size())
        return wrongUsage(u"There are %1 and %2; say one --name for each device, in their order."_s.arg(
            counted(quint64(arguments.words().size()), u"device"_s, u"devices"_s),
            counted(quint64(names.size()), u"name"_s, u"names"_s)));
    if (const QString twice = firstTwice(names); !twice.isEmpty())
        return wrongUsage(u"The name \"%1\" stands twice; a name is one device's."_s.arg(twice.left(80)));
    wire::DeviceRequest request;
    takeFacts(arguments, request.mutable_enrolment());
    return onEachDevice(
        arguments, "ApproveDevice",
        [&](qsizetype index) {
            request.mutable_enrolment()->set_name(names.at(index).toStdString());
            return request;
        },
        [](const wire::Device &device) {
            return u"%1 is approved; it gets its identity at its next attempt.\n"_s.arg(textOf(device.spiffe_id()));
        });
}

Result<Answer> reject(const Arguments &arguments)
{
    wire::DeviceRequest request;
    request.set_reason(arguments.value(u"reason"_s).toStdString());
    return onEachDevice(
        arguments, "RejectDevice", [&](qsizetype) { return request; },
        [](const wire::Device &device) {
            return u"The TPM %1 is out of the queue and turned away from now on; lintelctl enroll lets it in after "
                   "all.\n"_s.arg(textOf(device.ek_hash()));
        });
}

Result<Answer> revoke(const Arguments &arguments)
{
    wire::DeviceRequest request;
    request.set_reason(arguments.value(u"reason"_s).toStdString());
    return onEachDevice(
        arguments, "RevokeDevice", [&](qsizetype) { return request; },
        [](const wire::Device &device) {
            const QString accepted = device.last_accepted_at_ms() == 0 ? u"not known yet; see: lintelctl device show"_s
                                                                       : shownTime(device.last_accepted_at_ms());
            return textFacts(
                {{u"revoked"_s, textOf(device.spiffe_id().empty() ? device.ek_hash() : device.spiffe_id())},
                 {u"revoked at"_s, shownTime(device.revoked_at_ms())},
                 {u"last message accepted at"_s, accepted}});
        });
}

Result<Answer> reattest(const Arguments &arguments)
{
    wire::DeviceRequest request;
    request.set_allow_weaker(arguments.has(u"allow-weaker"_s));
    const auto device = onDevice(arguments, "ReattestDevice", request);
    if (!device)
        return device.error();
    QString done = u"%1 must attest again before its next SVID."_s.arg(textOf(device->spiffe_id()));
    if (request.allow_weaker())
        done += u" It need not prove that its key is in its TPM, until it has proved it again."_s;
    return deviceAnswer(*device, done);
}

Result<Answer> history(const Arguments &arguments)
{
    wire::ListAttestationsRequest request;
    request.set_device(arguments.words().first().toStdString());
    if (arguments.has(u"newest"_s)) {
        bool ok = false;
        const int newest = arguments.value(u"newest"_s).toInt(&ok);
        if (!ok || newest < 1)
            return wrongUsage(u"--newest %1: say how many, 1 and more."_s.arg(arguments.value(u"newest"_s).left(40)));
        request.set_newest(newest);
    }
    request.set_evidence(arguments.has(u"evidence"_s));
    const auto found =
        clientFor(arguments).call<wire::ListAttestationsResponse>(method::admin("ListAttestations"), request);
    if (!found)
        return found.error();
    return historyAnswer(*found);
}

Result<Answer> setHardware(const Arguments &arguments)
{
    if (!arguments.has(u"hardware"_s))
        return wrongUsage(u"Say with --hardware (and --release) what it is. See `lintelctl device --help`."_s);
    wire::DeviceRequest request;
    request.mutable_enrolment()->set_hardware(arguments.value(u"hardware"_s).toStdString());
    request.mutable_enrolment()->set_release(arguments.value(u"release"_s).toStdString());
    const auto device = onDevice(arguments, "SetHardware", request);
    if (!device)
        return device.error();
    return deviceAnswer(*device,
                        u"From its next attestation on, the boot of %1 is compared with the reference values of "
                        "%2."_s.arg(textOf(device->spiffe_id()),
                                    QString(textOf(device->hardware()) + u' ' + textOf(device->release())).trimmed()));
}

Result<Answer> acceptBoot(const Arguments &arguments)
{
    wire::AcceptBootRequest request;
    request.set_device(arguments.words().first().toStdString());
    request.set_hardware(arguments.value(u"hardware"_s).toStdString());
    request.set_release(arguments.value(u"release"_s).toStdString());
    request.set_replace(arguments.has(u"replace"_s));
    const auto values = clientFor(arguments).call<wire::ReferenceValues>(method::admin("AcceptBoot"), request);
    if (!values)
        return values.error();
    return Answer{referenceJson(*values), u"Reference values from now on, for the next attestation of each device of "
                                          "this kind:\n"_s
                                              + referenceText(*values)};
}

/// In DER, whatever the file has.
Result<QByteArray> certificateFrom(const QString &path)
{
    const auto bytes = tls::readWholeFile(path);
    if (!bytes)
        return bytes;
    const bool isPem = bytes->contains("-----BEGIN");
    const auto found = isPem ? tls::certificatesFromPem(*bytes) : Result<QList<QByteArray>>(QList{*bytes});
    if (!found || !tls::describeCertificate(found->first()))
        return Error{Errc::Malformed, u"%1 is not a certificate in PEM or DER."_s.arg(path)};
    return found->first();
}

Result<Answer> enrollOne(const Arguments &arguments)
{
    if (arguments.has(u"hash"_s) == arguments.has(u"certificate"_s))
        return wrongUsage(u"Say which TPM: --hash, --certificate, or --csv for many. See `lintelctl enroll --help`."_s);
    if (!arguments.has(u"name"_s))
        return wrongUsage(u"Say with --name what the device is called. See `lintelctl enroll --help`."_s);
    wire::EnrollRequest request;
    takeFacts(arguments, request.mutable_enrolment());
    request.mutable_enrolment()->set_ek_hash(arguments.value(u"hash"_s).toStdString());
    if (arguments.has(u"certificate"_s)) {
        const auto certificate = certificateFrom(arguments.value(u"certificate"_s));
        if (!certificate)
            return certificate.error();
        request.set_ek_certificate(certificate->toStdString());
    }
    const auto device = clientFor(arguments).call<wire::Device>(method::admin("Enroll"), request);
    if (!device)
        return device.error();
    const QString done =
        u"%1 is enrolled for the TPM %2."_s.arg(textOf(device->spiffe_id()), textOf(device->ek_hash()));
    const QString finding = textOf(device->ek_finding());
    return deviceAnswer(*device, finding.isEmpty() ? done : done + u'\n' + finding);
}

Result<QByteArray> csvFrom(const QString &path)
{
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly))
        return Error{Errc::NotFound, u"The list \"%1\" cannot be read: %2."_s.arg(path, file.errorString())};
    if (file.size() > kMostCsvBytes)
        return Error{Errc::Full, u"The list \"%1\" is longer than 3 MiB; enrol it in parts."_s.arg(path)};
    return file.readAll();
}

Result<Answer> enrollMany(const Arguments &arguments)
{
    const auto csv = csvFrom(arguments.value(u"csv"_s));
    if (!csv)
        return csv.error();
    wire::EnrollBatchRequest request;
    request.set_csv(csv->toStdString());
    const auto outcome = clientFor(arguments).call<wire::EnrollBatchResponse>(method::admin("EnrollBatch"), request);
    if (!outcome)
        return outcome.error();
    if (outcome->problems_size() > 0) {
        QStringList lines;
        for (const auto &problem : outcome->problems())
            lines.append(u"line %1: %2"_s.arg(problem.line()).arg(textOf(problem.message())));
        return Error{Errc::Malformed, u"Nothing was enrolled, because of %1:\n%2"_s.arg(
                                          counted(quint64(lines.size()), u"row"_s, u"rows"_s), lines.join(u'\n'))};
    }
    return Answer{{{u"enrolled"_s, outcome->enrolled()}},
                  u"%1 enrolled.\n"_s.arg(counted(quint64(outcome->enrolled()), u"device is"_s, u"devices are"_s))};
}

Result<Answer> enroll(const Arguments &arguments)
{
    if (!arguments.has(u"csv"_s))
        return enrollOne(arguments);
    for (const QString &other : {u"hash"_s, u"certificate"_s, u"name"_s, u"kind"_s, u"site"_s, u"space"_s, u"tag"_s,
                                 u"hardware"_s, u"release"_s})
        if (arguments.has(other))
            return wrongUsage(u"--csv brings everything along; --%1 cannot stand beside it."_s.arg(other));
    return enrollMany(arguments);
}

} // namespace

int runDevice(const QStringList &arguments)
{
    QList<Option> approval = factOptions();
    approval.append(socketOption());
    approval.first().repeats = true; // the name, of each device
    approval.first().meaning += u"; of several devices one each, in their order"_s;
    const Option hardware{u"hardware"_s, u"HARDWARE"_s,
                          u"with --release: which reference values its boot is compared with"_s};
    const Option release{u"release"_s, u"RELEASE"_s, u"of the software on that hardware"_s};
    return runGroup(
        {u"device"_s,
         u"Devices of the authority on this machine. DEVICE is a name, a SPIFFE ID, or 8 and more digits of\n"
         "the hash of its TPM's endorsement key. Of several each is done by itself; exit code 1 when one is not."_s,
         {{u"list"_s,
           u"[--state pending|approved|revoked]"_s,
           u"all devices, or those in one state"_s,
           {{u"state"_s, u"STATE"_s, u"pending (waits for approval), approved or revoked"_s}, socketOption()},
           0,
           list},
          {u"show"_s, u"DEVICE"_s, u"everything that is known about one"_s, {socketOption()}, 1, show},
          {u"approve"_s,
           u"DEVICE... --name NAME... [--kind KIND] [--site SITE] [--space SPACE]\n"
           "          [--tag TAG]... [--hardware HARDWARE] [--release RELEASE]"_s,
           u"lets devices in that wait in the queue"_s, approval, 1, approve, true},
          {u"reject"_s,
           u"DEVICE... [--reason TEXT]"_s,
           u"out of the queue for good: not let in, and does not wait again"_s,
           {{u"reason"_s, u"TEXT"_s, u"for the device itself and the audit trail"_s}, socketOption()},
           1,
           reject,
           true},
          {u"history"_s,
           u"DEVICE [--newest N] [--evidence]"_s,
           u"its attestations, newest first: verdict, registers, and what changed"_s,
           {{u"newest"_s, u"N"_s, u"how many (20)"_s},
            {u"evidence"_s, QString(), u"with --json: also quote, signature and event log, of three at most"_s},
            socketOption()},
           1,
           history},
          {u"set"_s,
           u"DEVICE --hardware HARDWARE [--release RELEASE]"_s,
           u"which reference values its boot is compared with, such as after an update"_s,
           {hardware, release, socketOption()},
           1,
           setHardware},
          {u"accept-boot"_s,
           u"DEVICE [--hardware HARDWARE] [--release RELEASE] [--replace]"_s,
           u"what it has measured last is a good boot of its hardware and release from now on"_s,
           {hardware,
            release,
            {u"replace"_s, QString(), u"instead of the values that there are; otherwise beside them"_s},
            socketOption()},
           1,
           acceptBoot},
          {u"revoke"_s,
           u"DEVICE... [--reason TEXT]"_s,
           u"ends its identity everywhere within seconds; only a fresh enrolment brings it back"_s,
           {{u"reason"_s, u"TEXT"_s, u"for the deny list and the audit trail"_s}, socketOption()},
           1,
           revoke,
           true},
          {u"reattest"_s,
           u"DEVICE [--allow-weaker]"_s,
           u"makes it prove itself again before its next SVID"_s,
           {{u"allow-weaker"_s, QString(),
             u"also without the proof that its key is in its TPM, which it gave before"_s},
            socketOption()},
           1,
           reattest}},
         u"  lintelctl device list --state pending\n"
         "  lintelctl device approve 3f9a61c2 --name hvac-001 --kind hvac --site building-1\n"
         "  lintelctl device reject 77b0e4d1 0c5d9e27 --reason \"no devices of ours\"\n"
         "  lintelctl device accept-boot hvac-001 --hardware hv-controller --release 1.4\n"
         "  lintelctl device history hvac-001\n"
         "  lintelctl device revoke hvac-001 --reason \"stolen from the roof\"\n"_s},
        arguments);
}

int runEnroll(const QStringList &arguments)
{
    QList<Option> options{
        {u"hash"_s, u"HASH"_s, u"SHA-256 of the TPM's endorsement key, as the device prints it"_s},
        {u"certificate"_s, u"FILE"_s,
         u"instead of the hash: the TPM's endorsement certificate (PEM or DER). The authority says which maker "
         "signed it; one that is not valid is refused, and one of an unknown maker where "
         "attestation.require_vendor_certificate says so"_s},
        {u"csv"_s, u"FILE"_s, u"many at once: hash,name,kind,site,space,tags,hardware,release; all rows or none"_s},
    };
    options += factOptions();
    options.append(socketOption());
    return runGroup(
        {u"enroll"_s,
         u"Tells the authority on this machine which TPM is which device, before or after it is installed."_s,
         {{QString(),
           u"(--hash HASH|--certificate FILE) --name NAME [--kind KIND] [--site SITE] [--space SPACE]\n"
           "          [--tag TAG]... [--hardware HARDWARE] [--release RELEASE] | --csv FILE"_s,
           u"one device, or a list of them"_s, options, 0, enroll}},
         u"  lintelctl enroll --certificate ek.der --name hvac-001 --kind hvac --site building-1\n"
         "  lintelctl enroll --hash 3f9a...c2 --name hvac-002 --hardware hv-controller --release 1.4\n"
         "  lintelctl enroll --csv delivery-2026-11.csv\n"_s},
        arguments);
}

} // namespace lintel::cli
