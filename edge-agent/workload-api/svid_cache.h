// The X.509-SVIDs of all workload entries of this host, each with a key of its own that exists in
// memory only: made before anybody asks (a program that starts while the authority is away still
// gets one), renewed with a fresh key at half life, thrown away with its entry, at its end, and when
// the deny list names it.
//
// Owned by the server, on its thread.
#pragma once

#include "ports/backoff.h"
#include "ports/clock.h"
#include "ports/identity_source.h"
#include "tls/deny_list.h"
#include "workload-api/workload_issuer.h"

#include <QObject>
#include <QTimer>

#include <map>
#include <optional>

namespace lintel::workloads {

class SvidCache final : public QObject
{
    Q_OBJECT
public:
    struct Svid {
        QList<QByteArray> chainDer; // leaf first
        QByteArray keyDer;          // PKCS #8
        QString serial;
        Timestamp notBefore{};
        Timestamp notAfter{};
    };

    /// Both outlive it. Entries of `excluded`, the identities of Lintel's own processes, are passed
    /// over: those keys are in a chip and come from nowhere else.
    SvidCache(WorkloadIssuer &issuer, const Clock &clock, QSet<SpiffeId> excluded, QObject *parent = nullptr);

    /// What may be handed out now: entries in their order, without those that are denied.
    [[nodiscard]] QList<WorkloadEntry> entries() const;
    /// Null while there is none; errors say why, as far as something went wrong.
    [[nodiscard]] const Svid *find(const QString &entryId) const;
    [[nodiscard]] QString problemOf(const QString &entryId) const;

    /// The list in force, of the domain that issued it; what it names is gone when this returns.
    void setDenyList(const tls::DenyList &list);
    /// `begin`: of the SVID in question.
    [[nodiscard]] bool isDenied(const SpiffeId &id, const QString &serial, Timestamp begin) const;

    /// Looks at the time and at what the issuer has; by itself after changes and in time.
    void step();

Q_SIGNALS:
    /// Something that may be handed out is another.
    void changed();
    /// Why an SVID could not be had; once per new sentence.
    void problemFound(const lintel::Error &problem);

private:
    struct Record {
        WorkloadEntry entry;
        std::optional<Svid> svid;
        Timestamp renewAt{};
        std::chrono::nanoseconds retryAt{0}; // monotonic
        Backoff backoff{{Millis{1'000}, Millis{30'000}, 0.5, 1.0}};
        quint64 errand = 0; // 0: none under way
        QString problem;
    };

    bool adoptEntries();
    bool dropWhatEnded(Record &record);
    [[nodiscard]] bool isDue(const Record &record) const;
    [[nodiscard]] bool isTrusted(const Record &record) const;
    void issue(Record &record);
    void onIssued(const QString &entryId, quint64 errand, const std::shared_ptr<EVP_PKEY> &key,
                  const Result<QList<QByteArray>> &chainDer);
    [[nodiscard]] Result<Svid> check(const Record &record, const std::shared_ptr<EVP_PKEY> &key,
                                     const QList<QByteArray> &chainDer) const;
    void schedule();

    WorkloadIssuer &m_issuer;
    const Clock &m_clock;
    QSet<SpiffeId> m_excluded;
    std::map<QString, Record> m_records; // by the entry's id
    QHash<TrustDomain, tls::DenyList> m_denied;
    QTimer m_timer;
    quint64 m_lastErrand = 0;
};

} // namespace lintel::workloads
