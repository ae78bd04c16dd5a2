#include "process/own_identity.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

class GivenIdentity final : public IdentitySource
{
public:
    void give(const QString &id)
    {
        IdentitySnapshot snapshot;
        snapshot.svid.id = *SpiffeId::parse(id);
        snapshot.svid.notAfter = trustedNow() + std::chrono::hours{1};
        m_current = std::make_shared<const IdentitySnapshot>(std::move(snapshot));
        Q_EMIT svidChanged();
    }
    [[nodiscard]] Result<std::shared_ptr<const IdentitySnapshot>> current() const override
    {
        if (!m_current)
            return Error{Errc::NotFound, u"nothing there yet"_s};
        return m_current;
    }
    [[nodiscard]] IdentityStatus status() const override
    {
        IdentityStatus status = IdentitySource::status();
        status.attestation = u"given"_s;
        return status;
    }

private:
    std::shared_ptr<const IdentitySnapshot> m_current;
};

const QString kSelf = u"spiffe://building-1.smart.local/agent/hvac-001"_s;
const QString kOther = u"spiffe://building-1.smart.local/agent/other"_s;

} // namespace

class TestOwnIdentity : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void current_isNoneWhileAnothersCertificateLiesThere()
    {
        auto source = std::make_unique<GivenIdentity>();
        GivenIdentity &given = *source;
        OwnIdentity own(std::move(source), *SpiffeId::parse(kSelf));
        QSignalSpy changed(&own, &IdentitySource::svidChanged);
        QSignalSpy bundles(&own, &IdentitySource::bundlesChanged);
        QList<Error> refusals;
        connect(&own, &OwnIdentity::refused, this, [&refusals](const Error &why) { refusals.append(why); });
        QCOMPARE(own.current().error().code, Errc::NotFound);

        given.give(kSelf);
        QCOMPARE(changed.count(), 1);
        QVERIFY(own.current());
        QCOMPARE(own.status().state, IdentityStatus::State::Valid);
        QCOMPARE(own.status().attestation, u"given"_s);
        QVERIFY(refusals.isEmpty());

        given.give(kOther);
        QCOMPARE(changed.count(), 2); // whoever is connected has to look again
        QCOMPARE(own.current().error().code, Errc::Denied);
        QCOMPARE(refusals.size(), 1);
        QCOMPARE(
            refusals.first().message,
            u"The certificate in identity.directory belongs to %1, but this agent is %2 (agent.spiffe_id); correct one of them."_s
                .arg(kOther, kSelf));
        QCOMPARE(own.status().state, IdentityStatus::State::Waiting);
        QCOMPARE(own.status().sentence, refusals.first().message);

        given.give(kSelf);
        QCOMPARE(changed.count(), 3);
        QVERIFY(own.current());
        QCOMPARE(refusals.size(), 1);
        Q_EMIT given.bundlesChanged();
        QCOMPARE(bundles.count(), 1);
    }
};

QTEST_GUILESS_MAIN(TestOwnIdentity)
#include "tst_own_identity.moc"
