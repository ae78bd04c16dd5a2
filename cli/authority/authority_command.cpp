#include "authority/bundle_view.h"
#include "authority/commands.h"
#include "authority/text_table.h"
#include "output.h"

#include "authority/authority.h"
#include "authority/key_stores.h"
#include "authority/program_config.h"
#include "authority/state_lock.h"
#include "ports/boot_clock.h"
#include "ports/system_clock.h"
#include "spire/server_methods.h"
#include "tls/identity_files.h"

#include "lintel_authority.pb.h"

#include <QDir>
#include <QFileInfo>
#include <QJsonArray>

namespace lintel::cli {

using namespace Qt::StringLiterals;
namespace method = spire::method;
namespace wire = ::lintel::authority::v1;
using spire::textOf;

namespace {

constexpr int kShownSubject = 16; // digits of an EK hash

Result<authority::ProgramConfig> configOf(const Arguments &arguments)
{
    if (!arguments.has(u"config"_s))
        return wrongUsage(u"Say with --config which file lintel-authority reads. See `lintelctl authority --help`."_s);
    auto config = authority::readProgramConfig(arguments.value(u"config"_s));
    if (!config)
        return badConfiguration(config.error());
    return config;
}

Result<Answer> init(const Arguments &arguments)
{
    const auto config = configOf(arguments);
    if (!config)
        return config.error();
    const QString &stateDir = config->authority.stateDir;
    const bool wasThere = QFileInfo::exists(QDir(stateDir).filePath(u"authority.db"_s));
    const auto lock = authority::StateLock::take(stateDir);
    if (!lock)
        return lock.error();
    auto keys = authority::openKeyStore(*config);
    if (!keys)
        return keys.error();
    const BootClock clock; // as the authority itself has it
    const auto opened = authority::Authority::open(config->authority, *std::move(keys), clock);
    if (!opened)
        return opened.error();
    const auto bundle = (*opened)->bundle();
    if (!bundle)
        return bundle.error();
    const QString domain = config->authority.domain.name();
    const QString file = arguments.value(u"bundle"_s);
    if (!file.isEmpty()) {
        const auto text = tls::printBundle(*bundle);
        const auto written = text ? tls::writePublicFile(file, *text) : Result<void>(text.error());
        if (!written)
            return written.error();
    }
    QJsonObject json = bundleJson(domain, *bundle);
    json.insert(u"created"_s, !wasThere);
    json.insert(u"state_dir"_s, stateDir);
    if (!file.isEmpty())
        json.insert(u"bundle"_s, file);
    const QString done = wasThere ? u"The authority of %1 is there already, in %2; nothing was changed."_s
                                  : u"The authority of %1 is made, in %2."_s;
    return Answer{json, done.arg(domain, stateDir) + u'\n'
                            + (file.isEmpty() ? QString() : u"Its trust bundle is in %1.\n"_s.arg(file))};
}

Result<Answer> status(const Arguments &arguments)
{
    AdminClient client = clientFor(arguments);
    const auto status = client.call<wire::StatusResponse>(method::admin("GetStatus"), wire::StatusResponse());
    if (!status)
        return status.error();
    const auto keys = client.call<wire::AuthorityKeys>(method::admin("ListAuthorities"), wire::AuthorityKeys());
    if (!keys)
        return keys.error();
    QJsonArray array;
    QList<QStringList> rows;
    for (const auto &key : keys->keys()) {
        array.append(QJsonObject{{u"kind"_s, textOf(key.kind())},
                                 {u"phase"_s, textOf(key.phase())},
                                 {u"label"_s, textOf(key.label())},
                                 {u"not_before"_s, shownTime(key.not_before_ms())},
                                 {u"not_after"_s, shownTime(key.not_after_ms())}});
        rows.append({textOf(key.kind()), textOf(key.phase()), shownTime(key.not_before_ms()),
                     shownTime(key.not_after_ms()), textOf(key.label())});
    }
    const Timestamp now = fromEpochMillis(status->now_ms());
    const QString limit = textOf(status->runway_limited_by());
    const QString runway =
        limit.isEmpty()
            ? QString()
            : u"%1 ends %2 if nothing is renewed"_s.arg(limit, shownDistance(now + Millis{status->runway_ms()}, now));
    const QString problem = textOf(status->problem());
    const QString clock = textOf(status->clock());
    const QJsonObject json{{u"trust_domain"_s, textOf(status->trust_domain())},
                           {u"version"_s, textOf(status->version())},
                           {u"now"_s, shownTime(status->now_ms())},
                           {u"devices"_s, QJsonObject{{u"approved"_s, status->devices()},
                                                      {u"pending"_s, status->devices_pending()},
                                                      {u"revoked"_s, status->devices_revoked()}}},
                           {u"agents"_s, status->agents()},
                           {u"entries"_s, status->entries()},
                           {u"bundle_sequence"_s, qint64(status->bundle_sequence())},
                           {u"deny_list_sequence"_s, qint64(status->deny_list_sequence())},
                           {u"svids_signed"_s, qint64(status->svids_signed())},
                           {u"attestations_accepted"_s, qint64(status->attestations_accepted())},
                           {u"key_store"_s, textOf(status->issuing_key())},
                           {u"root_expires_at"_s, shownTime(status->root_expires_at_ms())},
                           {u"issuing_ca_expires_at"_s, shownTime(status->issuing_ca_expires_at_ms())},
                           {u"runway_ms"_s, qint64(status->runway_ms())},
                           {u"runway_limited_by"_s, limit},
                           {u"problem"_s, problem},
                           {u"clock"_s, clock},
                           {u"keys"_s, array}};
    const QString text = textFacts({
        {u"trust domain"_s, textOf(status->trust_domain())},
        {u"version"_s, textOf(status->version())},
        {u"problem"_s, problem},
        {u"clock"_s, clock == problem ? QString() : clock},
        {u"time"_s, shownTime(status->now_ms())},
        {u"devices"_s, u"%1 approved, %2 wait for approval, %3 revoked"_s.arg(status->devices())
                           .arg(status->devices_pending())
                           .arg(status->devices_revoked())},
        {u"agents"_s, QString::number(status->agents())},
        {u"entries"_s, QString::number(status->entries())},
        {u"bundle"_s, u"number %1"_s.arg(status->bundle_sequence())},
        {u"deny list"_s, u"number %1"_s.arg(status->deny_list_sequence())},
        {u"since its start"_s,
         u"%1, %2"_s.arg(counted(quint64(status->attestations_accepted()), u"attestation"_s, u"attestations"_s),
                         counted(quint64(status->svids_signed()), u"SVID"_s, u"SVIDs"_s))},
        {u"keys are in"_s, textOf(status->issuing_key())},
        {u"runway"_s, runway},
    });
    return Answer{json, text + u'\n' + textTable({u"KEY"_s, u"PHASE"_s, u"FROM"_s, u"UNTIL"_s, u"LABEL"_s}, rows),
                  problem.isEmpty() ? kOk : kFailed};
}

Result<Answer> acceptClock(const Arguments &arguments)
{
    const auto accepted =
        clientFor(arguments).call<wire::ClockAccepted>(method::admin("AcceptClock"), wire::StatusResponse());
    if (!accepted)
        return accepted.error();
    const QString before = shownTime(accepted->before_ms());
    const QString now = shownTime(accepted->now_ms());
    return Answer{{{u"before"_s, before}, {u"now"_s, now}},
                  u"The authority goes by %1 now; before, it went by %2.\n"_s.arg(now, before)};
}

Result<int> countFrom(const Arguments &arguments, const QString &option)
{
    if (!arguments.has(option))
        return 0;
    bool ok = false;
    const int count = arguments.value(option).toInt(&ok);
    if (!ok || count < 0)
        return wrongUsage(u"--%1 %2: a number is needed."_s.arg(option, arguments.value(option).left(40)));
    return count;
}

Result<Answer> refusals(const Arguments &arguments)
{
    const auto newest = countFrom(arguments, u"newest"_s);
    if (!newest)
        return newest.error();
    wire::ListRefusalsRequest request;
    request.set_newest(*newest);
    const auto found = clientFor(arguments).call<wire::ListRefusalsResponse>(method::admin("ListRefusals"), request);
    if (!found)
        return found.error();
    QJsonArray array;
    QList<QStringList> rows;
    for (const auto &one : found->refusals()) {
        array.append(QJsonObject{{u"address"_s, textOf(one.address())},
                                 {u"subject"_s, textOf(one.subject())},
                                 {u"reason"_s, textOf(one.reason())},
                                 {u"first_at"_s, shownTime(one.first_at_ms())},
                                 {u"last_at"_s, shownTime(one.last_at_ms())},
                                 {u"count"_s, qint64(one.count())}});
        rows.append({shownTime(one.last_at_ms()), QString::number(one.count()), textOf(one.address()),
                     textOf(one.subject()).left(kShownSubject), textOf(one.reason())});
    }
    const QString text = rows.isEmpty() ? u"Nobody was turned away.\n"_s
                                        : textTable({u"LAST AT"_s, u"TIMES"_s, u"FROM"_s, u"WHO"_s, u"WHY"_s}, rows);
    return Answer{{{u"refusals"_s, array}}, text};
}

Result<Answer> audit(const Arguments &arguments)
{
    const auto after = countFrom(arguments, u"after"_s);
    if (!after)
        return after.error();
    wire::ListAuditRequest request;
    request.set_after(quint64(*after));
    request.set_subject(arguments.value(u"subject"_s).toStdString());
    const auto found = clientFor(arguments).call<wire::ListAuditResponse>(method::admin("ListAudit"), request);
    if (!found)
        return found.error();
    QJsonArray array;
    QList<QStringList> rows;
    for (const auto &record : found->records()) {
        array.append(QJsonObject{{u"number"_s, qint64(record.seq())},
                                 {u"at"_s, shownTime(record.at_ms())},
                                 {u"actor"_s, textOf(record.actor())},
                                 {u"action"_s, textOf(record.action())},
                                 {u"subject"_s, textOf(record.subject())},
                                 {u"detail"_s, textOf(record.detail())}});
        rows.append({QString::number(record.seq()), shownTime(record.at_ms()), textOf(record.actor()),
                     textOf(record.action()), textOf(record.subject()), textOf(record.detail())});
    }
    const QString subject = arguments.value(u"subject"_s);
    QString text = textTable({u"NUMBER"_s, u"AT"_s, u"ACTOR"_s, u"ACTION"_s, u"SUBJECT"_s, u"DETAIL"_s}, rows);
    if (rows.isEmpty())
        text = subject.isEmpty() ? u"No records.\n"_s : u"No records about %1.\n"_s.arg(subject);
    text += found->chain_intact() ? u"The trail's chain is whole.\n"_s
                                  : u"The trail's chain is broken: somebody has changed or removed a record.\n"_s;
    return Answer{{{u"records"_s, array}, {u"chain_intact"_s, found->chain_intact()}},
                  text,
                  found->chain_intact() ? kOk : kFailed};
}

Result<Answer> backup(const Arguments &arguments)
{
    const QString dir = QFileInfo(arguments.words().first()).absoluteFilePath();
    wire::BackupRequest request;
    request.set_path(dir.toStdString());
    const auto done = clientFor(arguments).ask(method::admin("Backup"), spire::serialize(request));
    if (!done)
        return done.error();
    return Answer{
        {{u"directory"_s, dir}},
        u"The authority's state is in %1. Private keys that are files are in it: keep it as safe as them.\n"_s.arg(
            dir)};
}

Result<Answer> restore(const Arguments &arguments)
{
    if (!arguments.has(u"from"_s))
        return wrongUsage(u"Say with --from where the backup is. See `lintelctl authority --help`."_s);
    const auto config = configOf(arguments);
    if (!config)
        return config.error();
    QByteArray denyList;
    if (arguments.has(u"deny-list"_s)) {
        const auto read = tls::readWholeFile(arguments.value(u"deny-list"_s));
        if (!read)
            return read.error();
        denyList = read->trimmed();
    }
    const auto lock = authority::StateLock::take(config->authority.stateDir);
    if (!lock)
        return lock.error();
    const QString from = QFileInfo(arguments.value(u"from"_s)).absoluteFilePath();
    const auto done = authority::restoreBackup(from, config->authority, denyList, SystemClock().now());
    if (!done)
        return done.error();
    const QString &stateDir = config->authority.stateDir;
    QString text = u"The state of %1 is back, in %2.\n"_s.arg(config->authority.domain.name(), stateDir);
    if (denyList.isEmpty())
        text +=
            u"Without a deny list, revocations that are younger than the backup are lost: revoke those devices again.\n"_s;
    return Answer{{{u"state_dir"_s, stateDir}, {u"from"_s, from}, {u"with_deny_list"_s, !denyList.isEmpty()}}, text};
}

} // namespace

int runAuthority(const QStringList &arguments)
{
    const Option config{u"config"_s, u"FILE"_s, u"the configuration of lintel-authority"_s};
    return runGroup(
        {u"authority"_s,
         u"The authority on this machine. \"init\" and \"restore\" work on its files, while it does not run and\n"
         "as the user that it runs as; the others ask it over its socket."_s,
         {{u"init"_s,
           u"--config FILE [--bundle FILE]"_s,
           u"makes its first keys and certificates; one that is there stays as it is"_s,
           {config, {u"bundle"_s, u"FILE"_s, u"write the trust bundle there, for devices to begin with"_s}},
           0,
           init},
          {u"status"_s,
           QString(),
           u"how it is, and until when; exit code 1 when it is not well"_s,
           {socketOption()},
           0,
           status},
          {u"accept-clock"_s,
           QString(),
           u"this machine's clock is right, although it jumped or nothing proves it: the authority goes by it,\n"
           "and what is over by it is forgotten and destroyed for good"_s,
           {socketOption()},
           0,
           acceptClock},
          {u"refusals"_s,
           u"[--newest N]"_s,
           u"attestations that were turned away, merged by address and reason"_s,
           {{u"newest"_s, u"N"_s, u"how many (1000)"_s}, socketOption()},
           0,
           refusals},
          {u"audit"_s,
           u"[--after NUMBER] [--subject WHO]"_s,
           u"who changed what, the next 1000 records; exit code 1 when the trail's chain is broken"_s,
           {{u"after"_s, u"NUMBER"_s, u"go on behind this record"_s},
            {u"subject"_s, u"WHO"_s,
             u"only what is about this device (as `lintelctl device` names it) or other subject"_s},
            socketOption()},
           0,
           audit},
          {u"backup"_s,
           u"DIR"_s,
           u"a copy of its state in a new folder, while it runs on"_s,
           {socketOption()},
           1,
           backup},
          {u"restore"_s,
           u"--config FILE --from DIR [--deny-list FILE]"_s,
           u"puts a backup in place of a state that is gone"_s,
           {config,
            {u"from"_s, u"DIR"_s, u"the backup"_s},
            {u"deny-list"_s, u"FILE"_s, u"a deny list that a broker still has: brings later revocations back"_s}},
           0,
           restore}},
         u"  lintelctl authority init --config /etc/lintel/authority.yaml --bundle bundle.json\n"
         "  lintelctl authority refusals --newest 20\n"
         "  lintelctl authority accept-clock --json\n"
         "  lintelctl authority backup /var/backups/lintel-2026-11-21\n"_s},
        arguments);
}

} // namespace lintel::cli
