#include "authority/enrolment_csv.h"
#include "authority/service/authority_service.h"
#include "authority/service/conversions.h"
#include "spire/server_methods.h"

#include <QDir>

namespace lintel::authority {

using namespace Qt::StringLiterals;
namespace method = spire::method;
using spire::bytesOf;
using spire::textOf;

namespace {

constexpr int kMaxPage = 1'000;

const char *wordFor(CaKind kind)
{
    switch (kind) {
    case CaKind::Root: return "root";
    case CaKind::Issuing: return "issuing";
    case CaKind::Jwt: break;
    }
    return "jwt";
}

std::optional<DeviceState> stateFilter(wire::DeviceState state)
{
    switch (state) {
    case wire::PENDING: return DeviceState::Pending;
    case wire::APPROVED: return DeviceState::Approved;
    case wire::REVOKED: return DeviceState::Revoked;
    default: return {};
    }
}

grpc::UnaryReply replyDevice(const Result<Device> &device)
{
    if (!device)
        return refusal(device.error());
    wire::Device response;
    fill(&response, *device);
    return reply(response);
}

} // namespace

grpc::UnaryReply AuthorityService::status()
{
    const auto status = m_authority.status();
    if (!status)
        return refusal(status.error());
    wire::StatusResponse response;
    response.set_trust_domain(status->domain.name().toStdString());
    response.set_version(m_version.toStdString());
    response.set_now_ms(toEpochMillis(m_terms.clock->now()));
    response.set_bundle_sequence(status->bundleSequence);
    response.set_deny_list_sequence(status->denyListSequence);
    response.set_devices(status->approvedDevices);
    response.set_devices_pending(status->pendingDevices);
    response.set_devices_revoked(status->revokedDevices);
    response.set_agents(status->agents);
    response.set_entries(status->entries);
    for (const CaStatus &ca : status->authorities) {
        if (ca.phase != CaPhase::Active)
            continue;
        if (ca.kind == CaKind::Root)
            response.set_root_expires_at_ms(toEpochMillis(ca.notAfter));
        if (ca.kind == CaKind::Issuing)
            response.set_issuing_ca_expires_at_ms(toEpochMillis(ca.notAfter));
    }
    response.set_issuing_key(status->keyStore.toStdString());
    response.set_runway_ms(std::chrono::milliseconds{status->runway.left}.count());
    if (status->runway.first)
        response.set_runway_limited_by(status->runway.first->what.toStdString());
    response.set_svids_signed(status->svidsIssued);
    response.set_attestations_accepted(status->attestations);
    response.set_problem(status->problem.toStdString());
    response.set_clock(status->clockSentence.toStdString());
    return reply(response);
}

grpc::UnaryReply AuthorityService::enroll(const QByteArray &bytes, const Actor &actor)
{
    const auto request = spire::parse<wire::EnrollRequest>(bytes);
    if (!request)
        return refusal(request.error());
    const wire::Enrolment &enrolment = request->enrolment();
    QString hash = textOf(enrolment.ek_hash());
    QString vendor;
    QString finding;
    if (!request->ek_certificate().empty()) {
        const auto ek = tpm::examineEndorsementCertificate(bytesOf(request->ek_certificate()), m_terms.policy,
                                                           m_terms.clock->now());
        if (!ek)
            return refusal(ek.error());
        if (ek->chain == tpm::EndorsementChain::Invalid)
            return refusal({Errc::Denied, ek->chainReason});
        const auto claimed = hash.isEmpty() ? Result<QString>(ek->hash) : parseEkHash(hash);
        if (!claimed)
            return refusal(claimed.error());
        if (*claimed != ek->hash)
            return refusal({Errc::Malformed, u"The hash and the endorsement certificate are of different TPMs."_s});
        hash = ek->hash;
        vendor = ek->maker();
        finding = vendor.isEmpty() ? ek->chainReason : u"The maker of this TPM is known: %1."_s.arg(vendor);
    }
    const auto device = m_authority.enroll(hash, factsOf(enrolment), actor, vendor);
    if (!device)
        return refusal(device.error());
    wire::Device response;
    fill(&response, *device);
    response.set_ek_finding(finding.toStdString());
    return reply(response);
}

grpc::UnaryReply AuthorityService::showDevice(const QByteArray &bytes)
{
    const auto request = spire::parse<wire::DeviceRequest>(bytes);
    if (!request)
        return refusal(request.error());
    const auto device = m_authority.device(textOf(request->device()));
    if (!device)
        return refusal(device.error());
    wire::Device response;
    fill(&response, *device);
    // Fetched together with the SVID of its agent, for as long.
    if (const auto agent = m_authority.agent(device->agentId); agent && !agent->isBanned)
        response.set_svid_expires_at_ms(toEpochMillis(agent->expiresAt));
    return reply(response);
}

grpc::UnaryReply AuthorityService::createToken(const QByteArray &bytes, const Actor &actor)
{
    const auto request = spire::parse<wire::CreateTokenRequest>(bytes);
    if (!request)
        return refusal(request.error());
    const DeviceFacts facts = factsOf(request->enrolment());
    SpiffeId id;
    if (!facts.name.isEmpty()) {
        const auto named = SpiffeId::parse(u"spiffe://%1/agent/%2"_s.arg(m_authority.domain().name(), facts.name));
        if (!named)
            return refusal(named.error());
        id = *named;
    }
    const auto token = m_authority.createToken(std::chrono::seconds{request->ttl_s()}, id, actor, facts);
    if (!token)
        return refusal(token.error());
    wire::CreateTokenResponse response;
    response.set_token(token->token.toStdString());
    response.set_expires_at_ms(toEpochMillis(token->expiresAt));
    if (!id.isEmpty())
        response.set_spiffe_id(id.toString().toStdString());
    return reply(response);
}

void AuthorityService::serveDeviceMethods()
{
    forAdministrators(method::admin("GetStatus"), [this](const QByteArray &, const Actor &) { return status(); });
    forAdministrators(method::admin("AcceptClock"), [this](const QByteArray &, const Actor &actor) {
        const auto accepted = m_authority.acceptClock(actor);
        if (!accepted)
            return refusal(accepted.error());
        wire::ClockAccepted response;
        response.set_before_ms(toEpochMillis(accepted->before));
        response.set_now_ms(toEpochMillis(accepted->now));
        return reply(response);
    });
    forAdministrators(method::admin("Enroll"),
                      [this](const QByteArray &bytes, const Actor &actor) { return enroll(bytes, actor); });
    forAdministrators(method::admin("CreateToken"),
                      [this](const QByteArray &bytes, const Actor &actor) { return createToken(bytes, actor); });
    // The CSV text itself travels, so that its rows are judged in one place.
    forAdministrators(method::admin("EnrollBatch"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<wire::EnrollBatchRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto outcome = m_authority.enrollBatch(bytesOf(request->csv()), actor);
        if (!outcome)
            return refusal(outcome.error());
        wire::EnrollBatchResponse response;
        response.set_enrolled(outcome->enrolled);
        for (const BatchProblem &problem : outcome->problems) {
            auto *one = response.add_problems();
            one->set_line(problem.line);
            one->set_message(problem.message.toStdString());
        }
        return reply(response);
    });
    forAdministrators(method::admin("ListDevices"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<wire::ListDevicesRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto devices = m_authority.devices(stateFilter(request->state()));
        if (!devices)
            return refusal(devices.error());
        const int size = request->page_size() > 0 ? std::min(request->page_size(), kMaxPage) : kMaxPage;
        const auto page = pageOf(devices->size(), size, request->page_token());
        if (!page)
            return refusal(page.error());
        wire::ListDevicesResponse response;
        response.set_next_page_token(page->next);
        for (qsizetype i = page->begin; i < page->end; ++i)
            fill(response.add_devices(), devices->at(i));
        return reply(response);
    });

    using Act = std::function<Result<Device>(const wire::DeviceRequest &, const Actor &)>;
    const auto onDevice = [this](const char *name, Act act) {
        forAdministrators(method::admin(name), [act = std::move(act)](const QByteArray &bytes, const Actor &actor) {
            const auto request = spire::parse<wire::DeviceRequest>(bytes);
            if (!request)
                return refusal(request.error());
            return replyDevice(act(*request, actor));
        });
    };
    forAdministrators(method::admin("GetDevice"),
                      [this](const QByteArray &bytes, const Actor &) { return showDevice(bytes); });
    onDevice("ApproveDevice", [this](const wire::DeviceRequest &request, const Actor &actor) {
        return m_authority.approve(textOf(request.device()), factsOf(request.enrolment()), actor);
    });
    onDevice("RejectDevice", [this](const wire::DeviceRequest &request, const Actor &actor) {
        return m_authority.reject(textOf(request.device()), textOf(request.reason()), actor);
    });
    onDevice("RevokeDevice", [this](const wire::DeviceRequest &request, const Actor &actor) -> Result<Device> {
        const auto report = m_authority.revoke(textOf(request.device()), textOf(request.reason()), actor);
        if (!report)
            return report.error();
        return report->device;
    });
    onDevice("ReattestDevice", [this](const wire::DeviceRequest &request, const Actor &actor) -> Result<Device> {
        if (const auto done = m_authority.reattest(textOf(request.device()), actor, request.allow_weaker()); !done)
            return done.error();
        return m_authority.device(textOf(request.device()));
    });

    forAdministrators(method::admin("Backup"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<wire::BackupRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const QString dir = textOf(request->path());
        if (!QDir::isAbsolutePath(dir))
            return refusal({Errc::Malformed, u"The folder of the backup must be given as an absolute path."_s});
        const auto done = m_authority.backup(dir, actor);
        return done ? replyNothing() : refusal(done.error());
    });
    forAdministrators(method::admin("ListAudit"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<wire::ListAuditRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const int limit = request->limit() > 0 ? std::min(request->limit(), kMaxPage) : kMaxPage;
        const auto records = m_authority.audit(qint64(request->after()), limit, textOf(request->subject()));
        if (!records)
            return refusal(records.error());
        wire::ListAuditResponse response;
        response.set_chain_intact(bool(m_authority.checkAudit(*records)));
        for (const AuditRecord &record : *records) {
            auto *one = response.add_records();
            one->set_seq(quint64(record.number));
            one->set_at_ms(toEpochMillis(record.at));
            one->set_actor(record.actor.toStdString());
            one->set_action(record.action.toStdString());
            one->set_subject(record.subject.toStdString());
            one->set_detail(record.details.toStdString());
            one->set_chain(record.hash.toStdString());
        }
        return reply(response);
    });
    forAdministrators(method::admin("ListAuthorities"), [this](const QByteArray &, const Actor &) {
        const auto status = m_authority.status();
        if (!status)
            return refusal(status.error());
        wire::AuthorityKeys response;
        for (const CaStatus &ca : status->authorities) {
            auto *one = response.add_keys();
            one->set_kind(wordFor(ca.kind));
            one->set_phase(ca.phase == CaPhase::Active ? "active" : ca.phase == CaPhase::Prepared ? "prepared" : "old");
            one->set_label(ca.label.toStdString());
            one->set_not_before_ms(toEpochMillis(ca.notBefore));
            one->set_not_after_ms(toEpochMillis(ca.notAfter));
        }
        return reply(response);
    });
}

} // namespace lintel::authority
