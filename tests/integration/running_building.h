// The demo's building, run by a test: real mosquittos, gateway, backend and sensors from
// LINTEL_BIN_DIR on free ports, and calls to gateway and backend. With TPMs in its plan also authorities,
// software TPMs and our plugin in both brokers; its own certificates it renews then, as the demo does.
// Ends everything with itself.
// Thread: the one that made it, with an event loop.
#pragma once

#include "broker_connection.h"
#include "demo/building.h"
#include "demo/final_state.h"

#include <QCborMap>
#include <QFile>
#include <QTemporaryDir>
#include <QTest>
#include <QTimer>

#include <memory>

namespace lintel::test {

class RunningBuilding
{
public:
    explicit RunningBuilding(demo::DemoPlan plan)
    {
        plan.root = QDir(m_dir.path());
        building = std::make_unique<demo::Building>(std::move(plan));
        QObject::connect(building.get(), &demo::Building::processDied, building.get(),
                         [this](const QString &, const QString &sentence) { deaths << sentence; });
    }

    /// Empty when all is well, or what went wrong.
    [[nodiscard]] QString start()
    {
        qputenv("PATH", QByteArray(LINTEL_BIN_DIR) + ':' + qgetenv("PATH"));
        if (const auto made = building->makeIdentities(); !made)
            return made.error().message;
        if (const auto started = building->startBrokers(); !started)
            return started.error().message;
        if (const auto started = building->startAgents(); !started)
            return started.error().message;
        if (building->plan().hasTpms()) {
            QObject::connect(&m_renewing, &QTimer::timeout, building.get(), [this] {
                if (const auto renewed = building->renewIdentities(); !renewed)
                    deaths << renewed.error().message;
            });
            m_renewing.start(std::chrono::milliseconds{building->identityLife()} / 2);
        }
        const demo::DemoPlan &plan = building->plan();
        auto near =
            cli::BrokerConnection::open(demo::brokerOptions(plan, plan.ports.gatewayBroker, demo::ids::kGatewayBroker));
        if (!near)
            return near.error().message;
        m_near = *std::move(near);
        auto far =
            cli::BrokerConnection::open(demo::brokerOptions(plan, plan.ports.cloudBroker, demo::ids::kCloudBroker));
        if (!far)
            return far.error().message;
        m_far = *std::move(far);
        return {};
    }

    /// One call, waited for; an empty map when there is no answer.
    [[nodiscard]] QCborMap gateway(const QString &method, const QCborMap &args = {})
    {
        return call(*m_near, demo::ids::kGateway, method, args);
    }
    [[nodiscard]] QCborMap sensor(const QString &name, const QString &method, const QCborMap &args = {})
    {
        return call(*m_near, demo::ids::sensor(name), method, args);
    }
    [[nodiscard]] QCborMap backend(const QString &method, const QCborMap &args = {})
    {
        return call(*m_far, demo::ids::kBackend, method, args);
    }
    [[nodiscard]] qint64 storedInCloud()
    {
        return backend(QStringLiteral("status")).value(QLatin1StringView("readings_stored")).toInteger();
    }

    /// What a process has said so far.
    [[nodiscard]] QString log(const QString &name) const
    {
        QFile file(building->plan().logFile(name));
        return file.open(QIODevice::ReadOnly) ? QString::fromUtf8(file.readAll()) : QString();
    }
    void kill(const QString &name)
    {
        demo::ChildProcess *child = building->child(name);
        child->kill();
        QVERIFY(demo::waitFor([child] { return !child->isRunning(); }, std::chrono::seconds{10}));
    }
    void restart(const QString &name)
    {
        const auto started = building->child(name)->start();
        QVERIFY2(started, started ? "" : qPrintable(started.error().message));
    }
    void killAndRestart(const QString &name)
    {
        kill(name);
        restart(name);
    }

    [[nodiscard]] QString path(const QString &relative) const { return m_dir.filePath(relative); }

    std::unique_ptr<demo::Building> building;
    QStringList deaths;
    Error lastError;

private:
    QCborMap call(cli::BrokerConnection &connection, const QString &target, const QString &method, const QCborMap &args)
    {
        std::optional<Result<QCborMap>> answer;
        connection.client().call(Principal(*SpiffeId::parse(target)), method, args, Millis{15'000},
                                 [&answer](Result<QCborMap> result) { answer = std::move(result); });
        const bool answered = QTest::qWaitFor([&answer] { return answer.has_value(); }, 17'000);
        if (answered && *answer)
            return **answer;
        lastError = answered ? answer->error() : Error{Errc::Timeout, QStringLiteral("no answer")};
        return {};
    }

    QTemporaryDir m_dir;
    QTimer m_renewing;
    std::unique_ptr<cli::BrokerConnection> m_near;
    std::unique_ptr<cli::BrokerConnection> m_far;
};

} // namespace lintel::test
