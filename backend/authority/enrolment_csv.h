// A list of devices to enrol as text: RFC 4180 with the head line
// hash,name,kind,site,space,tags,hardware,release; only hash and name must be there
// (in any order; tags separated by ';' or blanks). Pure; any thread.
#pragma once

#include "authority/records.h"

namespace lintel::authority {

struct EnrolmentRow {
    int line = 0; // from 1, where the row begins
    QString ekHash;
    DeviceFacts facts;
};
struct EnrolmentProblem {
    int line = 0;
    QString message; // behind the name of the column, where it is one's: "hash: ..."
};
struct EnrolmentList {
    QList<EnrolmentRow> rows;
    QList<EnrolmentProblem> problems; // every broken row, also two rows with the same hash or name
};

/// Never fails as a whole: what cannot be read is a problem with its line. At most 100,000 rows in UTF-8; after a
/// thousand problems the rest is not looked at.
[[nodiscard]] EnrolmentList parseEnrolments(const QByteArray &csv);

/// 64 hexadecimal digits, returned in lower case; with colons and blanks as tools print them.
[[nodiscard]] Result<QString> parseEkHash(const QString &text);
/// Whether these facts can be a device's: a name that can stand in a SPIFFE ID, no control characters.
[[nodiscard]] Result<void> checkFacts(const DeviceFacts &facts);

} // namespace lintel::authority
