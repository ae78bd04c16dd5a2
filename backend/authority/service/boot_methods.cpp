// What devices have measured, what they should have measured, and who was turned away.
#include "authority/service/authority_service.h"
#include "authority/service/conversions.h"
#include "spire/server_methods.h"

namespace lintel::authority {

using namespace Qt::StringLiterals;
namespace method = spire::method;
using spire::textOf;

namespace {
constexpr int kDefaultAttestations = 20;
constexpr int kMostEvidence = 3; // an event log may be 1 MiB, a message 4 MiB
constexpr int kDefaultRefusals = 1'000;
} // namespace

void AuthorityService::serveBootMethods()
{
    forAdministrators(method::admin("SetHardware"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<wire::DeviceRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const DeviceFacts facts = factsOf(request->enrolment());
        const auto device = m_authority.setHardware(textOf(request->device()), facts.hardware, facts.release, actor);
        if (!device)
            return refusal(device.error());
        wire::Device response;
        fill(&response, *device);
        return reply(response);
    });
    forAdministrators(method::admin("AcceptBoot"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<wire::AcceptBootRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto values = m_authority.acceptBoot(textOf(request->device()), textOf(request->hardware()),
                                                   textOf(request->release()), request->replace(), actor);
        if (!values)
            return refusal(values.error());
        wire::ReferenceValues response;
        fill(&response, *values);
        return reply(response);
    });
    forAdministrators(method::admin("ListAttestations"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<wire::ListAttestationsRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto device = m_authority.device(textOf(request->device()));
        if (!device)
            return refusal(device.error());
        int newest = request->newest() > 0 ? request->newest() : kDefaultAttestations;
        if (request->evidence())
            newest = std::min(newest, kMostEvidence);
        // A device without a chip has none; its hash is empty, as is that of nobody's attestation.
        const auto records = m_authority.attestations(device->ekHash, newest);
        if (!records)
            return refusal(records.error());
        wire::ListAttestationsResponse response;
        for (const AttestationRecord &record : *records)
            fill(response.add_attestations(), record, request->evidence());
        return reply(response);
    });
    forAdministrators(method::admin("SetReferenceValues"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<wire::ReferenceValues>(bytes);
        if (!request)
            return refusal(request.error());
        const auto done = m_authority.setReferenceValues(referenceOf(*request), actor);
        return done ? replyNothing() : refusal(done.error());
    });
    forAdministrators(method::admin("RemoveReferenceValues"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<wire::ReferenceValues>(bytes);
        if (!request)
            return refusal(request.error());
        const auto done =
            m_authority.removeReferenceValues(textOf(request->hardware()), textOf(request->release()), actor);
        return done ? replyNothing() : refusal(done.error());
    });
    forAdministrators(method::admin("ListReferenceValues"), [this](const QByteArray &, const Actor &) {
        const auto all = m_authority.referenceValues();
        if (!all)
            return refusal(all.error());
        wire::ReferenceValuesList response;
        for (const ReferenceValues &values : *all)
            fill(response.add_values(), values);
        return reply(response);
    });
    forAdministrators(method::admin("ListRefusals"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<wire::ListRefusalsRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto refusals = m_authority.refusals(request->newest() > 0 ? request->newest() : kDefaultRefusals);
        if (!refusals)
            return refusal(refusals.error());
        wire::ListRefusalsResponse response;
        for (const Refusal &one : *refusals) {
            auto *out = response.add_refusals();
            out->set_address(one.address.toStdString());
            out->set_subject(one.subject.toStdString());
            out->set_reason(one.reason.toStdString());
            out->set_first_at_ms(toEpochMillis(one.firstAt));
            out->set_last_at_ms(toEpochMillis(one.lastAt));
            out->set_count(one.count);
        }
        return reply(response);
    });
}

} // namespace lintel::authority
