// What devices have measured, and should have measured, as lintelctl shows it. Pure; any thread.
#pragma once

#include "authority/group.h"

#include "lintel_authority.pb.h"

namespace lintel::cli {

namespace wire = ::lintel::authority::v1;

[[nodiscard]] QString verdictWord(wire::Verdict verdict);
[[nodiscard]] QJsonObject pcrsJson(const google::protobuf::Map<google::protobuf::uint32, std::string> &pcrs);
[[nodiscard]] Answer historyAnswer(const wire::ListAttestationsResponse &history);
[[nodiscard]] QJsonObject referenceJson(const wire::ReferenceValues &values);
[[nodiscard]] QString referenceText(const wire::ReferenceValues &values);
/// "4=HEX"; several values of one register are alternatives. Malformed.
[[nodiscard]] Result<void> takeRegister(const QString &text, wire::ReferenceValues *out);

} // namespace lintel::cli
