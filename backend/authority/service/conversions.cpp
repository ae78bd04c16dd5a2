#include "authority/service/conversions.h"

#include <QCryptographicHash>

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;
using spire::bytesOf;
using spire::textOf;

namespace {

qint64 seconds(Timestamp t)
{
    return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count();
}

wire::DeviceState stateOf(DeviceState state)
{
    switch (state) {
    case DeviceState::Pending: return wire::PENDING;
    case DeviceState::Approved: return wire::APPROVED;
    case DeviceState::Revoked: break;
    }
    return wire::REVOKED;
}

wire::Verdict verdictOf(BootVerdict verdict)
{
    switch (verdict) {
    case BootVerdict::Matches: return wire::MEASURED;
    case BootVerdict::Differs: return wire::MEASUREMENT_DIFFERS;
    case BootVerdict::LogContradicts: return wire::EVENT_LOG_CONTRADICTS;
    case BootVerdict::NotMeasured:
    case BootVerdict::NoReference: break;
    }
    return wire::IDENTITY_VERIFIED;
}

wire::Verdict verdictOf(const Device &device)
{
    if (device.attestedAt == Timestamp{} || device.enrolledBy == EnrolledBy::JoinToken)
        return wire::NOT_ATTESTED;
    return verdictOf(device.verdict);
}

QString sentenceOf(BootVerdict verdict)
{
    switch (verdict) {
    case BootVerdict::NotMeasured: return u"identity verified, boot not measured"_s;
    case BootVerdict::NoReference: return u"identity verified, boot measured, no reference values to compare with"_s;
    case BootVerdict::Matches: return u"identity verified, boot equals the reference values"_s;
    case BootVerdict::Differs: return u"identity verified, boot differs from the reference values"_s;
    case BootVerdict::LogContradicts:
        return u"identity verified, but the event log tells another boot than the registers"_s;
    }
    return {};
}

QString sentenceOf(const Device &device)
{
    if (device.enrolledBy == EnrolledBy::JoinToken)
        return u"join token and a software key: not attested"_s;
    if (device.state == DeviceState::Pending)
        return u"waits for approval"_s;
    if (device.state == DeviceState::Revoked && device.spiffeId.isEmpty())
        return u"not let in"_s; // rejected while it waited
    if (device.attestedAt == Timestamp{})
        return u"has not attested yet"_s;
    return sentenceOf(device.verdict);
}

} // namespace

Result<TrustDomain> trustDomainOf(const std::string &name)
{
    constexpr auto kScheme = "spiffe://"_L1;
    const QString text = textOf(name);
    return TrustDomain::parse(text.startsWith(kScheme) ? text.sliced(kScheme.size()) : text);
}

grpc::Status statusOf(const Error &error)
{
    using grpc::StatusCode;
    switch (error.code) {
    case Errc::Malformed:
    case Errc::OutOfRange: return {StatusCode::InvalidArgument, error.message, {}};
    case Errc::NotFound: return {StatusCode::NotFound, error.message, {}};
    case Errc::Denied: return {StatusCode::PermissionDenied, error.message, {}};
    case Errc::Unavailable: return {StatusCode::Unavailable, error.message, {}};
    case Errc::Full: return {StatusCode::ResourceExhausted, error.message, {}};
    case Errc::Conflict: return {StatusCode::AlreadyExists, error.message, {}};
    case Errc::Timeout: return {StatusCode::DeadlineExceeded, error.message, {}};
    case Errc::Unsupported: return {StatusCode::FailedPrecondition, error.message, {}};
    case Errc::Io: break;
    }
    return {StatusCode::Internal, error.message, {}};
}

void fill(types::Status *out, const grpc::Status &status)
{
    out->set_code(int(status.code));
    out->set_message(status.isOk() ? "OK" : status.message.toStdString());
}

void fill(types::X509SVID *out, const IssuedSvid &svid)
{
    for (const QByteArray &der : svid.chainDer)
        out->add_cert_chain(der.toStdString());
    spire::setSpiffeId(out->mutable_id(), svid.id);
    out->set_expires_at(seconds(svid.notAfter));
}

void fill(types::JWTSVID *out, const JwtIssued &jwt)
{
    out->set_token(jwt.token.toStdString());
    spire::setSpiffeId(out->mutable_id(), jwt.svid.id);
    out->set_expires_at(seconds(jwt.svid.expiresAt));
    out->set_issued_at(seconds(jwt.svid.issuedAt));
}

void fill(types::Agent *out, const Agent &agent, const types::AgentMask *mask)
{
    spire::setSpiffeId(out->mutable_id(), agent.id);
    if (!mask || mask->attestation_type())
        out->set_attestation_type(agent.attestationType.toStdString());
    if (!mask || mask->x509svid_serial_number())
        out->set_x509svid_serial_number(agent.serial.toStdString());
    if (!mask || mask->x509svid_expires_at())
        out->set_x509svid_expires_at(seconds(agent.expiresAt));
    if (!mask || mask->banned())
        out->set_banned(agent.isBanned);
    if (!mask || mask->can_reattest())
        out->set_can_reattest(agent.canReattest);
    if (!mask || mask->agent_version())
        out->set_agent_version(agent.version.toStdString());
    if (mask && !mask->selectors())
        return;
    for (const Selector &selector : agent.selectors) {
        auto *one = out->add_selectors();
        one->set_type(selector.type.toStdString());
        one->set_value(selector.value.toStdString());
    }
}

void fill(types::Entry *out, const Entry &entry, const types::EntryMask *mask)
{
    const auto wants = [mask](bool (types::EntryMask::*field)() const) { return !mask || (mask->*field)(); };
    out->set_id(entry.id.toStdString());
    if (wants(&types::EntryMask::spiffe_id))
        spire::setSpiffeId(out->mutable_spiffe_id(), entry.spiffeId);
    if (wants(&types::EntryMask::parent_id))
        spire::setSpiffeId(out->mutable_parent_id(), entry.parentId);
    if (wants(&types::EntryMask::selectors)) {
        for (const Selector &selector : entry.selectors) {
            auto *one = out->add_selectors();
            one->set_type(selector.type.toStdString());
            one->set_value(selector.value.toStdString());
        }
    }
    if (wants(&types::EntryMask::x509_svid_ttl))
        out->set_x509_svid_ttl(int(entry.x509Ttl.count()));
    if (wants(&types::EntryMask::jwt_svid_ttl))
        out->set_jwt_svid_ttl(int(entry.jwtTtl.count()));
    if (wants(&types::EntryMask::federates_with)) {
        for (const TrustDomain &domain : entry.federatesWith)
            out->add_federates_with(domain.name().toStdString());
    }
    if (wants(&types::EntryMask::dns_names)) {
        for (const QString &name : entry.dnsNames)
            out->add_dns_names(name.toStdString());
    }
    if (wants(&types::EntryMask::admin))
        out->set_admin(entry.admin);
    if (wants(&types::EntryMask::downstream))
        out->set_downstream(entry.downstream);
    if (wants(&types::EntryMask::expires_at) && entry.expiresAt != Timestamp{})
        out->set_expires_at(seconds(entry.expiresAt));
    if (wants(&types::EntryMask::revision_number))
        out->set_revision_number(entry.revision);
    if (wants(&types::EntryMask::store_svid))
        out->set_store_svid(entry.storeSvid);
    if (wants(&types::EntryMask::hint))
        out->set_hint(entry.hint.toStdString());
    if (wants(&types::EntryMask::created_at))
        out->set_created_at(seconds(entry.createdAt));
}

void fill(types::Bundle *out, const TrustDomain &domain, const tls::BundleDocument &bundle,
          const types::BundleMask *mask)
{
    out->set_trust_domain(domain.name().toStdString());
    if (!mask || mask->x509_authorities()) {
        for (const QByteArray &der : bundle.x509Authorities)
            out->add_x509_authorities()->set_asn1(der.toStdString());
    }
    if (!mask || mask->jwt_authorities()) {
        for (const tls::JwtAuthority &key : bundle.jwtAuthorities) {
            auto *one = out->add_jwt_authorities();
            one->set_key_id(key.keyId.toStdString());
            one->set_public_key(key.publicKeyDer.toStdString());
        }
    }
    if (!mask || mask->refresh_hint())
        out->set_refresh_hint(bundle.refreshHint.value_or(std::chrono::seconds{0}).count());
    if (!mask || mask->sequence_number())
        out->set_sequence_number(bundle.sequence.value_or(0));
}

void fill(types::FederationRelationship *out, const FederationRelationship &relationship)
{
    out->set_trust_domain(relationship.domain.name().toStdString());
    out->set_bundle_endpoint_url(relationship.url.toStdString());
    if (relationship.profile == EndpointProfile::HttpsWeb)
        out->mutable_https_web();
    else
        out->mutable_https_spiffe()->set_endpoint_spiffe_id(relationship.endpointId.toString().toStdString());
}

void fill(wire::Device *out, const Device &device)
{
    out->set_ek_hash(device.ekHash.toStdString());
    out->set_spiffe_id(device.spiffeId.isEmpty() ? std::string() : device.spiffeId.toString().toStdString());
    out->set_name(device.facts.name.toStdString());
    out->set_kind(device.facts.kind.toStdString());
    out->set_site(device.facts.site.toStdString());
    out->set_space(device.facts.space.toStdString());
    for (const QString &tag : device.facts.tags)
        out->add_tags(tag.toStdString());
    out->set_state(stateOf(device.state));
    out->set_verdict(verdictOf(device));
    out->set_verdict_reason(sentenceOf(device).toStdString());
    const QString path = device.agentId.path(); // /spire/agent/<type>/<what>
    const bool hasProved = device.attestedAt != Timestamp{} || device.enrolledBy == EnrolledBy::JoinToken;
    if (hasProved)
        out->set_attestation_type(path.section(u'/', 3, 3).toStdString());
    for (auto it = device.pcrs.cbegin(); it != device.pcrs.cend(); ++it)
        (*out->mutable_pcrs())[quint32(it.key())] = it.value().toStdString();
    out->set_enrolled_at_ms(toEpochMillis(device.enrolledAt));
    out->set_attested_at_ms(toEpochMillis(device.attestedAt));
    out->set_revoked_at_ms(toEpochMillis(device.revokedAt));
    out->set_last_accepted_at_ms(toEpochMillis(device.lastAcceptedAt));
    out->set_revoke_reason(device.revokedWhy.toStdString());
    out->set_ek_issuer(device.vendor.toStdString());
    out->set_hardware(device.facts.hardware.toStdString());
    out->set_release(device.facts.release.toStdString());
    out->set_key_in_tpm(device.keyIsInTpm);
}

void fill(wire::ReferenceValues *out, const ReferenceValues &values)
{
    out->set_hardware(values.hardware.toStdString());
    out->set_release(values.release.toStdString());
    for (auto it = values.pcrs.cbegin(); it != values.pcrs.cend(); ++it) {
        auto *one = out->add_registers();
        one->set_number(quint32(it.key()));
        for (const QByteArray &value : it.value())
            one->add_values(value.toStdString());
        if (!it.value().isEmpty())
            (*out->mutable_pcrs())[quint32(it.key())] = it.value().first().toStdString();
    }
}

ReferenceValues referenceOf(const wire::ReferenceValues &values)
{
    ReferenceValues out{textOf(values.hardware()), textOf(values.release()), {}};
    const auto add = [&out](quint32 number, const std::string &digest) {
        // A number beyond any register is refused where all of them are looked at.
        QList<QByteArray> &alternatives = out.pcrs[int(std::min(number, 255U))];
        if (!alternatives.contains(bytesOf(digest)))
            alternatives.append(bytesOf(digest));
    };
    for (const auto &[number, digest] : values.pcrs())
        add(number, digest);
    for (const auto &one : values.registers())
        for (const std::string &digest : one.values())
            add(one.number(), digest);
    return out;
}

void fill(wire::ListAttestationsResponse::Attestation *out, const AttestationRecord &record, bool withEvidence)
{
    out->set_at_ms(toEpochMillis(record.at));
    out->set_agent_id(record.agentId.toString().toStdString());
    out->set_address(record.address.toStdString());
    out->set_verdict(verdictOf(record.verdict));
    out->set_verdict_text(sentenceOf(record.verdict).toStdString());
    out->set_reason(record.reason.toStdString());
    out->set_change(record.change.toStdString());
    for (auto it = record.pcrs.cbegin(); it != record.pcrs.cend(); ++it)
        (*out->mutable_pcrs())[quint32(it.key())] = it.value().toStdString();
    if (!record.eventLog.isEmpty())
        out->set_event_log_sha256(QCryptographicHash::hash(record.eventLog, QCryptographicHash::Sha256).toStdString());
    if (!withEvidence)
        return;
    out->set_quote(record.quote.toStdString());
    out->set_quote_signature(record.quoteSignature.toStdString());
    out->set_event_log(record.eventLog.toStdString());
}

Selectors selectorsOf(const google::protobuf::RepeatedPtrField<types::Selector> &selectors)
{
    Selectors list;
    for (const types::Selector &selector : selectors)
        list.append({textOf(selector.type()), textOf(selector.value())});
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    return list;
}

Result<Entry> entryOf(const types::Entry &entry)
{
    Entry out;
    out.id = textOf(entry.id());
    if (entry.has_spiffe_id()) {
        const auto id = spire::spiffeIdOf(entry.spiffe_id());
        if (!id)
            return id.error();
        out.spiffeId = *id;
    }
    if (entry.has_parent_id()) {
        const auto id = spire::spiffeIdOf(entry.parent_id());
        if (!id)
            return id.error();
        out.parentId = *id;
    }
    out.selectors = selectorsOf(entry.selectors());
    out.x509Ttl = std::chrono::seconds{entry.x509_svid_ttl()};
    out.jwtTtl = std::chrono::seconds{entry.jwt_svid_ttl()};
    out.hint = textOf(entry.hint());
    for (const std::string &name : entry.dns_names())
        out.dnsNames.append(textOf(name));
    for (const std::string &name : entry.federates_with()) {
        const auto domain = trustDomainOf(name);
        if (!domain)
            return domain.error();
        out.federatesWith.append(*domain);
    }
    out.admin = entry.admin();
    out.downstream = entry.downstream();
    out.storeSvid = entry.store_svid();
    if (entry.expires_at() > 0)
        out.expiresAt = Timestamp{std::chrono::seconds{entry.expires_at()}};
    return out;
}

Entry merged(const Entry &known, const Entry &fresh, const types::EntryMask *mask)
{
    Entry out = fresh;
    out.id = known.id;
    out.keyBound = known.keyBound;
    out.createdAt = known.createdAt;
    out.revision = known.revision;
    if (!mask)
        return out;
    if (!mask->spiffe_id())
        out.spiffeId = known.spiffeId;
    if (!mask->parent_id())
        out.parentId = known.parentId;
    if (!mask->selectors())
        out.selectors = known.selectors;
    if (!mask->x509_svid_ttl())
        out.x509Ttl = known.x509Ttl;
    if (!mask->jwt_svid_ttl())
        out.jwtTtl = known.jwtTtl;
    if (!mask->hint())
        out.hint = known.hint;
    if (!mask->dns_names())
        out.dnsNames = known.dnsNames;
    if (!mask->federates_with())
        out.federatesWith = known.federatesWith;
    if (!mask->admin())
        out.admin = known.admin;
    if (!mask->downstream())
        out.downstream = known.downstream;
    if (!mask->store_svid())
        out.storeSvid = known.storeSvid;
    if (!mask->expires_at())
        out.expiresAt = known.expiresAt;
    return out;
}

Result<tls::BundleDocument> bundleOf(const types::Bundle &bundle)
{
    tls::BundleDocument out;
    for (const auto &certificate : bundle.x509_authorities()) {
        const QByteArray der = bytesOf(certificate.asn1());
        if (const auto facts = tls::issuerFacts(der); !facts)
            return facts.error();
        out.x509Authorities.append(der);
    }
    for (const auto &key : bundle.jwt_authorities())
        out.jwtAuthorities.append({textOf(key.key_id()), bytesOf(key.public_key())});
    if (bundle.sequence_number() > 0)
        out.sequence = bundle.sequence_number();
    if (bundle.refresh_hint() > 0)
        out.refreshHint = std::chrono::seconds{bundle.refresh_hint()};
    return out;
}

Result<FederationRelationship> relationshipOf(const types::FederationRelationship &relationship)
{
    FederationRelationship out;
    const auto domain = trustDomainOf(relationship.trust_domain());
    if (!domain)
        return domain.error();
    out.domain = *domain;
    out.url = textOf(relationship.bundle_endpoint_url());
    if (!out.url.startsWith("https://"_L1))
        return Error{Errc::Malformed, u"The bundle endpoint of %1 must be an https:// address."_s.arg(domain->name())};
    if (relationship.has_https_web()) {
        out.profile = EndpointProfile::HttpsWeb;
        return out;
    }
    if (!relationship.has_https_spiffe())
        return Error{Errc::Malformed,
                     u"The federation with %1 names no profile (https_web or https_spiffe)."_s.arg(domain->name())};
    const auto id = SpiffeId::parse(textOf(relationship.https_spiffe().endpoint_spiffe_id()));
    if (!id)
        return id.error();
    out.endpointId = *id;
    return out;
}

DeviceFacts factsOf(const wire::Enrolment &enrolment)
{
    DeviceFacts facts;
    facts.name = textOf(enrolment.name());
    facts.kind = textOf(enrolment.kind());
    facts.site = textOf(enrolment.site());
    facts.space = textOf(enrolment.space());
    for (const std::string &tag : enrolment.tags())
        facts.tags.append(textOf(tag));
    facts.hardware = textOf(enrolment.hardware());
    facts.release = textOf(enrolment.release());
    return facts;
}

Result<Page> pageOf(qsizetype count, int size, const std::string &token)
{
    Page page{0, count, {}};
    if (!token.empty()) {
        bool ok = false;
        page.begin = QByteArray::fromStdString(token).toLongLong(&ok);
        if (!ok || page.begin < 0)
            return Error{Errc::Malformed, u"That is no page token of this authority."_s};
        page.begin = std::min(page.begin, count);
    }
    if (size > 0 && count - page.begin > size) {
        page.end = page.begin + size;
        page.next = std::to_string(page.end);
    }
    return page;
}

QString hostOf(const QString &address)
{
    return address.section(u':', 0, -2);
}

} // namespace lintel::authority
