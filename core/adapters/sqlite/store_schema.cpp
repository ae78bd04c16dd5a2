#include "adapters/sqlite/store_schema.h"

#include <array>

namespace lintel::sqlite {

namespace {

// spool:    one row. head lives here and not in the largest msn, so that numbering never goes back
//           when everything has been acknowledged and deleted.
// batch:    what is not acknowledged. What eviction needs stands beside the sealed payload, so that
//           a full spool makes room without opening anything.
// receipt:  which numbers of a sender's stream have been taken.
// series, history: a gateway's readings by point and time; id is the order of arrival.
constexpr std::array kStore{Migration{R"(
    CREATE TABLE spool (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        stream BLOB NOT NULL,
        head INTEGER NOT NULL,
        acknowledged INTEGER NOT NULL,
        pending_readings INTEGER NOT NULL,
        pending_batches INTEGER NOT NULL,
        used_bytes INTEGER NOT NULL,
        total_readings INTEGER NOT NULL,
        dropped_readings INTEGER NOT NULL,
        duplicate_batches INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE batch (
        msn INTEGER PRIMARY KEY,
        device TEXT NOT NULL,
        readings INTEGER NOT NULL,
        losses INTEGER NOT NULL,
        from_ms INTEGER,
        to_ms INTEGER,
        bytes INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE INDEX batch_from ON batch (from_ms) WHERE from_ms IS NOT NULL;
    CREATE TABLE receipt (
        stream BLOB PRIMARY KEY,
        contiguous INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE receipt_range (
        stream BLOB NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (stream, first)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE loss (
        id INTEGER PRIMARY KEY,
        device TEXT NOT NULL,
        stream BLOB NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        readings INTEGER NOT NULL,
        from_ms INTEGER,
        to_ms INTEGER,
        reason INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX loss_end ON loss (stream, reason, last);
    CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        device TEXT NOT NULL,
        point TEXT NOT NULL,
        UNIQUE (device, point)
    ) STRICT;
    CREATE TABLE history (
        id INTEGER PRIMARY KEY,
        series INTEGER NOT NULL REFERENCES series (id),
        at_ms INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        value ANY,
        unit TEXT NOT NULL,
        quality INTEGER NOT NULL,
        historical INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX history_time ON history (series, at_ms);
)"},
                            // How far the note beside the file (loss_note.h) is settled.
                            Migration{"ALTER TABLE spool ADD COLUMN settled INTEGER NOT NULL DEFAULT 0"}};

constexpr std::array kState{Migration{R"(
    CREATE TABLE state (
        key TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
)"}};

} // namespace

std::span<const Migration> storeMigrations()
{
    return kStore;
}

std::span<const Migration> stateMigrations()
{
    return kState;
}

} // namespace lintel::sqlite
