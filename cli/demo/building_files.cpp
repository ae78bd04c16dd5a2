#include "demo/building_files.h"

#include "demo/building.h"
#include "demo/soft_tpm.h"
#include "mqtt/broker_roles.h"
#include "mqtt/mosquitto_config.h"
#include "ports/system_clock.h"
#include "tls/bundle_document.h"
#include "tls/identity_files.h"
#include "tls/pki.h"

#include <QFile>

#include <algorithm>

namespace lintel::demo {

using namespace Qt::StringLiterals;

namespace {

Result<void> writeFile(const QString &path, const QString &text)
{
    QFile file(path);
    // Flushed, because a full disk is only noticed then.
    if (!file.open(QIODevice::WriteOnly | QIODevice::Truncate) || file.write(text.toUtf8()) < 0 || !file.flush())
        return Error{Errc::Io, u"\"%1\" cannot be written: %2."_s.arg(path, file.errorString())};
    return {};
}

struct Identity {
    QString folder; // below identity/
    QString id;
};

QList<Identity> identities(const DemoPlan &plan)
{
    QList<Identity> all{
        {u"gateway-broker"_s, ids::kGatewayBroker},
        {u"cloud-broker"_s, ids::kCloudBroker},
        {u"gateway"_s, ids::kGateway},
        {u"ingestion"_s, ids::kBackend},
        {u"operator"_s, ids::kOperator},
        {u"watcher"_s, ids::kWatcher},
        {u"shell"_s, ids::kShell},
    };
    for (const SensorPlan &sensor : plan.sensors)
        all.append({sensor.name, ids::sensor(sensor.name)});
    return all;
}

Result<tls::Pki> rootOf(const QString &dir, QLatin1StringView domainName, Timestamp now)
{
    const auto domain = TrustDomain::parse(QString(domainName));
    if (!domain)
        return domain.error();
    if (tls::Pki::exists(dir, *domain))
        return tls::Pki::load(dir, *domain);
    auto root = tls::Pki::create(*domain, now);
    if (!root)
        return root;
    if (const auto saved = root->save(dir); !saved)
        return saved.error();
    return root;
}

/// A YAML scalar that is text whatever it holds.
QString quoted(const QString &text)
{
    QString escaped = text;
    escaped.replace(u'\\', u"\\\\"_s).replace(u'"', u"\\\""_s);
    return u'"' + escaped + u'"';
}

/// How an agent without files comes to its identity. `stateName`: its folder below state/.
QString embeddedSection(const DemoPlan &plan, const QString &stateName, QLatin1StringView domain)
{
    const bool isCloud = domain == ids::kCloudDomain;
    QString text = u"# Attests to the authority of its trust domain, and renews its certificate by itself.\n"
                   "identity:\n"
                   "  provider: embedded\n"
                   "  authority: 127.0.0.1:%1\n"
                   "  bootstrap_bundle: %2 # whom to believe the first time\n"
                   "  state_dir: %3\n"_s.arg(isCloud ? plan.ports.cloudAuthority : plan.ports.buildingAuthority)
                       .arg(quoted(plan.bootstrapBundle(domain)), quoted(plan.stateDir(stateName) + u"/identity"_s));
    if (isCloud)
        return text
               + u"  attestor: join_token # a machine in a data centre, without a TPM of its own\n"
                 "  join_token_file: %1\n\n"_s.arg(quoted(plan.joinTokenFile()));
    return text
           + u"  attestor: lintel_tpm\n"
             "  tpm: %1\n\n"_s.arg(quoted(u"swtpm:path="_s + plan.tpmSocket(stateName)));
}

/// With TPMs an agent keeps the files of the broker beside it.
QString brokerSection(const DemoPlan &plan, const QString &broker)
{
    if (!plan.hasTpms())
        return {};
    return u"# The broker beside this agent: certificate, trust bundles and deny list are kept for it.\n"
           "broker:\n"
           "  directory: %1\n\n"_s.arg(quoted(plan.identityDir(broker)));
}

QString commonSections(const DemoPlan &plan, const QString &name, QLatin1StringView domain, const QString &description,
                       const QString &stateName)
{
    const QString agent = u"agent:\n"
                          "  name: %1\n"
                          "  trust_domain: %2\n"
                          "  description: %3\n\n"_s.arg(name, domain, quoted(description));
    if (plan.hasTpms())
        return agent + embeddedSection(plan, stateName, domain);
    return agent
           + u"# Certificate, key and the trust bundles of both domains; `lintelctl pki` made them.\n"
             "identity:\n"
             "  provider: files\n"
             "  directory: %1\n\n"_s.arg(quoted(plan.identityDir(name)));
}

QString brokerKeys(const QString &indent, quint16 port, QLatin1StringView id)
{
    return u"%1host: 127.0.0.1\n%1port: %2\n%1broker_id: %3 # who the broker must prove to be\n"_s.arg(indent)
        .arg(port)
        .arg(id);
}

QString driverSection(const DemoPlan &plan, const SensorPlan &sensor)
{
    if (!sensor.driverSection.isEmpty())
        return sensor.driverSection;
    if (!sensor.recording.isEmpty()) {
        // One recorded row in each period: the recording's own pace, so much faster.
        return u"driver:\n"
               "  type: replay\n"
               "  file: %1\n"
               "  map: %2\n"
               "  pace: accelerated\n"
               "  speed: %3\n\n"_s.arg(quoted(sensor.recording), quoted(plan.configFile(sensor.columnMap + u".yaml"_s)))
                   .arg(std::clamp(double(sensor.rowInterval.count()) / double(plan.sensorPeriod.count()), 1.0, 1e6), 0,
                        'f', 3);
    }
    const QLatin1StringView kind = sensor.kind == SensorKind::Hvac        ? "hvac"_L1
                                   : sensor.kind == SensorKind::Occupancy ? "occupancy"_L1
                                                                          : "energy"_L1;
    return u"driver:\n"
           "  type: simulated\n"
           "  kind: %1\n"
           "  seed: %2 # the same seed tells the same days\n"
           "  speed: 600 # ten minutes a second, so that a day passes within minutes; time stamps stay true\n\n"_s
               .arg(kind)
               .arg(sensor.seed);
}

QString rolesFile(const DemoPlan &plan, const QString &name)
{
    return plan.configFile(name + u"-roles.json"_s);
}

/// Who is what on a broker of the demo; as resources/config/broker-roles.json and -cloud.json.
Result<broker::BrokerRoles> rolesOf(const QString &name)
{
    const auto domain = TrustDomain::parse(QString(ids::kBuildingDomain));
    const auto gateway = SpiffeId::parse(QString(ids::kGateway));
    const auto backend = SpiffeId::parse(QString(ids::kBackend));
    const auto operators = SpiffeId::parse(u"spiffe://%1/operator"_s.arg(ids::kCloudDomain));
    if (!domain || !gateway || !backend || !operators)
        return Error{Errc::Malformed, u"A name in the demo is no SPIFFE ID."_s};
    const QString site = ids::kSite;
    const broker::Sites ownSite{false, {site}};
    const broker::Sites everySite{true, {}};
    broker::BrokerRoles roles;
    if (name == u"cloud-broker") {
        roles.edgeNodes = {{*gateway, site, ids::kGatewayNode, {ids::kCloudHost}}};
        roles.hosts = {{*backend, ids::kCloudHost, everySite}};
        roles.readers = {{*operators, true, everySite}};
    } else {
        roles.sensors = {{*domain, site, {ids::kGatewayHost}}};
        roles.hosts = {{*gateway, ids::kGatewayHost, ownSite}};
        roles.readers = {{*operators, true, ownSite}};
    }
    return roles;
}

const QString kLogging =
    u"observability:\n  logging:\n    level: INFO\n    destination: stderr # the demo keeps it in a file\n"_s;

} // namespace

static_assert(kIdentityLife >= tls::Pki::kMinTtl && kIdentityLife <= tls::Pki::kMaxTtl);

Result<void> makeIdentities(const DemoPlan &plan)
{
    const Timestamp now = SystemClock().now();
    const QString rootsDir = plan.path(u"pki"_s);
    const auto building = rootOf(rootsDir, ids::kBuildingDomain, now);
    if (!building)
        return building.error();
    const auto cloud = rootOf(rootsDir, ids::kCloudDomain, now);
    if (!cloud)
        return cloud.error();
    const TrustBundles bundles{{building->domain(), {building->rootDer()}}, {cloud->domain(), {cloud->rootDer()}}};
    const QList<Identity> all = identities(plan);
    for (const Identity &identity : all) {
        const auto id = SpiffeId::parse(identity.id);
        if (!id)
            return id.error();
        const tls::Pki &authority = id->isMemberOf(building->domain()) ? *building : *cloud;
        const auto svid = authority.issue(*id, kIdentityLife, now);
        if (!svid)
            return svid.error();
        if (auto written = tls::writeIdentity(plan.identityDir(identity.folder), *svid, bundles); !written)
            return written;
    }
    return {};
}

/// Beside the configuration, so that a kept building can be started again by hand.
static Result<void> copyColumnMap(const DemoPlan &plan, const SensorPlan &sensor)
{
    const QString target = plan.configFile(sensor.columnMap + u".yaml"_s);
    if (sensor.columnMap.isEmpty() || QFile::exists(target))
        return {};
    if (!sensor.mapText.isEmpty())
        return writeFile(target, sensor.mapText);
    QFile map(u":/column-maps/%1.yaml"_s.arg(sensor.columnMap));
    if (!map.open(QIODevice::ReadOnly))
        return Error{Errc::NotFound,
                     u"The column map \"%1\" is not part of this program; build it again."_s.arg(sensor.columnMap)};
    return writeFile(target, QString::fromUtf8(map.readAll()));
}

Result<void> writeAgentConfigs(const DemoPlan &plan)
{
    if (auto written = writeFile(plan.configFile(u"gateway.yaml"_s), gatewayYaml(plan)); !written)
        return written;
    if (auto written = writeFile(plan.configFile(u"backend.yaml"_s), backendYaml(plan)); !written)
        return written;
    QStringList agents{u"gateway"_s, u"backend"_s};
    for (const SensorPlan &sensor : plan.sensors) {
        agents << sensor.name;
        if (auto copied = copyColumnMap(plan, sensor); !copied)
            return copied;
        if (auto written = writeFile(plan.configFile(sensor.name + u".yaml"_s), sensorYaml(plan, sensor)); !written)
            return written;
    }
    for (const QString &name : std::as_const(agents)) {
        if (!QDir().mkpath(plan.stateDir(name)))
            return Error{Errc::Io,
                         u"The folder \"%1\" cannot be made; choose another with --keep."_s.arg(plan.stateDir(name))};
    }
    return {};
}

QString gatewayYaml(const DemoPlan &plan)
{
    return u"# The gateway of the demo's building: host of its sensors, edge node towards the cloud.\n\n"_s
           + commonSections(plan, u"gateway"_s, ids::kBuildingDomain, u"Gateway of building 1"_s, u"gateway"_s)
           + brokerSection(plan, u"gateway-broker"_s)
           + u"# The side of the sensors.\n"
             "building:\n"
             "  host_id: %1 # sensors send only while this host is online\n"
             "  groups: [%2]\n"
             "  broker:\n"_s.arg(ids::kGatewayHost, ids::kSite)
           + brokerKeys(u"    "_s, plan.ports.gatewayBroker, ids::kGatewayBroker)
           + u"\n# The way to the cloud: a line of the demo that can be cut, behind it the cloud's broker.\n"
             "cloud:\n"
             "  primary_host: %1\n"
             "  group: %2\n"
             "  node: %3\n"
             "  sync_interval: 5m\n"
             "  broker:\n"_s.arg(ids::kCloudHost, ids::kSite, ids::kGatewayNode)
           + brokerKeys(u"    "_s, plan.ports.wanLink, ids::kCloudBroker)
           + u"    keep_alive: 10s\n\n"
             "storage:\n"
             "  directory: %1\n"
             "  spool_size: 256MiB   # what waits for the cloud\n"
             "  history_size: 256MiB # what panels in the building look back on\n\n"_s.arg(
                 quoted(plan.stateDir(u"gateway"_s)))
           + kLogging;
}

QString backendYaml(const DemoPlan &plan)
{
    QString text =
        u"# The demo's cloud: primary host of the gateways, and the historian.\n\n"_s
        + commonSections(plan, u"ingestion"_s, ids::kCloudDomain, u"Ingestion and historian"_s, u"backend"_s)
        + brokerSection(plan, u"cloud-broker"_s) + u"mqtt:\n"_s
        + brokerKeys(u"  "_s, plan.ports.cloudBroker, ids::kCloudBroker)
        + u"\nhost:\n"
          "  host_id: %1 # gateways send only while this host is online\n\n"
          "historian:\n"
          "  database: %2\n\n"_s.arg(ids::kCloudHost, quoted(plan.stateDir(u"backend"_s) + u"/historian.db"_s))
        + kLogging;
    return text;
}

QString sensorYaml(const DemoPlan &plan, const SensorPlan &sensor)
{
    QString text = u"# A sensor of the demo's building.\n\n"_s
                   + commonSections(plan, sensor.name, ids::kBuildingDomain,
                                    u"%1 in %2"_s.arg(sensor.equip, sensor.space), sensor.name)
                   + u"mqtt:\n"_s + brokerKeys(u"  "_s, plan.ports.gatewayBroker, ids::kGatewayBroker)
                   + u"\nsparkplug:\n"
                     "  group: %1\n"
                     "  host_id: %2 # sends only while this host is online\n\n"
                     "location:\n"
                     "  space: %3\n"
                     "  equip: %4\n\n"
                     "sampling:\n"
                     "  period: %5ms\n"
                     "  heartbeat: %7ms # what does not change is told this often\n"
                     "  drain_time: 30s # when it is asked to stop, it hands over what it has\n\n"
                     "spool:\n"
                     "  path: %6\n"
                     "  max_bytes: 64MiB\n\n"_s.arg(ids::kSite, ids::kGatewayHost, sensor.space, sensor.equip)
                         .arg(plan.sensorPeriod.count())
                         .arg(quoted(plan.stateDir(sensor.name) + u"/spool.db"_s))
                         .arg(std::max<qint64>(1'000, 5 * plan.sensorPeriod.count()))
                   + driverSection(plan, sensor) + kLogging;
    return text;
}

QString brokerIdentityFile(const DemoPlan &plan, const QString &name)
{
    return plan.identityDir(name) + u"/broker.pem"_s;
}

QString brokerBundlesDir(const DemoPlan &plan, const QString &name)
{
    return plan.identityDir(name) + u"/bundles"_s;
}

Result<void> writeBrokerTrust(const DemoPlan &plan, const QString &name,
                              const QMap<QString, tls::BundleDocument> &bundles)
{
    for (const QString &folder :
         {brokerBundlesDir(plan, name), plan.identityDir(name) + u"/deny-lists"_s, plan.stateDir(name)}) {
        if (!QDir().mkpath(folder))
            return Error{Errc::Io, u"The folder \"%1\" cannot be made; choose another with --keep."_s.arg(folder)};
    }
    for (auto it = bundles.cbegin(); it != bundles.cend(); ++it) {
        const auto text = tls::printBundle(*it);
        if (!text)
            return text.error();
        if (auto written = tls::writePublicFile(brokerBundlesDir(plan, name) + u"/%1.json"_s.arg(it.key()), *text);
            !written)
            return written;
    }
    const auto roles = rolesOf(name);
    if (!roles)
        return roles.error();
    return tls::writePublicFile(rolesFile(plan, name), broker::printRoles(*roles));
}

Result<void> writeAuthorityConfig(const DemoPlan &plan, const QString &name)
{
    const bool isCloud = name == u"cloud-authority";
    QString text = u"# The authority of one of the demo's trust domains.\n\n"
                   "authority:\n"
                   "  trust_domain: %1\n"
                   "  state_dir: %2\n\n"
                   "server:\n"
                   "  host: 127.0.0.1\n"
                   "  port: %3\n\n"
                   "admin:\n"
                   "  socket: %4\n\n"
                   "# Where the other authority fetches the bundle of this one.\n"
                   "bundle_endpoint:\n"
                   "  host: 127.0.0.1\n"
                   "  port: %5\n\n"
                   "lifetimes:\n"
                   "  x509_svid: %6s\n\n"
                   "attestation:\n"
                   "  first_seen: refuse # who is not enrolled gets nothing\n"_s
                       .arg(isCloud ? ids::kCloudDomain : ids::kBuildingDomain, quoted(plan.stateDir(name)))
                       .arg(isCloud ? plan.ports.cloudAuthority : plan.ports.buildingAuthority)
                       .arg(quoted(plan.authoritySocket(name)))
                       .arg(isCloud ? plan.ports.cloudBundles : plan.ports.buildingBundles)
                       .arg(plan.svidTtl.count());
    if (!isCloud)
        text += u"  vendor_ca_dir: %1 # the maker of the demo's TPMs\n"_s.arg(quoted(tpmVendorDir(plan)));
    return writeFile(plan.configFile(name + u".yaml"_s), text + u'\n' + kLogging);
}

Result<void> writeBrokerConfig(const DemoPlan &plan, const QString &name)
{
    const QString identity = plan.identityDir(name);
    const QString trustFile = plan.configFile(name + u"-trust.pem"_s);
    QString roots; // of both domains: operators come from the cloud, the gateway from the building
    for (const QLatin1StringView domain : {ids::kBuildingDomain, ids::kCloudDomain}) {
        QFile file(identity + u'/' + domain + u".pem"_s);
        if (!file.open(QIODevice::ReadOnly))
            return Error{Errc::Io, u"\"%1\" cannot be read: %2."_s.arg(file.fileName(), file.errorString())};
        roots += QString::fromLatin1(file.readAll());
    }
    if (auto written = writeFile(trustFile, roots); !written)
        return written;
    mqtt::MosquittoConfig config;
    config.bindAddress = u"127.0.0.1"_s;
    config.port = name == u"cloud-broker" ? plan.ports.cloudBroker : plan.ports.gatewayBroker;
    config.certificateFile = plan.hasTpms() ? brokerIdentityFile(plan, name) : identity + u"/svid.pem"_s;
    config.keyFile = plan.hasTpms() ? config.certificateFile : identity + u"/svid.key"_s;
    config.trustFile = trustFile;
    if (plan.hasTpms()) {
        const auto library = findPlugin();
        if (!library)
            return library.error();
        mqtt::MosquittoPlugin plugin;
        plugin.library = *library;
        plugin.bundlesDir = brokerBundlesDir(plan, name);
        plugin.rolesFile = rolesFile(plan, name);
        plugin.denyListsDir = identity + u"/deny-lists"_s;
        plugin.stateDir = plan.stateDir(name);
        plugin.statusFile = identity + u"/status.json"_s;
        config.plugin = plugin;
    } else {
        config.aclFile = plan.configFile(name + u".acl"_s);
        if (auto written = writeFile(config.aclFile, QString::fromUtf8(mqtt::mosquittoAclText())); !written)
            return written;
        QFile::setPermissions(config.aclFile, QFile::ReadOwner | QFile::WriteOwner);
    }
    config.user = mqtt::mosquittoUserOfThisProcess();
    const auto text = mqtt::mosquittoConfigText(config);
    if (!text)
        return text.error();
    return writeFile(plan.configFile(name + u".conf"_s), QString::fromUtf8(*text));
}

QStringList consoleArguments(const DemoPlan &plan, int windowMinutes)
{
    return {
        u"--broker"_s,
        u"127.0.0.1:%1"_s.arg(plan.ports.cloudBroker),
        u"--broker-id"_s,
        ids::kCloudBroker,
        u"--identity"_s,
        plan.identityDir(u"operator"_s),
        u"--host-principal"_s,
        ids::kBackend,
        u"--gateway-principal"_s,
        ids::kGateway,
        u"--window"_s,
        QString::number(windowMinutes),
    };
}

} // namespace lintel::demo
