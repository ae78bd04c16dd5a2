#include "mqtt/mosquitto_config.h"

#include <unistd.h>

namespace lintel::mqtt {

using namespace Qt::StringLiterals;

Result<QByteArray> mosquittoConfigText(const MosquittoConfig &config)
{
    for (const QString *value : {&config.bindAddress, &config.certificateFile, &config.keyFile, &config.trustFile,
                                 &config.aclFile, &config.user})
        if (value->contains(u'\n') || value->contains(u'\r'))
            return Error{Errc::OutOfRange, u"The broker's setting \"%1\" contains a line break."_s.arg(*value)};

    QByteArray text;
    const auto line = [&text](const char *key, const QString &value) {
        text += key + QByteArray(" ") + value.toUtf8() + '\n';
    };
    line("per_listener_settings", u"false"_s);
    line("persistence", u"false"_s);
    line("allow_anonymous", u"true"_s); // TLS has already asked for a certificate
    line("max_inflight_messages", QString::number(config.maxInflightMessages));
    line("max_queued_messages", u"10000"_s);
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
