#include "workload-api/workload_messages.h"

#include "spire/wire.h"

#include "workload.pb.h"

#include <QJsonArray>

namespace lintel::workloads {

using namespace Qt::StringLiterals;
using spire::bytesOf;
using spire::serializeStable;
using spire::stringOf;
using spire::textOf;

namespace {

std::string concatenated(const QList<QByteArray> &ders)
{
    return stringOf(ders.join());
}

std::string idOf(const TrustDomain &domain)
{
    return "spiffe://" + domain.name().toStdString();
}

void setValue(workload::Value &out, const QJsonValue &value);

void setStruct(workload::Struct &out, const QJsonObject &object)
{
    for (auto it = object.begin(); it != object.end(); ++it)
        setValue((*out.mutable_fields())[it.key().toStdString()], it.value());
}

/// As deep as the JSON parser went, which has a limit of its own.
void setValue(workload::Value &out, const QJsonValue &value)
{
    switch (value.type()) {
    case QJsonValue::Bool: out.set_bool_value(value.toBool()); break;
    case QJsonValue::Double: out.set_number_value(value.toDouble()); break;
    case QJsonValue::String: out.set_string_value(value.toString().toStdString()); break;
    case QJsonValue::Array: {
        auto *list = out.mutable_list_value();
        for (const QJsonValue one : value.toArray())
            setValue(*list->add_values(), one);
        break;
    }
    case QJsonValue::Object: setStruct(*out.mutable_struct_value(), value.toObject()); break;
    default: out.set_null_value(0); break;
    }
}

} // namespace

QByteArray x509SvidResponse(const QList<HandedSvid> &svids, const Bundles &bundles)
{
    workload::X509SVIDResponse response;
    for (const HandedSvid &svid : svids) {
        auto *one = response.add_svids();
        one->set_spiffe_id(svid.id.toString().toStdString());
        one->set_x509_svid(concatenated(svid.chainDer));
        one->set_x509_svid_key(stringOf(svid.keyDer));
        one->set_bundle(concatenated(bundles.value(svid.id.trustDomain()).x509Authorities));
        one->set_hint(svid.hint.toStdString());
    }
    for (auto it = bundles.cbegin(); it != bundles.cend(); ++it) {
        const bool isOwn = !svids.isEmpty() && svids.first().id.isMemberOf(it.key());
        if (!isOwn && !it->x509Authorities.isEmpty())
            (*response.mutable_federated_bundles())[idOf(it.key())] = concatenated(it->x509Authorities);
    }
    return serializeStable(response);
}

QByteArray x509BundlesResponse(const Bundles &bundles)
{
    workload::X509BundlesResponse response;
    for (auto it = bundles.cbegin(); it != bundles.cend(); ++it) {
        if (!it->x509Authorities.isEmpty())
            (*response.mutable_bundles())[idOf(it.key())] = concatenated(it->x509Authorities);
    }
    return serializeStable(response);
}

Result<QByteArray> jwtBundlesResponse(const Bundles &bundles)
{
    workload::JWTBundlesResponse response;
    for (auto it = bundles.cbegin(); it != bundles.cend(); ++it) {
        if (it->jwtAuthorities.isEmpty())
            continue;
        const auto keys = tls::printJwtKeySet(it->jwtAuthorities);
        if (!keys)
            return keys.error();
        (*response.mutable_bundles())[idOf(it.key())] = stringOf(*keys);
    }
    return serializeStable(response);
}

Result<TokenQuestion> readTokenQuestion(const QByteArray &message)
{
    const auto request = spire::parse<workload::JWTSVIDRequest>(message);
    if (!request)
        return request.error();
    TokenQuestion question;
    for (const std::string &name : request->audience())
        question.audience.append(textOf(name));
    question.spiffeId = textOf(request->spiffe_id());
    return question;
}

QByteArray tokenAnswer(const QList<HandedToken> &tokens)
{
    workload::JWTSVIDResponse response;
    for (const HandedToken &token : tokens) {
        auto *one = response.add_svids();
        one->set_spiffe_id(token.id.toString().toStdString());
        one->set_svid(stringOf(token.token));
        one->set_hint(token.hint.toStdString());
    }
    return serializeStable(response);
}

Result<ValidationQuestion> readValidationQuestion(const QByteArray &message)
{
    const auto request = spire::parse<workload::ValidateJWTSVIDRequest>(message);
    if (!request)
        return request.error();
    return ValidationQuestion{textOf(request->audience()), bytesOf(request->svid())};
}

QByteArray validationAnswer(const SpiffeId &id, const QJsonObject &claims)
{
    workload::ValidateJWTSVIDResponse response;
    response.set_spiffe_id(id.toString().toStdString());
    setStruct(*response.mutable_claims(), claims);
    return serializeStable(response);
}

Result<void> readEmptyQuestion(const QByteArray &message)
{
    const auto request = spire::parse<workload::X509SVIDRequest>(message);
    if (!request)
        return request.error();
    return {};
}

} // namespace lintel::workloads
