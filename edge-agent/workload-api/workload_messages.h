// The messages of the SPIFFE Workload API, written and read. Equal contents are equal bytes, so a
// stream can tell whether something is new. Pure functions; any thread.
#pragma once

#include "domain/result.h"
#include "domain/spiffe_id.h"
#include "tls/bundle_document.h"

#include <QHash>
#include <QJsonObject>
#include <QStringList>

namespace lintel::workloads {

struct HandedSvid {
    SpiffeId id;
    QList<QByteArray> chainDer;
    QByteArray keyDer;
    QString hint;
};
struct HandedToken {
    SpiffeId id;
    QByteArray token;
    QString hint;
};
using Bundles = QHash<TrustDomain, tls::BundleDocument>;

/// SPIFFE_Workload_API.md section 5.2.1. `bundles` holds each SVID's own domain.
[[nodiscard]] QByteArray x509SvidResponse(const QList<HandedSvid> &svids, const Bundles &bundles);
/// Domains without X.509 roots (or JWT keys) are left out: clients refuse empty bundles.
[[nodiscard]] QByteArray x509BundlesResponse(const Bundles &bundles);
[[nodiscard]] Result<QByteArray> jwtBundlesResponse(const Bundles &bundles);

struct TokenQuestion {
    QStringList audience;
    QString spiffeId; // empty: all
};
[[nodiscard]] Result<TokenQuestion> readTokenQuestion(const QByteArray &message);
[[nodiscard]] QByteArray tokenAnswer(const QList<HandedToken> &tokens);

struct ValidationQuestion {
    QString audience;
    QByteArray token;
};
[[nodiscard]] Result<ValidationQuestion> readValidationQuestion(const QByteArray &message);
[[nodiscard]] QByteArray validationAnswer(const SpiffeId &id, const QJsonObject &claims);

/// Of FetchX509SVID and the like, which have no fields: any message that can be parsed.
[[nodiscard]] Result<void> readEmptyQuestion(const QByteArray &message);

} // namespace lintel::workloads
