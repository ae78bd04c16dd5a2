// What a test does when something it needs is not installed: it skips and says what to install.
// Where everything must be there (LINTEL_NO_SKIPS, as in CI), it fails instead.
#pragma once

#include <QTest>

#define LINTEL_SKIP(reason)                                                                                            \
    do {                                                                                                               \
        if (qEnvironmentVariableIsSet("LINTEL_NO_SKIPS"))                                                              \
            QFAIL(reason);                                                                                             \
        QSKIP(reason);                                                                                                 \
    } while (false)
