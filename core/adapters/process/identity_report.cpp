#include "process/identity_report.h"

namespace lintel::service {

using namespace Qt::StringLiterals;

namespace {

// Between the two looks at the clock.
constexpr Millis kClockSlack{2'000};

QString nameOf(IdentityStatus::State state)
{
    switch (state) {
    case IdentityStatus::State::Waiting: return u"waiting"_s;
    case IdentityStatus::State::Valid: return u"valid"_s;
    case IdentityStatus::State::Overdue: return u"overdue"_s;
    case IdentityStatus::State::Expired: break;
    }
    return u"expired"_s;
}

QList<Credential> credentialsOf(const IdentitySource &identity, const IdentityStatus &status)
{
    QList<Credential> credentials;
    const auto current = identity.current();
    const QString who = current ? (*current)->svid.id.toString() : u"this agent"_s;
    // Files renew themselves only if somebody writes new ones.
    const bool isRenewed = status.state == IdentityStatus::State::Valid && status.attestation != "files"_L1;
    if (status.expiresAt > Timestamp{})
        credentials.append({u"SVID of %1"_s.arg(who), status.expiresAt, isRenewed});
    if (current && status.issuerExpiresAt > Timestamp{})
        credentials.append({u"issuer of %1"_s.arg((*current)->svid.id.trustDomain().name()), status.issuerExpiresAt});
    return credentials;
}

} // namespace

TrustSummary trustSummary(const IdentitySource &identity, const Clock &clock, const QList<Credential> &others)
{
    const Timestamp trusted = identity.trustedNow();
    TrustSummary summary;
    summary.runway = trustRunway(credentialsOf(identity, identity.status()) + others, trusted);
    summary.clock = trusted > clock.now() + kClockSlack ? u"floor"_s
                    : isPlausible(clock.now())          ? u"trusted"_s
                                                        : u"never set"_s;
    return summary;
}

QCborMap identityReport(const IdentitySource &identity, const QList<Credential> &others)
{
    const IdentityStatus status = identity.status();
    QCborMap report{
        {"state"_L1, nameOf(status.state)},         {"sentence"_L1, status.sentence},
        {"attestation"_L1, status.attestation},     {"proof"_L1, status.proof},
        {"bound_to_chip"_L1, status.isBoundToChip}, {"rotations"_L1, qint64(status.rotations)},
    };
    if (status.expiresAt > Timestamp{})
        report.insert("expires"_L1, toIso8601(status.expiresAt));
    if (status.issuerExpiresAt > Timestamp{})
        report.insert("issuer_expires"_L1, toIso8601(status.issuerExpiresAt));
    if (const auto runway = trustRunway(credentialsOf(identity, status) + others, identity.trustedNow())) {
        report.insert("runway_ms"_L1, qint64(runway->left.count()));
        report.insert("runway_limited_by"_L1, runway->limitedBy);
    }
    return report;
}

} // namespace lintel::service
