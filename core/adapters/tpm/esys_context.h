// The one ESYS context behind a TpmDevice: opened when it is needed, closed when the TPM vanished,
// and the small C++ around ESYS' C. Private to this adapter. Not thread-safe: TpmDevice holds a lock
// around every use. Inside of the adapter failures are TssError; TpmDevice turns them into Results.
#pragma once

#include "domain/result.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include <QByteArray>
#include <QString>

#include <memory>
#include <optional>
#include <vector>

namespace lintel::tpm {

struct TssError {
    TSS2_RC code = TSS2_RC_SUCCESS;
    const char *command = "";
};

void check(TSS2_RC code, const char *command);
/// The connection to the TPM is broken: only opening it anew helps.
[[nodiscard]] bool isConnectionLost(TSS2_RC code);
/// The TPM forgot an object or session (reset, another user without a resource manager).
[[nodiscard]] bool isHandleLost(TSS2_RC code);
/// TPM2_RC of the TPM itself without the number of the parameter, handle or session.
[[nodiscard]] TSS2_RC plainCode(TSS2_RC code);
[[nodiscard]] Error errorOf(const TssError &failure);

struct EsysFreer {
    void operator()(void *object) const { Esys_Free(object); }
};
template <class T>
using EsysPtr = std::unique_ptr<T, EsysFreer>;

/// For the out-parameters of ESYS: check(Esys_X(…, Out(pointer)), "X").
template <class T>
class Out
{
public:
    explicit Out(EsysPtr<T> &target) : m_target(target) {}
    ~Out() { m_target.reset(m_raw); }
    Out(const Out &) = delete;
    Out &operator=(const Out &) = delete;
    operator T **() { return &m_raw; }

private:
    EsysPtr<T> &m_target;
    T *m_raw = nullptr;
};

class EsysContext
{
public:
    explicit EsysContext(QString tcti);
    ~EsysContext();
    EsysContext(const EsysContext &) = delete;
    EsysContext &operator=(const EsysContext &) = delete;

    /// Opens it when it is closed: starts the TPM up where nobody did, and without a resource
    /// manager flushes what a predecessor left loaded. Throws TssError.
    [[nodiscard]] ESYS_CONTEXT *open();
    void close();
    /// Grows with each opening: handles of an older one are gone.
    [[nodiscard]] quint64 generation() const { return m_generation; }

    [[nodiscard]] quint32 property(TPM2_PT which);
    /// Handles of one kind from `first` on, at most one page.
    [[nodiscard]] std::vector<TPM2_HANDLE> handles(TPM2_HANDLE first);
    [[nodiscard]] bool exists(TPM2_HANDLE handle);
    [[nodiscard]] QByteArray readNv(TPM2_HANDLE index);
    void flush(ESYS_TR handle);

private:
    void flushLeftovers();

    QString m_tcti;
    TSS2_TCTI_CONTEXT *m_transport = nullptr;
    ESYS_CONTEXT *m_esys = nullptr;
    quint64 m_generation = 0;
};

/// swtpm's socket raises SIGPIPE when its other end is gone; that signal belongs to nobody here.
class SigpipeGuard
{
public:
    SigpipeGuard();
    ~SigpipeGuard();
    SigpipeGuard(const SigpipeGuard &) = delete;
    SigpipeGuard &operator=(const SigpipeGuard &) = delete;

private:
    sigset_t m_before{};
    bool m_wasPending = false;
};

} // namespace lintel::tpm
