#include "mqtt/mosquitto_config.h"

#include <QStringList>

#include <unistd.h>

namespace lintel::mqtt {

using namespace Qt::StringLiterals;

namespace {
Result<void> validate(const MosquittoConfig &config)
{
    QStringList values{config.bindAddress, config.certificateFile, config.keyFile,
                       config.trustFile,   config.aclFile,         config.user};
    if (const auto &plugin = config.plugin) {
        values << plugin->library << plugin->bundlesDir << plugin->rolesFile << plugin->denyListsDir << plugin->stateDir
               << plugin->statusFile;
        if (plugin->library.isEmpty() || plugin->bundlesDir.isEmpty() || plugin->rolesFile.isEmpty())
            return Error{Errc::OutOfRange,
                         u"The broker's plugin needs its library, a bundle folder and a roles file."_s};
        if (!config.aclFile.isEmpty())
            return Error{Errc::OutOfRange,
                         u"A broker with Lintel's plugin takes no ACL file; leave one of them out."_s};
    }
    for (const QString &value : std::as_const(values))
        if (value.contains(u'\n') || value.contains(u'\r'))
            return Error{Errc::OutOfRange, u"The broker's setting \"%1\" contains a line break."_s.arg(value)};
    return {};
}
} // namespace

Result<QByteArray> mosquittoConfigText(const MosquittoConfig &config)
{
    if (auto valid = validate(config); !valid)
        return valid.error();
    QByteArray text;
    const auto line = [&text](const char *key, const QString &value) {
        text += key + QByteArray(" ") + value.toUtf8() + '\n';
    };
    line("per_listener_settings", u"false"_s);
    line("persistence", u"false"_s);
    line("allow_anonymous", u"true"_s); // TLS has already asked for a certificate
    line("max_inflight_messages", QString::number(config.maxInflightMessages));
    line("max_queued_messages", u"10000"_s);
    line("max_queued_bytes", u"33554432"_s);
    line("max_packet_size", u"5242880"_s); // above what a call's answer may have
    line("set_tcp_nodelay", u"true"_s);
    line("log_dest", u"stderr"_s);
    line("log_timestamp_format", u"%Y-%m-%dT%H:%M:%S"_s);
    for (const char16_t *type : {u"error", u"warning", u"notice", u"information"})
        line("log_type", QString::fromUtf16(type));
    if (config.verbose) {
        line("log_type", u"subscribe"_s);
        line("log_type", u"debug"_s);
    }
    if (!config.user.isEmpty())
        line("user", config.user);
    if (!config.aclFile.isEmpty())
        line("acl_file", config.aclFile);
    if (const auto &plugin = config.plugin) {
        line("plugin", plugin->library);
        const auto option = [&line](const char *key, const QString &value) {
            if (!value.isEmpty())
                line(key, value);
        };
        option("plugin_opt_bundles", plugin->bundlesDir);
        option("plugin_opt_roles", plugin->rolesFile);
        option("plugin_opt_deny_lists", plugin->denyListsDir);
        option("plugin_opt_state", plugin->stateDir);
        option("plugin_opt_status", plugin->statusFile);
        if (plugin->renewsIdentity) {
            option("plugin_opt_certificate", config.certificateFile);
            option("plugin_opt_key", config.keyFile);
        }
    }
    line("listener", u"%1 %2"_s.arg(config.port).arg(config.bindAddress));
    line("cafile", config.trustFile);
    line("certfile", config.certificateFile);
    line("keyfile", config.keyFile);
    line("require_certificate", u"true"_s);
    line("tls_version", u"tlsv1.3"_s);
    return text;
}

QByteArray mosquittoAclText()
{
    return "# Requests and responses are written in the writer's own name and read by their addressee.\n"
           "pattern write lintel/v1/req/+/%c/+\n"
           "pattern read lintel/v1/req/%c/#\n"
           "pattern write lintel/v1/rsp/+/%c/+\n"
           "pattern read lintel/v1/rsp/%c/#\n"
           "pattern readwrite spBv1.0/#\n"_ba;
}

QString mosquittoUserOfThisProcess()
{
    return ::geteuid() == 0 ? u"root"_s : QString();
}

} // namespace lintel::mqtt
