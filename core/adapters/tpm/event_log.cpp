#include "tpm/event_log.h"

#include <QCryptographicHash>
#include <QtEndian>

#include <array>

namespace lintel::tpm {

using namespace Qt::StringLiterals;

namespace {
constexpr quint32 kNoAction = 0x3;
constexpr quint32 kEfiVariableDriverConfig = 0x80000001;
constexpr quint16 kSha256 = 0x000b;
constexpr qsizetype kSha1Bytes = 20;
constexpr qsizetype kSha256Bytes = 32;
constexpr quint32 kMaxPcr = 23;
constexpr quint32 kMaxAlgorithms = 16;
constexpr qsizetype kMaxEvents = 20'000;
constexpr QByteArrayView kSpecId("Spec ID Event03\0", 16);
constexpr QByteArrayView kStartupLocality("StartupLocality\0", 16);

/// Little-endian, bounded; after the first failure everything fails.
class Reader
{
public:
    explicit Reader(QByteArrayView in) : m_in(in) {}

    template <class T>
    [[nodiscard]] T number()
    {
        const QByteArrayView bytes = take(static_cast<qsizetype>(sizeof(T)));
        return m_ok ? qFromLittleEndian<T>(bytes.data()) : T{};
    }
    [[nodiscard]] QByteArrayView take(qsizetype size)
    {
        if (!m_ok || size < 0 || size > m_in.size() - m_at) {
            m_ok = false;
            return {};
        }
        const QByteArrayView bytes = m_in.sliced(m_at, size);
        m_at += size;
        return bytes;
    }
    void skip(qsizetype size) { static_cast<void>(take(size)); }
    [[nodiscard]] bool ok() const { return m_ok; }
    [[nodiscard]] bool atEnd() const { return m_at == m_in.size(); }

private:
    QByteArrayView m_in;
    qsizetype m_at = 0;
    bool m_ok = true;
};

using DigestSizes = QMap<quint16, qsizetype>;

/// The first record has the old form; its data names the algorithms of all others.
std::optional<DigestSizes> readHeader(Reader &in)
{
    in.skip(4);
    const auto type = in.number<quint32>();
    in.skip(kSha1Bytes);
    Reader spec(in.take(in.number<quint32>()));
    if (!in.ok() || type != kNoAction || spec.take(kSpecId.size()) != kSpecId)
        return std::nullopt;
    spec.skip(4 + 4); // platform class; versions, errata and the size of UINTN
    const auto algorithms = spec.number<quint32>();
    DigestSizes sizes;
    for (quint32 i = 0; spec.ok() && i < algorithms && i < kMaxAlgorithms; ++i) {
        const auto id = spec.number<quint16>();
        sizes.insert(id, spec.number<quint16>());
    }
    if (!spec.ok() || algorithms == 0 || algorithms > kMaxAlgorithms)
        return std::nullopt;
    if (sizes.contains(kSha256) && sizes.value(kSha256) != kSha256Bytes)
        return std::nullopt;
    return sizes;
}

std::optional<BootEvent> readEvent(Reader &in, const DigestSizes &sizes)
{
    const auto pcr = in.number<quint32>();
    BootEvent event;
    event.type = in.number<quint32>();
    const auto digests = in.number<quint32>();
    if (!in.ok() || pcr > kMaxPcr || digests > kMaxAlgorithms)
        return std::nullopt;
    event.pcr = static_cast<int>(pcr);
    for (quint32 i = 0; i < digests; ++i) {
        const auto algorithm = in.number<quint16>();
        if (!in.ok() || !sizes.contains(algorithm))
            return std::nullopt;
        const QByteArrayView digest = in.take(sizes.value(algorithm));
        if (algorithm == kSha256)
            event.sha256 = digest.toByteArray();
    }
    event.data = in.take(in.number<quint32>()).toByteArray();
    if (!in.ok())
        return std::nullopt;
    return event;
}

bool isReplayed(int pcr)
{
    return pcr <= 15 || pcr == 23;
}

QByteArray startValue(const BootEvent &event)
{
    QByteArray value(kSha256Bytes, '\0');
    if (event.data.size() > kStartupLocality.size())
        value[kSha256Bytes - 1] = event.data[kStartupLocality.size()];
    return value;
}
} // namespace

Result<EventLog> parseEventLog(const QByteArray &bytes)
{
    Reader in(bytes);
    const auto sizes = readHeader(in);
    if (!sizes)
        return Error{Errc::Unsupported, u"The boot event log is not in the crypto-agile format of TPM 2.0."_s};
    EventLog log;
    log.hasSha256 = sizes->contains(kSha256);
    while (!in.atEnd()) {
        auto event = readEvent(in, *sizes);
        if (!event || log.events.size() >= kMaxEvents)
            return Error{Errc::Malformed,
                         u"The boot event log cannot be read beyond event %1."_s.arg(log.events.size())};
        log.events.append(std::move(*event));
    }
    return log;
}

QMap<int, QByteArray> replay(const EventLog &log)
{
    QMap<int, QByteArray> pcrs;
    for (int pcr = 0; pcr <= static_cast<int>(kMaxPcr); ++pcr)
        if (isReplayed(pcr))
            pcrs.insert(pcr, QByteArray(kSha256Bytes, '\0'));
    for (const BootEvent &event : log.events) {
        if (event.type == kNoAction) {
            if (event.pcr == 0 && event.data.startsWith(kStartupLocality))
                pcrs[0] = startValue(event);
            continue;
        }
        if (isReplayed(event.pcr) && event.sha256.size() == kSha256Bytes)
            pcrs[event.pcr] = QCryptographicHash::hash(pcrs[event.pcr] + event.sha256, QCryptographicHash::Sha256);
    }
    return pcrs;
}

std::optional<bool> secureBootOf(const EventLog &log)
{
    for (const BootEvent &event : log.events) {
        if (event.pcr != 7 || event.type != kEfiVariableDriverConfig
            || QCryptographicHash::hash(event.data, QCryptographicHash::Sha256) != event.sha256)
            continue;
        Reader in(event.data); // UEFI_VARIABLE_DATA, section 9.2.6
        in.skip(16);
        const auto nameLength = in.number<quint64>();
        const auto dataLength = in.number<quint64>();
        const auto size = static_cast<quint64>(event.data.size());
        if (!in.ok() || nameLength > size || dataLength > size)
            continue;
        const QByteArrayView name = in.take(static_cast<qsizetype>(nameLength) * 2);
        const QByteArrayView data = in.take(static_cast<qsizetype>(dataLength));
        if (in.ok() && name == QByteArrayView("S\0e\0c\0u\0r\0e\0B\0o\0o\0t\0", 20))
            return data.size() == 1 && data[0] == 1;
    }
    return std::nullopt;
}

} // namespace lintel::tpm
