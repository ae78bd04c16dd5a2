// What the authority's tests share: devices that have attested, and looks at a result.
#pragma once

#include "fakes/authority_fixture.h"

#include <QTest>

// Each looks at its expression once.
#define VERIFY_OK(expression)                                                                                          \
    do {                                                                                                               \
        const auto &outcome_ = (expression);                                                                           \
        QVERIFY2(bool(outcome_), outcome_ ? "" : qPrintable(outcome_.error().message));                                \
    } while (false)
#define VERIFY_ERROR(expression, errc)                                                                                 \
    do {                                                                                                               \
        const auto &outcome_ = (expression);                                                                           \
        QVERIFY(!outcome_);                                                                                            \
        QCOMPARE(outcome_.error().code, errc);                                                                         \
        QVERIFY(!outcome_.error().message.isEmpty());                                                                  \
    } while (false)

namespace lintel::test {

inline authority::DeviceFacts factsOf(const QString &name)
{
    return {
        name, QStringLiteral("sensor"), QStringLiteral("building-1"), QStringLiteral("roof"), {QStringLiteral("hvac")}};
}

/// Enrolled, attested and checked: an agent ready to ask.
struct Attested {
    DeviceKey key;
    authority::Agent agent;
    authority::Entry entry;

    explicit Attested(AuthorityFixture &f, int number = 1, const QString &name = QStringLiteral("hvac-001"))
    {
        (void)f.authority->enroll(ekHashOf(number), factsOf(name), f.actor);
        const auto svid = f.authority->attest(f.node(ekHashOf(number), key));
        if (!svid)
            return;
        agent = f.authority->checkAgent(svid->svid.chainDer.first()).agent;
        const auto entries = f.authority->authorizedEntries(agent);
        if (entries && !entries->isEmpty())
            entry = entries->first();
    }
    Result<authority::IssuedSvid> issue(AuthorityFixture &f, const QByteArray &csr) const
    {
        const auto results = f.authority->issueX509(agent, {{entry.id, csr}});
        return results ? results->first() : results.error();
    }
};

} // namespace lintel::test
