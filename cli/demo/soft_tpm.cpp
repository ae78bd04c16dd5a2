#include "demo/soft_tpm.h"

#include "tls/identity_files.h"
#include "tpm/attestation_verifier.h"

#include <QFile>
#include <QStandardPaths>

namespace lintel::demo {

using namespace Qt::StringLiterals;

namespace {

// What swtpm_localca and swtpm_setup call their files.
const QString kRootCertificate = u"swtpm-localca-rootca-cert.pem"_s;
const QString kIssuerCertificate = u"issuercert.pem"_s;
const QString kEndorsementCertificate = u"ek-rsa2048.crt"_s;

QString vendorFile(const DemoPlan &plan, const QString &name)
{
    return plan.tpmDir(u"vendor/"_s + name);
}

Result<void> makeFolder(const QString &path)
{
    if (QDir().mkpath(path))
        return {};
    return Error{Errc::Io, u"The folder \"%1\" cannot be made; choose another with --keep."_s.arg(path)};
}

QString program(const QString &name)
{
    return QStandardPaths::findExecutable(name);
}

} // namespace

Result<void> findSoftTpm()
{
    for (const QString &name : {u"swtpm"_s, u"swtpm_setup"_s, u"swtpm_localca"_s}) {
        if (program(name).isEmpty())
            return Error{Errc::NotFound,
                         u"%1 is not installed; run scripts/bootstrap, or `apt install swtpm swtpm-tools`. "
                         "Without it, --identity files works."_s.arg(name)};
    }
    return {};
}

QString tpmVendorDir(const DemoPlan &plan)
{
    return vendorFile(plan, u"certificates"_s);
}

Result<void> makeTpmVendor(const DemoPlan &plan)
{
    const QString ca = vendorFile(plan, u"ca"_s);
    for (const QString &folder : {ca, tpmVendorDir(plan)}) {
        if (auto made = makeFolder(folder); !made)
            return made;
    }
    const auto write = [&plan](const QString &name, const QString &text) {
        return tls::writePublicFile(vendorFile(plan, name), text.toUtf8());
    };
    if (auto written =
            write(u"ca.conf"_s, u"statedir = %1\nsigningkey = %1/signkey.pem\n"
                                "issuercert = %1/%2\ncertserial = %1/certserial\n"_s.arg(ca, kIssuerCertificate));
        !written)
        return written;
    if (auto written = write(u"ca.options"_s, u"--platform-manufacturer Lintel\n--platform-version 1\n"
                                              "--platform-model Demo\n"_s);
        !written)
        return written;
    return write(u"setup.conf"_s,
                 u"create_certs_tool = %1\ncreate_certs_tool_config = %2\n"
                 "create_certs_tool_options = %3\nactive_pcr_banks = sha256\n"_s.arg(
                     program(u"swtpm_localca"_s), vendorFile(plan, u"ca.conf"_s), vendorFile(plan, u"ca.options"_s)));
}

Result<void> publishTpmVendor(const DemoPlan &plan)
{
    for (const QString &name : {kRootCertificate, kIssuerCertificate}) {
        const auto certificate = tls::readWholeFile(vendorFile(plan, u"ca/"_s + name));
        if (!certificate)
            return certificate.error();
        if (auto written = tls::writePublicFile(QDir(tpmVendorDir(plan)).filePath(name), *certificate); !written)
            return written;
    }
    return {};
}

Result<ChildSpec> tpmFactory(const DemoPlan &plan, const QString &device)
{
    const QString dir = plan.tpmDir(device);
    if (auto made = makeFolder(dir); !made)
        return made.error();
    return ChildSpec{device + u"-tpm-factory"_s,
                     u"swtpm_setup"_s,
                     program(u"swtpm_setup"_s),
                     {u"--tpm2"_s, u"--tpmstate"_s, dir, u"--pcr-banks"_s, u"sha256"_s, u"--create-ek-cert"_s,
                      u"--write-ek-cert-files"_s, dir, u"--config"_s, vendorFile(plan, u"setup.conf"_s)},
                     plan.logFile(device + u"-tpm"_s),
                     {}};
}

ChildSpec tpmProcess(const DemoPlan &plan, const QString &device)
{
    const QString socket = plan.tpmSocket(device);
    return {device + u"-tpm"_s,
            u"swtpm"_s,
            program(u"swtpm"_s),
            {u"socket"_s, u"--tpm2"_s, u"--tpmstate"_s, u"dir="_s + plan.tpmDir(device), u"--server"_s,
             u"type=unixio,path="_s + socket, u"--ctrl"_s, u"type=unixio,path=%1.ctrl"_s.arg(socket), u"--flags"_s,
             u"not-need-init,startup-clear"_s},
            plan.logFile(device + u"-tpm"_s),
            {}};
}

Result<QString> endorsementHash(const DemoPlan &plan, const QString &device)
{
    const auto certificate = tls::readWholeFile(plan.tpmDir(device) + u'/' + kEndorsementCertificate);
    if (!certificate)
        return certificate.error();
    return tpm::endorsementHashOfCertificate(*certificate);
}

} // namespace lintel::demo
