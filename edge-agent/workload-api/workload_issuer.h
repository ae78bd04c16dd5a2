// Where the Workload API server gets what it hands out: the registration entries of this host, SVIDs
// for them, and trust bundles. SpireWorkloadIssuer is the real one; tests have their own.
//
// Lives on the server's thread, where changed() comes and answers arrive. Answers come later, once,
// and not at all when their context has gone before.
#pragma once

#include "domain/result.h"
#include "domain/spiffe_id.h"
#include "domain/timestamp.h"
#include "tls/bundle_document.h"

#include <QHash>
#include <QObject>
#include <QSet>
#include <QStringList>

#include <functional>

namespace lintel::workloads {

/// "unix:uid:1000": what a process was seen to be, or must be.
using Selectors = QSet<QString>;

struct WorkloadEntry {
    QString id;
    SpiffeId spiffeId;
    Selectors selectors; // a process must have all; an entry without any is for nobody
    QList<TrustDomain> federatesWith;
    QString hint;
    qint64 revision = 0;
    qint64 createdAt = 0; // s; older entries come first

    friend bool operator==(const WorkloadEntry &, const WorkloadEntry &) = default;
};

struct IssuedToken {
    QByteArray token;
    Timestamp issuedAt{};
    Timestamp expiresAt{};
};

class WorkloadIssuer : public QObject
{
    Q_OBJECT
public:
    using QObject::QObject;

    /// Unavailable, with the reason, until entries and the own bundle have come for the first time.
    /// They stay while the authority is away.
    [[nodiscard]] virtual Result<void> ready() const = 0;
    [[nodiscard]] virtual TrustDomain trustDomain() const = 0;
    [[nodiscard]] virtual QList<WorkloadEntry> entries() const = 0;
    /// The own domain's and those that entries federate with, as far as they are known.
    [[nodiscard]] virtual QHash<TrustDomain, tls::BundleDocument> bundles() const = 0;

    /// `csr` PKCS #10, DER. The chain comes leaf first.
    virtual void newX509(const WorkloadEntry &entry, const QByteArray &csr, QObject *context,
                         std::function<void(Result<QList<QByteArray>> chainDer)> done) = 0;
    virtual void newJwt(const WorkloadEntry &entry, const QStringList &audience, QObject *context,
                        std::function<void(Result<IssuedToken>)> done) = 0;

Q_SIGNALS:
    /// Entries, bundles or readiness.
    void changed();
};

} // namespace lintel::workloads
