// The part of the demo's building that makes trust: TPMs, authorities, enrolment.
#include "demo/building.h"

#include "demo/building_files.h"
#include "demo/soft_tpm.h"
#include "process/free_port.h"
#include "tls/bundle_document.h"
#include "tls/identity_files.h"
#include "tls/pki.h"

#include <QFileInfo>
#include <QLocalSocket>
#include <QThread>

#include <algorithm>
#include <sys/un.h>

namespace lintel::demo {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr int kPortTries = 5;
constexpr auto kFactoryPatience = 120s; // for those under way; an RSA key takes a moment
constexpr auto kSocketPatience = 20s;
/// The longest name of a socket here, and ".ctrl".
constexpr qsizetype kSocketNameRoom = 40;

const QString kBuildingAuthority = u"building-authority"_s;
const QString kCloudAuthority = u"cloud-authority"_s;

QString kindWord(SensorKind kind)
{
    switch (kind) {
    case SensorKind::Hvac: return u"hvac"_s;
    case SensorKind::Occupancy: return u"occupancy"_s;
    case SensorKind::Energy: return u"energy"_s;
    }
    return {};
}

Error cancelled()
{
    return {Errc::Unavailable, u"The demo was ended while it was being prepared."_s};
}

/// The file of a socket is there a moment before anybody listens.
bool somebodyListens(const QString &socket)
{
    QLocalSocket probe;
    probe.connectToServer(socket);
    return probe.waitForConnected(100);
}

} // namespace

Result<void> Building::makeTrust()
{
    QStringList devices{u"gateway"_s};
    for (const SensorPlan &sensor : std::as_const(m_plan.sensors))
        devices << sensor.name;
    if (auto made = makeRunDir(); !made)
        return made;
    if (auto made = makeTpms(devices); !made)
        return made;
    if (auto started = startTpms(devices); !started)
        return started;
    auto desk = startAuthority(kBuildingAuthority, ids::kBuildingDomain, &m_plan.ports.buildingAuthority,
                               &m_plan.ports.buildingBundles);
    if (!desk)
        return desk.error();
    m_buildingDesk = *std::move(desk);
    desk = startAuthority(kCloudAuthority, ids::kCloudDomain, &m_plan.ports.cloudAuthority, &m_plan.ports.cloudBundles);
    if (!desk)
        return desk.error();
    m_cloudDesk = *std::move(desk);
    if (auto federated = federate(); !federated)
        return federated;
    if (auto enrolled = enrollDevices(); !enrolled)
        return enrolled;
    if (auto minted = mintBrokers(); !minted)
        return minted;
    return mintOperators();
}

/// A socket's path has little room, and the folder of --keep may be anywhere.
Result<void> Building::makeRunDir()
{
    m_plan.runDir = m_plan.path(u"run"_s);
    if (m_plan.runDir.toLocal8Bit().size() + kSocketNameRoom >= qsizetype(sizeof sockaddr_un::sun_path)) {
        auto folder = WorkFolder::make(QDir(u"/tmp"_s));
        if (!folder)
            return folder.error();
        m_shortDir = *std::move(folder);
        m_plan.runDir = m_shortDir->path();
    }
    return tls::makePrivateDirectory(m_plan.runDir);
}

/// As many at a time as there are processors.
Result<void> Building::makeTpms(const QStringList &devices)
{
    if (auto made = makeTpmVendor(m_plan); !made)
        return made;
    std::vector<std::unique_ptr<ChildProcess>> factories;
    const auto isWorking = [](const auto &factory) { return factory->isRunning(); };
    const auto atATime = std::max(1, QThread::idealThreadCount());
    for (const QString &device : devices) {
        auto spec = tpmFactory(m_plan, device);
        if (!spec)
            return spec.error();
        factories.push_back(std::make_unique<ChildProcess>(*std::move(spec)));
        if (auto started = factories.back()->start(); !started)
            return started;
        // The first makes the vendor, too: the others find it.
        const auto limit = factories.size() == 1 ? 1 : atATime;
        const auto hasRoom = [&] { return std::count_if(factories.begin(), factories.end(), isWorking) < limit; };
        (void)waitFor(hasRoom, kFactoryPatience, [this] { return m_isCancelled; });
        if (m_isCancelled)
            break;
    }
    // Also when the demo is ended: killed, one would leave its own swtpm behind. It takes a second.
    (void)waitFor([&] { return std::none_of(factories.begin(), factories.end(), isWorking); }, kFactoryPatience);
    if (m_isCancelled)
        return cancelled();
    for (const auto &factory : factories) {
        if (!factory->endedWell())
            return Error{Errc::Unavailable,
                         factory->lastWords().isEmpty()
                             ? factory->obituary() + u' ' + whyNothingWasSaid(factory->spec().logFile)
                             : factory->obituary()};
    }
    return publishTpmVendor(m_plan);
}

Result<void> Building::startTpms(const QStringList &devices)
{
    for (const QString &device : devices) {
        if (auto started = startWatched(tpmProcess(m_plan, device)); !started)
            return started;
    }
    const auto isThere = [this](const QString &device) { return QFileInfo::exists(m_plan.tpmSocket(device)); };
    if (!waitFor([&] { return std::all_of(devices.begin(), devices.end(), isThere); }, kSocketPatience,
                 [this] { return m_isCancelled; }))
        return m_isCancelled ? cancelled()
                             : Error{Errc::Timeout,
                                     u"The TPMs did not start; the logs in %1 say more."_s.arg(m_plan.path(u"logs"_s))};
    return {};
}

Result<std::unique_ptr<AuthorityDesk>> Building::startAuthority(const QString &name, QLatin1StringView domain,
                                                                quint16 *port, quint16 *bundlePort)
{
    const auto program = findLintelProgram(u"lintel-authority"_s);
    if (!program)
        return program.error();
    Error last;
    for (int attempt = 0; attempt < kPortTries; ++attempt) {
        for (quint16 *each : {port, bundlePort}) {
            const auto free = freeLoopbackPort();
            if (!free)
                return free.error();
            *each = *free;
        }
        if (auto written = writeAuthorityConfig(m_plan, name); !written)
            return written.error();
        const QString socket = m_plan.authoritySocket(name);
        const auto started = startListening({name,
                                             u"lintel-authority"_s,
                                             *program,
                                             {u"--config"_s, m_plan.configFile(name + u".yaml"_s)},
                                             m_plan.logFile(name),
                                             {}},
                                            [&socket](ChildProcess &) { return somebodyListens(socket); });
        if (started) {
            auto desk = std::make_unique<AuthorityDesk>(socket, domain);
            if (const auto answers = desk->check(); !answers)
                return answers.error();
            return desk;
        }
        last = started.error();
        if (!last.message.contains("in use"_L1))
            break;
    }
    return last;
}

/// Each learns the other's first bundle from here, which is a trusted way, and fetches it from then on.
Result<void> Building::federate()
{
    const auto building = m_buildingDesk->bundle();
    const auto cloud = m_cloudDesk->bundle();
    const auto buildingDomain = TrustDomain::parse(QString(ids::kBuildingDomain));
    const auto cloudDomain = TrustDomain::parse(QString(ids::kCloudDomain));
    for (const auto *bundle : {&building, &cloud}) {
        if (!*bundle)
            return bundle->error();
    }
    if (!buildingDomain || !cloudDomain)
        return Error{Errc::Malformed, u"A name in the demo is no trust domain."_s};
    m_roots = {{*buildingDomain, building->x509Authorities}, {*cloudDomain, cloud->x509Authorities}};
    if (auto done = m_buildingDesk->federate(ids::kCloudDomain, m_plan.ports.cloudBundles, *cloud); !done)
        return done;
    if (auto done = m_cloudDesk->federate(ids::kBuildingDomain, m_plan.ports.buildingBundles, *building); !done)
        return done;
    const QMap<QString, tls::BundleDocument> bundles{{ids::kBuildingDomain, *building}, {ids::kCloudDomain, *cloud}};
    for (const QString &broker : {u"gateway-broker"_s, u"cloud-broker"_s}) {
        if (auto made = tls::makePrivateDirectory(m_plan.identityDir(broker)); !made)
            return made;
        if (auto written = writeBrokerTrust(m_plan, broker, bundles); !written)
            return written;
    }
    for (const QLatin1StringView domain : {ids::kBuildingDomain, ids::kCloudDomain}) {
        const auto text = tls::printBundle(bundles[domain]);
        if (!text)
            return text.error();
        if (auto written = tls::writePublicFile(m_plan.bootstrapBundle(domain), *text); !written)
            return written;
    }
    return {};
}

Result<void> Building::enrollDevices()
{
    QList<DeviceFacts> devices{{u"gateway"_s, u"gateway"_s, {}}};
    for (const SensorPlan &sensor : std::as_const(m_plan.sensors))
        devices.append({sensor.name, kindWord(sensor.kind), sensor.space});
    for (const DeviceFacts &device : std::as_const(devices)) {
        const auto hash = endorsementHash(m_plan, device.name);
        if (!hash)
            return hash.error();
        if (auto enrolled = m_buildingDesk->enroll(*hash, device); !enrolled)
            return enrolled;
    }
    // Of kind gateway: it keeps the certificate of the broker beside it.
    return m_cloudDesk->createToken({u"ingestion"_s, u"gateway"_s, {}}, m_plan.joinTokenFile());
}

/// The first, so that brokers can begin; the agents beside them renew them from then on.
Result<void> Building::mintBrokers()
{
    struct Broker {
        AuthorityDesk &desk;
        QString name;
        QLatin1StringView id;
    };
    for (const Broker &one : {Broker{*m_buildingDesk, u"gateway-broker"_s, ids::kGatewayBroker},
                              Broker{*m_cloudDesk, u"cloud-broker"_s, ids::kCloudBroker}}) {
        const auto minted = one.desk.mint(one.id, m_plan.svidTtl);
        if (!minted)
            return minted.error();
        if (auto written = tls::writeRoots(m_plan.identityDir(one.name), m_roots); !written)
            return written;
        if (auto written = tls::writeKeyAndChain(brokerIdentityFile(m_plan, one.name), *minted); !written)
            return written;
    }
    return {};
}

Result<void> Building::mintOperators()
{
    struct Operator {
        QString folder;
        QLatin1StringView id;
    };
    for (const Operator &one : {Operator{u"operator"_s, ids::kOperator}, Operator{u"watcher"_s, ids::kWatcher},
                                Operator{u"shell"_s, ids::kShell}}) {
        const auto minted = m_cloudDesk->mint(one.id, m_plan.svidTtl);
        if (!minted)
            return minted.error();
        if (auto written = tls::writeIdentity(m_plan.identityDir(one.folder), *minted, m_roots); !written)
            return written;
    }
    return {};
}

Result<std::optional<int>> Building::attestedDevices()
{
    if (!m_buildingDesk)
        return std::optional<int>();
    const auto count = m_buildingDesk->attestedDevices();
    if (!count)
        return count.error();
    return std::optional<int>(*count);
}

Result<RevokedDevice> Building::revoke(const QString &sensor)
{
    if (!m_buildingDesk)
        return Error{Errc::Unsupported, u"Without an authority nobody can be revoked; use --identity tpm."_s};
    return m_buildingDesk->revoke(sensor, u"shown by lintelctl demo --revoke"_s);
}

Result<RevokedDevice> Building::revokedDevice(const QString &sensor)
{
    if (!m_buildingDesk)
        return Error{Errc::Unsupported, u"Without an authority nobody can be revoked; use --identity tpm."_s};
    return m_buildingDesk->device(sensor);
}

} // namespace lintel::demo
