#include "process/broker_trust.h"

#include <QCborArray>
#include <QRandomGenerator>

namespace lintel::service {

using namespace Qt::StringLiterals;
using spire::BrokerTrustKeeper;

std::unique_ptr<BrokerTrustKeeper> openBrokerTrust(const Program &program, const CommonConfig &config,
                                                   const BrokerFilesConfig &broker, IdentitySource &identity,
                                                   spire::ReadPrincipals readPrincipals, const Clock &clock)
{
    spire::EmbeddedIdentitySource *embedded = embeddedIn(identity);
    if (broker.directory.isEmpty() || embedded == nullptr)
        return nullptr;
    spire::BrokerTrustOptions options;
    options.authority = config.identity.authority;
    options.authorityId = config.identity.authorityId;
    options.broker = broker.id;
    options.bundlesDir = broker.bundlesDir();
    options.denyListsDir = broker.denyListsDir();
    options.identityFile = broker.identityFile();
    options.renewal.at = broker.renewAt;
    options.seed = QRandomGenerator::system()->generate();
    auto keeper = std::make_unique<BrokerTrustKeeper>(std::move(options), *embedded, std::move(readPrincipals), clock);
    const LogCategory category = program.category;
    QObject::connect(keeper.get(), &BrokerTrustKeeper::trouble, keeper.get(),
                     [category](const Error &what) { qCWarning(category).noquote() << what.message; });
    QObject::connect(keeper.get(), &BrokerTrustKeeper::notice, keeper.get(),
                     [category](const QString &what) { qCInfo(category).noquote() << what; });
    keeper->start();
    return keeper;
}

QCborMap brokerTrustReport(const BrokerTrustKeeper &keeper)
{
    const spire::BrokerTrustStatus status = keeper.status();
    using State = SvidKeeper::State;
    const auto certificate = status.certificate == State::Valid     ? "valid"_L1
                             : status.certificate == State::Overdue ? "overdue"_L1
                             : status.certificate == State::Expired ? "expired"_L1
                                                                    : "waiting"_L1;
    QCborMap report{
        {"certificate"_L1, certificate},
        {"certificate_rotations"_L1, qint64(status.rotations)},
        {"watching"_L1, status.isWatching},
        {"deny_list"_L1, qint64(status.denySequence)},
        {"deny_lists"_L1, qint64(status.denyLists)},
        {"denied"_L1, qint64(status.denied)},
        {"bundles"_L1, qint64(status.bundles)},
        {"reports"_L1, qint64(status.reported)},
    };
    if (status.certificateExpiresAt > Timestamp{})
        report.insert("certificate_expires"_L1, toIso8601(status.certificateExpiresAt));
    if (!status.problem.isEmpty())
        report.insert("problem"_L1, status.problem);
    return report;
}

QCborMap waitingReport(const spire::WaitingDevicesWatch &waiting)
{
    QCborMap report;
    if (!waiting.problem().isEmpty())
        report.insert("problem"_L1, waiting.problem());
    if (!waiting.latest())
        return report;
    QCborArray devices;
    for (const spire::WaitingDevice &device : waiting.latest()->latest) {
        if (devices.size() >= kMostWaiting)
            break;
        QCborMap one{
            {"ek_hash"_L1, device.ekHash}, {"maker"_L1, device.maker}, {"first_seen"_L1, toIso8601(device.firstSeen)}};
        if (device.lastSeen) {
            one.insert("last_seen"_L1, toIso8601(*device.lastSeen));
            one.insert("address"_L1, device.address);
            one.insert("attempts"_L1, qint64(device.attempts));
        }
        devices.append(one);
    }
    report.insert("as_of"_L1, toIso8601(waiting.latest()->asOf));
    report.insert("total"_L1, qint64(waiting.latest()->total));
    report.insert("devices"_L1, devices);
    return report;
}

QList<Credential> credentialsOf(const BrokerTrustKeeper *keeper)
{
    if (keeper == nullptr)
        return {};
    const spire::BrokerTrustStatus status = keeper->status();
    if (status.certificateExpiresAt <= Timestamp{})
        return {};
    return {
        {u"certificate of the broker"_s, status.certificateExpiresAt, status.certificate == SvidKeeper::State::Valid}};
}

} // namespace lintel::service
