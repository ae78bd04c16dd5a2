// Measured boot: reference values, what an attestation's registers say, who was turned away (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"
#include "authority/enrolment_csv.h"

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
constexpr int kRegisters = 24;
constexpr qsizetype kSha256Bytes = 32;
constexpr qsizetype kMostAlternatives = 64;
constexpr auto kRefusalsEvery = std::chrono::minutes{1};

bool isMeasured(const QMap<int, QByteArray> &pcrs)
{
    return std::any_of(pcrs.cbegin(), pcrs.cend(), [](const QByteArray &value) {
        return value.count('\0') != value.size() && value.count('\xff') != value.size();
    });
}

QString shown(const QString &hardware, const QString &release)
{
    return release.isEmpty() ? hardware : hardware + u' ' + release;
}
} // namespace

QString describe(BootVerdict verdict)
{
    switch (verdict) {
    case BootVerdict::NotMeasured: return u"identity verified, boot not measured"_s;
    case BootVerdict::NoReference: return u"measured, no reference values"_s;
    case BootVerdict::Matches: return u"measured, as expected"_s;
    case BootVerdict::Differs: return u"measured, not as expected"_s;
    case BootVerdict::LogContradicts: return u"measured, but its event log tells another boot"_s;
    }
    return {};
}

Result<BootJudgement> Authority::Private::judgeBoot(const AttestedNode &node, const DeviceFacts &facts)
{
    if (node.quote.isEmpty())
        return BootJudgement{BootVerdict::NotMeasured, u"No registers were quoted."_s};
    if (!isMeasured(node.pcrs))
        return BootJudgement{BootVerdict::NotMeasured, u"Its firmware has measured nothing."_s};
    // Somebody has tampered with the one or the other, also where the registers are as they should be.
    if (!node.eventLogProblem.isEmpty())
        return BootJudgement{BootVerdict::LogContradicts, node.eventLogProblem};
    if (facts.hardware.isEmpty())
        return BootJudgement{
            BootVerdict::NoReference,
            u"Nobody has said which hardware it is; run: lintelctl device accept-boot %1 --hardware …"_s.arg(
                facts.name)};
    const auto references = store->referenceValues();
    if (!references)
        return references.error();
    const QString what = shown(facts.hardware, facts.release);
    for (const ReferenceValues &reference : *references) {
        if (reference.hardware != facts.hardware || reference.release != facts.release)
            continue;
        QStringList wrong;
        for (auto it = reference.pcrs.cbegin(); it != reference.pcrs.cend(); ++it)
            if (!it.value().contains(node.pcrs.value(it.key())))
                wrong.append(QString::number(it.key()));
        if (wrong.isEmpty())
            return BootJudgement{BootVerdict::Matches, u"As the reference values of %1."_s.arg(what)};
        return BootJudgement{BootVerdict::Differs,
                             u"PCR %1 not as the reference values of %2."_s.arg(wrong.join(u", "_s), what)};
    }
    return BootJudgement{
        BootVerdict::NoReference,
        u"There are no reference values of %1; run: lintelctl device accept-boot %2"_s.arg(what, facts.name)};
}

// --- Reference values ----------------------------------------------------------------------------

Result<void> Authority::setReferenceValues(const ReferenceValues &values, const Actor &actor)
{
    const auto malformed = [](const QString &message) { return Error{Errc::Malformed, message}; };
    if (values.hardware.isEmpty() || values.pcrs.isEmpty())
        return malformed(u"Reference values need a hardware and at least one register."_s);
    if (const auto checked = checkFacts({u"x"_s, {}, {}, {}, {}, values.hardware, values.release}); !checked)
        return checked;
    for (auto it = values.pcrs.cbegin(); it != values.pcrs.cend(); ++it) {
        if (it.key() < 0 || it.key() >= kRegisters || it.value().isEmpty())
            return malformed(u"%1 is no register of a TPM, or has no value."_s.arg(it.key()));
        if (it.value().size() > kMostAlternatives)
            return malformed(u"A register may have %1 values at most."_s.arg(kMostAlternatives));
        for (const QByteArray &value : it.value())
            if (value.size() != kSha256Bytes)
                return malformed(u"A reference value is 32 bytes of SHA-256."_s);
    }
    return d->change(actor, u"reference.set"_s, shown(values.hardware, values.release),
                     u"%1 registers."_s.arg(values.pcrs.size()), [&] { return d->store->putReferenceValues(values); });
}

Result<QList<ReferenceValues>> Authority::referenceValues()
{
    return d->store->referenceValues();
}

Result<void> Authority::removeReferenceValues(const QString &hardware, const QString &release, const Actor &actor)
{
    return d->change(actor, u"reference.remove"_s, shown(hardware, release),
                     u"No boot of it is as expected any more."_s, [&]() -> Result<void> {
                         const auto removed = d->store->deleteReferenceValues(hardware, release);
                         if (!removed)
                             return removed.error();
                         if (!*removed)
                             return Error{Errc::NotFound,
                                          u"There are no reference values of %1; see: lintelctl reference list"_s.arg(
                                              shown(hardware, release))};
                         return {};
                     });
}

Result<Device> Authority::setHardware(const QString &which, const QString &hardware, const QString &release,
                                      const Actor &actor)
{
    auto device = d->findDevice(which);
    if (!device)
        return device;
    if (device->state == DeviceState::Revoked)
        return Error{Errc::Conflict, u"%1 is revoked; it has no boot to judge."_s.arg(device->spiffeId.toString())};
    device->facts.hardware = hardware;
    device->facts.release = release;
    if (const auto checked = checkFacts({u"x"_s, {}, {}, {}, {}, hardware, release}); !checked)
        return checked.error();
    const auto changed = d->change(actor, u"device.hardware"_s, device->spiffeId.toString(),
                                   hardware.isEmpty() ? u"No hardware."_s : u"%1."_s.arg(shown(hardware, release)),
                                   [&] { return d->store->updateDevice(*device); });
    return changed ? device : Result<Device>(changed.error());
}

Result<ReferenceValues> Authority::acceptBoot(const QString &which, const QString &hardware, const QString &release,
                                              bool replaces, const Actor &actor)
{
    auto device = d->findDevice(which);
    if (!device)
        return device.error();
    const QString who = device->spiffeId.toString();
    const auto conflict = [](const QString &message) { return Error{Errc::Conflict, message}; };
    if (device->state != DeviceState::Approved)
        return conflict(u"%1 is not an approved device; its boot says nothing."_s.arg(which));
    if (!hardware.isEmpty())
        device->facts.hardware = hardware;
    if (!hardware.isEmpty() || !release.isEmpty())
        device->facts.release = release;
    const DeviceFacts &facts = device->facts;
    if (facts.hardware.isEmpty())
        return Error{Errc::Malformed, u"Nobody has said which hardware %1 is; say it with --hardware."_s.arg(who)};
    if (const auto checked = checkFacts(facts); !checked)
        return checked.error();
    if (device->attestedAt == Timestamp{} || device->verdict == BootVerdict::NotMeasured)
        return conflict(u"%1 has shown no measured boot that could be accepted."_s.arg(who));
    if (device->verdict == BootVerdict::LogContradicts)
        return conflict(
            u"The event log of %1 tells another boot than its registers, so nobody knows what there would be "
            "to accept; see: lintelctl device history %2"_s.arg(who, facts.name));
    ReferenceValues values{facts.hardware, facts.release, {}};
    const auto known = d->store->referenceValues();
    if (!known)
        return known.error();
    for (const ReferenceValues &one : *known)
        if (!replaces && one.hardware == values.hardware && one.release == values.release)
            values.pcrs = one.pcrs;
    const bool isFirst = values.pcrs.isEmpty();
    for (auto it = device->pcrs.cbegin(); it != device->pcrs.cend(); ++it) {
        // A register that others of the kind need not have is none of the reference's.
        if (!isFirst && !values.pcrs.contains(it.key()))
            continue;
        QList<QByteArray> &alternatives = values.pcrs[it.key()];
        if (!alternatives.contains(it.value()))
            alternatives.append(it.value());
        if (alternatives.size() > kMostAlternatives)
            return Error{Errc::Full,
                         u"PCR %1 of %2 has %3 accepted values already; replace them (--replace)."_s.arg(it.key())
                             .arg(shown(values.hardware, values.release))
                             .arg(kMostAlternatives)};
    }
    const auto done = d->change(actor, u"device.acceptBoot"_s, who,
                                u"Its boot of %1 is the reference of %2%3."_s.arg(
                                    toIso8601(device->attestedAt), shown(values.hardware, values.release),
                                    isFirst ? QString() : u", beside those before"_s),
                                [&]() -> Result<void> {
                                    if (auto put = d->store->putReferenceValues(values); !put)
                                        return put;
                                    return d->store->updateDevice(*device);
                                });
    return done ? Result<ReferenceValues>(values) : done.error();
}

Result<QList<AttestationRecord>> Authority::attestations(const QString &ekHash, int newest)
{
    return d->store->attestations(ekHash.toLower(), qBound(1, newest, 1'000));
}

// --- Refusals ------------------------------------------------------------------------------------

void Authority::noteRefusal(const QString &address, const QString &subject, const QString &reason)
{
    d->refusalLog.add(address, subject, reason, d->now());
}

Result<QList<Refusal>> Authority::refusals(int newest)
{
    const int most = qBound(1, newest, 10'000);
    QList<Refusal> all = d->refusalLog.all();
    std::reverse(all.begin(), all.end());
    const auto stored = d->store->refusals(most);
    if (!stored)
        return stored.error();
    all.append(*stored);
    all.resize(qMin<qsizetype>(all.size(), most));
    return all;
}

/// The caller holds a transaction, and clears the log once that is on disk.
Result<void> Authority::Private::storeRefusals(bool isDue)
{
    return isDue && !refusalLog.isEmpty() ? store->addRefusals(refusalLog.all()) : Result<void>();
}

bool Authority::Private::refusalsAreDue() const
{
    return now() - refusalsStoredAt >= kRefusalsEvery || now() < refusalsStoredAt;
}

} // namespace lintel::authority
