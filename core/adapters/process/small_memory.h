// What a process on a device with 64 MB does to stay small. Linux and glibc; the main thread.
#pragma once

#include <functional>

class QObject;

namespace lintel::process {

/// First thing in main(), before QCoreApplication: one malloc arena, early trimming, Qt's own event
/// loop instead of GLib's.
void keepMemorySmall();

/// Some seconds after the start, and then every ten minutes, gives back what only the start or a
/// reconnection needed: free heap, and program text (clean pages of files, which come back by
/// themselves when they are run again). Ends with `owner`. Call what it returns, while `owner` lives, when
/// something rare has run (a renewal of the identity): then it does so some seconds later, too.
std::function<void()> returnIdleMemory(QObject *owner);

} // namespace lintel::process
