#include "tpm/esys_context.h"

#include <algorithm>
#include <csignal>
#include <ctime>

namespace lintel::tpm {

using namespace Qt::StringLiterals;

namespace {
constexpr TSS2_RC kLayerMask = 0x00ff0000;
constexpr TSS2_RC kCodeMask = 0x0000ffff;
constexpr quint32 kPage = 64;
constexpr quint16 kSmallestNvBuffer = 512; // part 2 asks for at least this much

bool hasResourceManager(const QString &tcti)
{
    return tcti.contains(u"tpmrm"_s) || tcti.startsWith(u"tabrmd"_s);
}

sigset_t onlySigpipe()
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}
} // namespace

void check(TSS2_RC code, const char *command)
{
    if (code != TSS2_RC_SUCCESS)
        throw TssError{code, command};
}

bool isConnectionLost(TSS2_RC code)
{
    const TSS2_RC layer = code & kLayerMask;
    const TSS2_RC plain = code & kCodeMask;
    return layer == TSS2_TCTI_RC_LAYER
           || (layer != TSS2_TPM_RC_LAYER && (plain == TSS2_BASE_RC_IO_ERROR || plain == TSS2_BASE_RC_NO_CONNECTION));
}

TSS2_RC plainCode(TSS2_RC code)
{
    constexpr TSS2_RC kFormatOne = 0x080;
    constexpr TSS2_RC kFormatOneError = 0x0bf; // without the number of what is wrong (part 2, 6.6.2)
    const TSS2_RC plain = code & 0xfff;
    return plain & kFormatOne ? plain & kFormatOneError : plain;
}

bool isHandleLost(TSS2_RC code)
{
    if ((code & kLayerMask) == TSS2_ESAPI_RC_LAYER)
        return (code & kCodeMask) == TSS2_BASE_RC_BAD_TR;
    const TSS2_RC plain = plainCode(code);
    return plain == TPM2_RC_HANDLE || plain == TPM2_RC_INITIALIZE
           || (plain >= TPM2_RC_REFERENCE_H0 && plain <= TPM2_RC_REFERENCE_S6);
}

Error errorOf(const TssError &failure)
{
    const QString command = QString::fromLatin1(failure.command);
    const QString code = QString::number(failure.code, 16);
    if (isConnectionLost(failure.code))
        return {Errc::Unavailable, u"The TPM does not answer (%1, code 0x%2). Check that it is there and that no other "
                                   "program holds it."_s.arg(command, code)};
    switch (plainCode(failure.code)) {
    case TPM2_RC_LOCKOUT:
        return {Errc::Unavailable, u"The TPM is in lockout after wrong passwords; wait, or clear the lockout "
                                   "(%1, code 0x%2)."_s.arg(command, code)};
    case TPM2_RC_BAD_AUTH:
    case TPM2_RC_AUTH_FAIL:
    case TPM2_RC_AUTH_MISSING:
        return {Errc::Denied, u"The TPM asks for a password that Lintel does not have (%1, code 0x%2); its owner "
                              "hierarchy has to be without one."_s.arg(command, code)};
    default: return {Errc::Io, u"The TPM refused %1 (code 0x%2)."_s.arg(command, code)};
    }
}

EsysContext::EsysContext(QString tcti) : m_tcti(std::move(tcti)) {}

EsysContext::~EsysContext()
{
    close();
}

ESYS_CONTEXT *EsysContext::open()
{
    if (m_esys)
        return m_esys;
    ++m_generation;
    try {
        check(Tss2_TctiLdr_Initialize(m_tcti.toUtf8().constData(), &m_transport), "opening the connection");
        check(Esys_Initialize(&m_esys, m_transport, nullptr), "opening the context");
        const TSS2_RC started = Esys_Startup(m_esys, TPM2_SU_CLEAR);
        if (started != TPM2_RC_INITIALIZE) // what firmware has started says so
            check(started, "Startup");
        if (!hasResourceManager(m_tcti))
            flushLeftovers();
    } catch (const TssError &failure) {
        close();
        // Whatever hinders the opening: nothing answers there as a TPM.
        throw TssError{isConnectionLost(failure.code) ? failure.code : TSS2_TCTI_RC_NO_CONNECTION, failure.command};
    }
    return m_esys;
}

void EsysContext::close()
{
    if (m_esys)
        Esys_Finalize(&m_esys);
    if (m_transport)
        Tss2_TctiLdr_Finalize(&m_transport);
    m_esys = nullptr;
    m_transport = nullptr;
}

/// A TPM has three places for objects: what a process left there that was killed, blocks the next.
void EsysContext::flushLeftovers()
{
    for (const TPM2_HANDLE kind : {TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST})
        for (const TPM2_HANDLE handle : handles(kind)) {
            ESYS_TR object = ESYS_TR_NONE;
            if (Esys_TR_FromTPMPublic(m_esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object)
                == TSS2_RC_SUCCESS)
                Esys_FlushContext(m_esys, object);
        }
}

quint32 EsysContext::property(TPM2_PT which)
{
    EsysPtr<TPMS_CAPABILITY_DATA> data;
    check(Esys_GetCapability(m_esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES, which, 1,
                             nullptr, Out(data)),
          "GetCapability");
    const TPML_TAGGED_TPM_PROPERTY &list = data->data.tpmProperties;
    return list.count == 1 && list.tpmProperty[0].property == which ? list.tpmProperty[0].value : 0;
}

std::vector<TPM2_HANDLE> EsysContext::handles(TPM2_HANDLE first)
{
    EsysPtr<TPMS_CAPABILITY_DATA> data;
    check(Esys_GetCapability(m_esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES, first, kPage, nullptr,
                             Out(data)),
          "GetCapability");
    const TPML_HANDLE &list = data->data.handles;
    return {list.handle, list.handle + std::min<quint32>(list.count, TPM2_MAX_CAP_HANDLES)};
}

bool EsysContext::exists(TPM2_HANDLE handle)
{
    const auto found = handles(handle);
    return !found.empty() && found.front() == handle;
}

QByteArray EsysContext::readNv(TPM2_HANDLE index)
{
    ESYS_TR nv = ESYS_TR_NONE;
    check(Esys_TR_FromTPMPublic(m_esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &nv), "NV_ReadPublic");
    EsysPtr<TPM2B_NV_PUBLIC> info;
    check(Esys_NV_ReadPublic(m_esys, nv, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, Out(info), nullptr),
          "NV_ReadPublic");
    const quint16 chunk =
        std::max(kSmallestNvBuffer,
                 static_cast<quint16>(std::min<quint32>(property(TPM2_PT_NV_BUFFER_MAX), TPM2_MAX_NV_BUFFER_SIZE)));
    const ESYS_TR reader = info->nvPublic.attributes & TPMA_NV_AUTHREAD ? nv : ESYS_TR_RH_OWNER;
    QByteArray content;
    while (content.size() < info->nvPublic.dataSize) {
        const auto offset = static_cast<quint16>(content.size());
        const auto size = std::min<quint16>(static_cast<quint16>(info->nvPublic.dataSize - offset), chunk);
        EsysPtr<TPM2B_MAX_NV_BUFFER> part;
        check(Esys_NV_Read(m_esys, reader, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, size, offset, Out(part)),
              "NV_Read");
        if (part->size == 0)
            throw TssError{TSS2_TCTI_RC_MALFORMED_RESPONSE, "NV_Read"};
        content.append(reinterpret_cast<const char *>(part->buffer), part->size);
    }
    Esys_TR_Close(m_esys, &nv);
    return content;
}

void EsysContext::flush(ESYS_TR handle)
{
    if (m_esys && handle != ESYS_TR_NONE)
        Esys_FlushContext(m_esys, handle);
}

SigpipeGuard::SigpipeGuard()
{
    sigset_t pending;
    sigpending(&pending);
    m_wasPending = sigismember(&pending, SIGPIPE) == 1;
    const sigset_t set = onlySigpipe();
    pthread_sigmask(SIG_BLOCK, &set, &m_before);
}

SigpipeGuard::~SigpipeGuard()
{
    if (!m_wasPending) {
        const sigset_t set = onlySigpipe();
        const timespec now{};
        while (sigtimedwait(&set, nullptr, &now) > 0) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &m_before, nullptr);
}

} // namespace lintel::tpm
