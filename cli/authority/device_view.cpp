#include "authority/device_view.h"

#include "authority/boot_view.h"
#include "authority/text_table.h"

#include <QJsonArray>

namespace lintel::cli {

using namespace Qt::StringLiterals;
using spire::bytesOf;
using spire::textOf;

namespace {

QJsonValue timeValue(qint64 epochMillis)
{
    return epochMillis == 0 ? QJsonValue() : QJsonValue(toIso8601(fromEpochMillis(epochMillis)));
}

QStringList tagsOf(const wire::Device &device)
{
    QStringList tags;
    for (const std::string &tag : device.tags())
        tags.append(textOf(tag));
    return tags;
}

/// Where the key of its identity is; nothing before its first attestation.
QString keyPlace(const wire::Device &device)
{
    if (device.attestation_type().empty())
        return {};
    return device.key_in_tpm() ? u"made in its TPM, which never gives it away (certified)"_s
                               : u"not certified to be in a TPM: it may be a file"_s;
}

} // namespace

QString stateWord(wire::DeviceState state)
{
    switch (state) {
    case wire::PENDING: return u"pending"_s;
    case wire::APPROVED: return u"approved"_s;
    case wire::REVOKED: return u"revoked"_s;
    default: return u"unknown"_s;
    }
}

QJsonObject deviceJson(const wire::Device &device)
{
    return {
        {u"name"_s, textOf(device.name())},
        {u"spiffe_id"_s, textOf(device.spiffe_id())},
        {u"ek_hash"_s, textOf(device.ek_hash())},
        {u"state"_s, stateWord(device.state())},
        {u"kind"_s, textOf(device.kind())},
        {u"site"_s, textOf(device.site())},
        {u"space"_s, textOf(device.space())},
        {u"tags"_s, QJsonArray::fromStringList(tagsOf(device))},
        {u"attestation"_s, textOf(device.attestation_type())},
        {u"key_in_tpm"_s, device.key_in_tpm()},
        {u"verdict"_s, verdictWord(device.verdict())},
        {u"verdict_reason"_s, textOf(device.verdict_reason())},
        {u"ek_issuer"_s, textOf(device.ek_issuer())},
        {u"ek_finding"_s, textOf(device.ek_finding())},
        {u"hardware"_s, textOf(device.hardware())},
        {u"release"_s, textOf(device.release())},
        {u"pcrs"_s, pcrsJson(device.pcrs())},
        {u"enrolled_at"_s, timeValue(device.enrolled_at_ms())},
        {u"attested_at"_s, timeValue(device.attested_at_ms())},
        {u"svid_expires_at"_s, timeValue(device.svid_expires_at_ms())},
        {u"revoked_at"_s, timeValue(device.revoked_at_ms())},
        {u"last_accepted_at"_s, timeValue(device.last_accepted_at_ms())},
        {u"revoke_reason"_s, textOf(device.revoke_reason())},
    };
}

QString deviceText(const wire::Device &device)
{
    const auto time = [](qint64 at) { return at == 0 ? QString() : shownTime(at); };
    const bool wasLetIn = !device.spiffe_id().empty();
    QList<std::pair<QString, QString>> facts{
        {u"name"_s, textOf(device.name())},
        {u"SPIFFE ID"_s, textOf(device.spiffe_id())},
        {u"TPM (EK hash)"_s, textOf(device.ek_hash())},
        {u"state"_s, stateWord(device.state())},
        {u"kind"_s, textOf(device.kind())},
        {u"site"_s, textOf(device.site())},
        {u"space"_s, textOf(device.space())},
        {u"tags"_s, tagsOf(device).join(u", "_s)},
        {u"attestation"_s, textOf(device.attestation_type())},
        {u"key"_s, keyPlace(device)},
        {u"verdict"_s, textOf(device.verdict_reason())},
        {u"maker's certificate"_s, textOf(device.ek_issuer())},
        {u"hardware"_s, textOf(device.hardware())},
        {u"release"_s, textOf(device.release())},
        {wasLetIn ? u"enrolled at"_s : u"first seen at"_s, time(device.enrolled_at_ms())},
        {u"attested at"_s, time(device.attested_at_ms())},
        {u"SVID ends at"_s, time(device.svid_expires_at_ms())},
    };
    if (device.revoked_at_ms() != 0 && !wasLetIn) {
        facts.append({u"rejected at"_s, shownTime(device.revoked_at_ms())});
        facts.append({u"rejected because"_s, textOf(device.revoke_reason())});
    } else if (device.revoked_at_ms() != 0) {
        facts.append({u"revoked at"_s, shownTime(device.revoked_at_ms())});
        facts.append({u"last message accepted at"_s, device.last_accepted_at_ms() == 0
                                                         ? u"not known (no broker has said so)"_s
                                                         : shownTime(device.last_accepted_at_ms())});
        facts.append({u"revoked because"_s, textOf(device.revoke_reason())});
    }
    for (int number = 0; number < 24; ++number)
        if (const auto found = device.pcrs().find(quint32(number)); found != device.pcrs().end())
            facts.append({u"PCR %1"_s.arg(number), QString::fromLatin1(bytesOf(found->second).toHex())});
    return textFacts(facts);
}

Answer deviceAnswer(const wire::Device &device, const QString &sentence)
{
    return {deviceJson(device), sentence.isEmpty() ? deviceText(device) : sentence + u'\n'};
}

QList<Option> factOptions()
{
    return {
        {u"name"_s, u"NAME"_s, u"what it is called; its SPIFFE ID becomes spiffe://<trust domain>/agent/NAME"_s},
        {u"kind"_s, u"KIND"_s, u"hvac, occupancy, energy, gateway, ...; a gateway also renews its broker's identity"_s},
        {u"site"_s, u"SITE"_s, u"the site that it belongs to"_s},
        {u"space"_s, u"SPACE"_s, u"where it is, such as floor-2/room-201"_s},
        {u"tag"_s, u"TAG"_s, u"may stand several times"_s, true},
        {u"hardware"_s, u"HARDWARE"_s, u"with --release: which reference values its boot is compared with"_s},
        {u"release"_s, u"RELEASE"_s, u"of the software on that hardware"_s},
    };
}

void takeFacts(const Arguments &arguments, wire::Enrolment *out)
{
    out->set_name(arguments.value(u"name"_s).toStdString());
    out->set_kind(arguments.value(u"kind"_s).toStdString());
    out->set_site(arguments.value(u"site"_s).toStdString());
    out->set_space(arguments.value(u"space"_s).toStdString());
    for (const QString &tag : arguments.values(u"tag"_s))
        out->add_tags(tag.toStdString());
    out->set_hardware(arguments.value(u"hardware"_s).toStdString());
    out->set_release(arguments.value(u"release"_s).toStdString());
}

} // namespace lintel::cli
