// Every row that is accepted can be enrolled.
#include "authority/enrolment_csv.h"

#include <cstdlib>

using namespace lintel::authority;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size)
{
    const auto list = parseEnrolments(QByteArray(reinterpret_cast<const char *>(data), qsizetype(size)));
    for (const EnrolmentRow &row : list.rows)
        if (!parseEkHash(row.ekHash) || !checkFacts(row.facts) || row.line < 1)
            std::abort();
    return 0;
}
