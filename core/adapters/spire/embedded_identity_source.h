// The identity of a Lintel process that fetches it itself (provider "embedded"): attests to the
// authority with its TPM, gets its SVID for a key that stays in the chip, repeats that in full at
// half life, keeps serving while the authority is away, and drops the SVID at its end.
//
// The object lives on the thread that made it, where its signals come; the work (network, chip)
// happens on a thread of its own, which ends with it. current(), status() and trustedNow() may be
// called from any thread.
#pragma once

#include "identity/svid_keeper.h"
#include "ports/attestor.h"
#include "ports/identity_source.h"
#include "tls/bundle_document.h"

#include <QHash>
#include <QThread>

#include <functional>
#include <memory>

namespace lintel::spire {

struct EmbeddedIdentityOptions {
    QString authority; // host:port
    SpiffeId authorityId;
    SpiffeId self;           // the SVID that this process shall have
    QString stateDir;        // bundles, time floor, the SVID's chain, software agents' keys; made 0700
    QString bootstrapBundle; // file, PEM or SPIFFE JSON: whom to believe the first time
    /// Runs on the identity's own thread, before each errand until it succeeds; the chip may come
    /// later than the process.
    std::function<Result<std::unique_ptr<Attestor>>()> makeAttestor;
    RenewalPolicy renewal;
    quint32 seed = 0; // spreads renewals
};

class EmbeddedIdentitySource final : public IdentitySource
{
    Q_OBJECT
public:
    /// `clock` outlives it and is safe to read from any thread. Begins at once.
    EmbeddedIdentitySource(EmbeddedIdentityOptions options, const Clock &clock, QObject *parent = nullptr);
    ~EmbeddedIdentitySource() override;

    [[nodiscard]] Result<std::shared_ptr<const IdentitySnapshot>> current() const override;
    [[nodiscard]] IdentityStatus status() const override;
    [[nodiscard]] Timestamp trustedNow() const override;

    /// How late it is by what this identity knows; lives as long as the source. To read, from any thread.
    [[nodiscard]] const TimeFloor &time() const;

    /// The bundles as they were fetched, with their JWT keys. Any thread.
    [[nodiscard]] QHash<TrustDomain, tls::BundleDocument> documents() const;
    /// What this process is to the authority: for calls to it beside the errands. Any thread.
    [[nodiscard]] Result<X509Svid> agentSvid() const;

    /// Fetches now instead of at the next renewal.
    void hurry();

Q_SIGNALS:
    /// Why an errand failed; once per new sentence.
    void problemFound(const lintel::Error &problem);
    /// The first errand that succeeded after one that had failed.
    void problemSolved();

private:
    struct Shared;
    class Worker;
    std::shared_ptr<Shared> m_shared;
    QThread m_thread;
    Worker *m_worker = nullptr; // lives on m_thread
};

} // namespace lintel::spire
