// Spool and state of a sensor whose disk was full when it started: they are opened as soon as there is
// room, and refuse until then, so that the sensor measures meanwhile and keeps in memory what it can.
//
// Until then there is no place for a note of what is only in memory either (sqlite/loss_note.h): it is reserved
// with the spool. So a process that ends before leaves no record of what it had measured. On its first start
// nothing was ever accepted then, and its gateway has never heard of it; later, what the spool holds and what
// its note says stay as they are. The log says so, and status() tells `held_is_noted` false.
//
// Owner: main(). Thread: the sensor's. Failure: until it is open, calls return why it is not; the spool's
// stream is null.
#pragma once

#include "ports/reading_spool.h"
#include "ports/state_store.h"

#include <functional>
#include <memory>

namespace lintel {

struct OpenStorage {
    std::unique_ptr<ReadingSpool> spool;
    std::unique_ptr<StateStore> state;
};

class LateStorage
{
public:
    using Open = std::function<Result<OpenStorage>()>;

    explicit LateStorage(Open open);
    ~LateStorage();

    /// Errc::Full: there is no room yet, and a later attempt may do. Opens once; then it does nothing.
    [[nodiscard]] Result<void> tryOpen();
    [[nodiscard]] bool isOpen() const { return m_storage.spool != nullptr; }

    [[nodiscard]] ReadingSpool &spool() { return *m_spool; }
    [[nodiscard]] StateStore &state() { return *m_state; }

private:
    class Spool;
    class State;

    Open m_open;
    Error m_why;
    OpenStorage m_storage;
    std::unique_ptr<ReadingSpool> m_spool;
    std::unique_ptr<StateStore> m_state;
};

} // namespace lintel
