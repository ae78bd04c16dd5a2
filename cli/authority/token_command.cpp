#include "authority/commands.h"
#include "authority/device_view.h"
#include "authority/text_table.h"
#include "call_options.h"
#include "spire/server_methods.h"
#include "tls/identity_files.h"

namespace lintel::cli {

using namespace Qt::StringLiterals;
using spire::textOf;

namespace {

constexpr Millis kUsualLife{10 * 60'000};

Result<Answer> create(const Arguments &arguments)
{
    Millis ttl = kUsualLife;
    if (arguments.has(u"ttl"_s)) {
        const auto parsed = parseDuration(arguments.value(u"ttl"_s));
        if (!parsed || *parsed < Millis{1'000})
            return wrongUsage(
                u"--ttl %1: say how long the token is good, 1s to 30d, such as 90s, 10m, 12h or 2d."_s.arg(
                    arguments.value(u"ttl"_s)));
        ttl = *parsed;
    }
    if (!arguments.has(u"name"_s))
        return wrongUsage(u"Say with --name which device the token is for. See `lintelctl token --help`."_s);
    wire::CreateTokenRequest request;
    takeFacts(arguments, request.mutable_enrolment());
    request.set_ttl_s(ttl.count() / 1'000);
    const auto token =
        clientFor(arguments).call<wire::CreateTokenResponse>(spire::method::admin("CreateToken"), request);
    if (!token)
        return token.error();
    const QString file = arguments.value(u"out"_s);
    if (!file.isEmpty())
        if (const auto written = tls::writePrivateFile(file, QByteArray::fromStdString(token->token()) + '\n');
            !written)
            return written.error();
    QJsonObject json{{u"spiffe_id"_s, textOf(token->spiffe_id())},
                     {u"expires_at"_s, shownTime(token->expires_at_ms())}};
    if (file.isEmpty())
        json.insert(u"token"_s, textOf(token->token()));
    else
        json.insert(u"file"_s, file);
    return Answer{json, textFacts({{u"token"_s, file.isEmpty() ? textOf(token->token()) : QString()},
                                   {u"token in"_s, file},
                                   {u"for"_s, textOf(token->spiffe_id())},
                                   {u"good until"_s, shownTime(token->expires_at_ms())}})};
}

} // namespace

int runToken(const QStringList &arguments)
{
    QList<Option> options = factOptions();
    options += {{u"ttl"_s, u"TIME"_s, u"how long it may be used for the first time, 1s to 30d (10m)"_s},
                {u"out"_s, u"FILE"_s, u"write the token there (mode 0600) instead of showing it"_s},
                socketOption()};
    return runGroup(
        {u"token"_s,
         u"Join tokens, for machines without a TPM: good once, for a key in software. Such a device is never\n"
         "shown as attested."_s,
         {{u"create"_s,
           u"--name NAME [--kind KIND] [--site SITE] [--space SPACE] [--tag TAG]...\n"
           "          [--hardware HARDWARE] [--release RELEASE] [--ttl TIME] [--out FILE]"_s,
           u"a token, and the enrolment of the device that will come with it"_s, options, 0, create}},
         u"  lintelctl token create --name lobby-panel --kind panel --site building-1 --ttl 1h --out token\n"_s},
        arguments);
}

} // namespace lintel::cli
