// What every IdentitySource promises, as one suite. A test derives from it, says how to make a source and
// how an authority would give it another SVID or other roots, and runs.
#pragma once

#include "domain/timestamp.h"
#include "ports/identity_source.h"
#include "ports/system_clock.h"
#include "tls/pki.h"
#include "tls/x509.h"

#include <QSignalSpy>
#include <QTest>
#include <QThread>

#include <atomic>
#include <memory>
#include <thread>

namespace lintel {

class IdentitySourceContract : public QObject
{
    Q_OBJECT
protected:
    /// A source that has nothing yet; lives on this thread.
    [[nodiscard]] virtual std::unique_ptr<IdentitySource> make() = 0;
    /// Gives it an SVID and bundles; what it had before is replaced.
    virtual void give(IdentitySource &source, const IdentitySnapshot &snapshot) = 0;
    /// Other bundles with the SVID that it has.
    virtual void giveBundles(IdentitySource &source, const TrustBundles &bundles) = 0;

    [[nodiscard]] IdentitySnapshot snapshot() const
    {
        return {*m_pki.issue(*SpiffeId::parse(u"spiffe://building-1.smart.local/agent/hvac-001"), std::chrono::hours{1},
                             m_now),
                m_bundles};
    }

private Q_SLOTS:
    void current_isAnErrorWithASentenceBeforeTheFirstIdentity()
    {
        const auto source = make();
        const auto current = source->current();
        QVERIFY(!current);
        QVERIFY(!current.error().message.isEmpty());
        QVERIFY(source->status().state != IdentityStatus::State::Valid);
        QVERIFY(!source->status().sentence.isEmpty());
    }

    void firstIdentity_isToldOnceAndComplete()
    {
        const auto source = make();
        const QSignalSpy changed(source.get(), &IdentitySource::svidChanged);
        const IdentitySnapshot mine = snapshot();
        give(*source, mine);
        QTRY_COMPARE(changed.size(), 1);
        const auto current = source->current();
        QVERIFY2(current, current ? "" : qPrintable(current.error().message));
        QVERIFY(*current); // never null
        QCOMPARE((*current)->svid.id, mine.svid.id);
        QCOMPARE((*current)->svid.chainDer, mine.svid.chainDer);
        QVERIFY((*current)->svid.key);
        QCOMPARE(*tls::privateKeyToPem(*(*current)->svid.key), *tls::privateKeyToPem(*mine.svid.key));
        QCOMPARE((*current)->svid.notAfter, mine.svid.notAfter);
        QVERIFY((*current)->bundles == mine.bundles); // of each domain its own, none merged
        QCOMPARE(source->status().state, IdentityStatus::State::Valid);
        QCOMPARE(source->status().expiresAt, mine.svid.notAfter);
    }

    void newSvid_isToldAndOldSnapshotsStayAsTheyWere()
    {
        const auto source = make();
        const IdentitySnapshot first = snapshot();
        give(*source, first);
        QTRY_VERIFY(source->current());
        const auto held = *source->current(); // as a handshake on another thread would
        const QSignalSpy changed(source.get(), &IdentitySource::svidChanged);
        const IdentitySnapshot second = snapshot();
        give(*source, second);
        QTRY_COMPARE((*source->current())->svid.chainDer, second.svid.chainDer);
        QTRY_COMPARE(changed.size(), 1);
        QCOMPARE(held->svid.chainDer, first.svid.chainDer);
    }

    void newRootsAlone_areNoNewSvid()
    {
        const auto source = make();
        const IdentitySnapshot mine = snapshot();
        give(*source, mine);
        QTRY_VERIFY(source->current());
        const QSignalSpy svidChanged(source.get(), &IdentitySource::svidChanged);
        const QSignalSpy bundlesChanged(source.get(), &IdentitySource::bundlesChanged);
        TrustBundles more = m_bundles;
        more[m_pki.domain()].append(tls::Pki::create(m_pki.domain(), m_now)->rootDer());
        giveBundles(*source, more);
        QTRY_COMPARE(bundlesChanged.size(), 1);
        QVERIFY(svidChanged.isEmpty()); // nobody reconnects for it
        QVERIFY((*source->current())->bundles == more);
        QCOMPARE((*source->current())->svid.chainDer, mine.svid.chainDer);
    }

    void signals_comeOnTheThreadThatMadeIt()
    {
        const auto source = make();
        QThread *told = nullptr;
        connect(
            source.get(), &IdentitySource::svidChanged, this, [&told] { told = QThread::currentThread(); },
            Qt::DirectConnection);
        give(*source, snapshot());
        QTRY_VERIFY(told);
        QCOMPARE(told, QThread::currentThread());
    }

    void current_mayBeAskedByOtherThreadsWhileItChanges()
    {
        const auto source = make();
        give(*source, snapshot());
        QTRY_VERIFY(source->current());
        std::atomic<int> whole = 0;
        std::atomic<int> broken = 0;
        {
            std::jthread handshakes([&](const std::stop_token &stop) {
                while (!stop.stop_requested()) {
                    const auto current = source->current();
                    const bool isWhole = current && *current && !(*current)->svid.chainDer.isEmpty()
                                         && (*current)->svid.key && (*current)->bundles.size() == 2
                                         && source->trustedNow() > Timestamp{};
                    ++(isWhole ? whole : broken);
                }
            });
            for (int i = 0; i < 20; ++i) {
                const IdentitySnapshot next = snapshot();
                give(*source, next);
                QTRY_COMPARE((*source->current())->svid.chainDer, next.svid.chainDer);
            }
            QTRY_VERIFY(whole > 0);
        }
        QCOMPARE(broken.load(), 0);
    }

protected:
    const Timestamp m_now = SystemClock().now();
    const tls::Pki m_pki = *tls::Pki::create(*TrustDomain::parse(u"building-1.smart.local"), m_now);
    const tls::Pki m_cloud = *tls::Pki::create(*TrustDomain::parse(u"smart-building.cloud"), m_now);
    const TrustBundles m_bundles{{m_pki.domain(), {m_pki.rootDer()}}, {m_cloud.domain(), {m_cloud.rootDer()}}};
};

} // namespace lintel
