#include "authority/boot_view.h"

#include "authority/text_table.h"

#include <QJsonArray>

#include <algorithm>

namespace lintel::cli {

using namespace Qt::StringLiterals;
using spire::bytesOf;
using spire::textOf;

namespace {

constexpr int kRegisters = 24;
constexpr int kDigestBytes = 32;

QString hexOf(const std::string &bytes)
{
    return QString::fromLatin1(bytesOf(bytes).toHex());
}

QString base64Of(const std::string &bytes)
{
    return QString::fromLatin1(bytesOf(bytes).toBase64());
}

wire::ReferenceValues::Register *registerOf(wire::ReferenceValues *values, quint32 number)
{
    for (auto &one : *values->mutable_registers())
        if (one.number() == number)
            return &one;
    auto *added = values->add_registers();
    added->set_number(number);
    return added;
}

} // namespace

QString verdictWord(wire::Verdict verdict)
{
    switch (verdict) {
    case wire::IDENTITY_VERIFIED: return u"identity_verified"_s;
    case wire::MEASURED: return u"measured"_s;
    case wire::MEASUREMENT_DIFFERS: return u"measurement_differs"_s;
    case wire::EVENT_LOG_CONTRADICTS: return u"event_log_contradicts"_s;
    case wire::REFUSED: return u"refused"_s;
    default: return u"not_attested"_s;
    }
}

QJsonObject pcrsJson(const google::protobuf::Map<google::protobuf::uint32, std::string> &pcrs)
{
    QJsonObject json;
    for (const auto &[number, digest] : pcrs)
        json.insert(QString::number(number), hexOf(digest));
    return json;
}

Answer historyAnswer(const wire::ListAttestationsResponse &history)
{
    QJsonArray array;
    QStringList blocks;
    for (const auto &one : history.attestations()) {
        QJsonObject json{
            {u"at"_s, shownTime(one.at_ms())},
            {u"agent_id"_s, textOf(one.agent_id())},
            {u"address"_s, textOf(one.address())},
            {u"verdict"_s, verdictWord(one.verdict())},
            {u"verdict_text"_s, textOf(one.verdict_text())},
            {u"reason"_s, textOf(one.reason())},
            {u"change"_s, textOf(one.change())},
            {u"pcrs"_s, pcrsJson(one.pcrs())},
            {u"event_log_sha256"_s, hexOf(one.event_log_sha256())},
        };
        if (!one.quote().empty() || !one.event_log().empty()) {
            json.insert(u"quote"_s, base64Of(one.quote()));
            json.insert(u"quote_signature"_s, base64Of(one.quote_signature()));
            json.insert(u"event_log"_s, base64Of(one.event_log()));
        }
        array.append(json);
        QList<std::pair<QString, QString>> facts{
            {u"attested at"_s, shownTime(one.at_ms())},
            {u"from"_s, textOf(one.address())},
            {u"verdict"_s, textOf(one.verdict_text())},
            {u"because"_s, textOf(one.reason())},
            {u"changed"_s, textOf(one.change())},
            {u"event log"_s,
             one.event_log_sha256().empty() ? QString() : u"SHA-256 "_s + hexOf(one.event_log_sha256())},
        };
        for (int number = 0; number < kRegisters; ++number)
            if (const auto found = one.pcrs().find(quint32(number)); found != one.pcrs().end())
                facts.append({u"PCR %1"_s.arg(number), hexOf(found->second)});
        blocks.append(textFacts(facts));
    }
    const QString text = blocks.isEmpty() ? u"It has never attested with a TPM.\n"_s : blocks.join(u'\n');
    return Answer{{{u"attestations"_s, array}}, text};
}

QJsonObject referenceJson(const wire::ReferenceValues &values)
{
    QJsonObject registers;
    for (const auto &one : values.registers()) {
        QJsonArray alternatives;
        for (const std::string &value : one.values())
            alternatives.append(hexOf(value));
        registers.insert(QString::number(one.number()), alternatives);
    }
    return {
        {u"hardware"_s, textOf(values.hardware())}, {u"release"_s, textOf(values.release())}, {u"pcrs"_s, registers}};
}

QString referenceText(const wire::ReferenceValues &values)
{
    QList<std::pair<QString, QString>> facts{{u"hardware"_s, textOf(values.hardware())},
                                             {u"release"_s, textOf(values.release())}};
    for (const auto &one : values.registers())
        for (int i = 0; i < one.values_size(); ++i)
            facts.append({i == 0 ? u"PCR %1"_s.arg(one.number()) : u"or"_s, hexOf(one.values(i))});
    return textFacts(facts);
}

Result<void> takeRegister(const QString &text, wire::ReferenceValues *out)
{
    const QString number = text.section(u'=', 0, 0);
    const QString hex = text.section(u'=', 1).toLower();
    bool isNumber = false;
    const int index = number.toInt(&isNumber);
    const QByteArray value = QByteArray::fromHex(hex.toLatin1());
    if (!isNumber || index < 0 || index >= kRegisters || value.size() != kDigestBytes
        || QString::fromLatin1(value.toHex()) != hex)
        return wrongUsage(
            u"--pcr %1: say NUMBER=VALUE, a number from 0 to 23 and 64 hexadecimal digits (SHA-256)."_s.arg(
                text.left(80)));
    registerOf(out, quint32(index))->add_values(value.toStdString());
    return {};
}

} // namespace lintel::cli
