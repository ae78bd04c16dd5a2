// The TCG event log of a machine's firmware: what it says was measured at boot, and whether that
// leads to the PCR values which a TPM has signed. The crypto-agile format only.
// TCG PC Client Platform Firmware Profile 1.06, sections 9.2.1 (SHA-1 header record), 9.2.2
// (TCG_PCR_EVENT2) and 9.4.5.1 (EV_EFI_Specification_ID).
//
// Nothing in a log is true because it stands there: only PCR values under a quote make it so.
// Values; any thread. The parser never reads past its input and never throws.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QList>
#include <QMap>
#include <QString>

#include <optional>

namespace lintel::tpm {

struct BootEvent {
    int pcr = 0;
    quint32 type = 0;
    QByteArray sha256; // empty in a log without that bank
    QByteArray data;
};

struct EventLog {
    QList<BootEvent> events;
    bool hasSha256 = false;
};

/// Malformed, with the number of the event; Unsupported for a log of TPM 1.2 times.
[[nodiscard]] Result<EventLog> parseEventLog(const QByteArray &bytes);

/// PCR 0 to 15 and 23 of the SHA-256 bank after these events. Events on 16 to 22 are not replayed:
/// software may reset those.
[[nodiscard]] QMap<int, QByteArray> replay(const EventLog &log);

/// Whether UEFI secure boot was on, from an event on PCR 7 whose data has the digest it was
/// measured with. Nothing when the log does not say.
[[nodiscard]] std::optional<bool> secureBootOf(const EventLog &log);

} // namespace lintel::tpm
