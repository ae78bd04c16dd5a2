// TPM structures to bytes and back, and TPM public keys as OpenSSL's. Private to this adapter. Pure
// functions; any thread.
#pragma once

#include "domain/result.h"
#include "tls/openssl_handles.h"

#include <tss2/tss2_mu.h>
#include <tss2/tss2_tpm2_types.h>

#include <QByteArray>
#include <QByteArrayView>

#include <memory>
#include <optional>

namespace lintel::tpm {

using EvpKeyPtr = std::unique_ptr<EVP_PKEY, tls::Freer<EVP_PKEY_free>>;

/// Unmarshals exactly the whole input; nothing when bytes are missing, wrong or left over.
template <class T, auto Unmarshal>
[[nodiscard]] std::optional<T> unmarshalled(QByteArrayView bytes)
{
    T value{};
    size_t offset = 0;
    const auto *data = reinterpret_cast<const uint8_t *>(bytes.data());
    if (bytes.isEmpty() || Unmarshal(data, static_cast<size_t>(bytes.size()), &offset, &value) != TSS2_RC_SUCCESS
        || offset != static_cast<size_t>(bytes.size()))
        return std::nullopt;
    return value;
}

/// Empty when the structure cannot be marshalled, which a value from a TPM always can.
template <auto Marshal, class T>
[[nodiscard]] QByteArray marshalled(const T &value)
{
    QByteArray bytes(static_cast<qsizetype>(sizeof(T)), Qt::Uninitialized);
    size_t offset = 0;
    if (Marshal(&value, reinterpret_cast<uint8_t *>(bytes.data()), static_cast<size_t>(bytes.size()), &offset)
        != TSS2_RC_SUCCESS)
        return {};
    bytes.truncate(static_cast<qsizetype>(offset));
    return bytes;
}

[[nodiscard]] std::optional<TPMT_PUBLIC> publicFromBytes(QByteArrayView bytes);
[[nodiscard]] QByteArray bytesOf(const TPMT_PUBLIC &area);
[[nodiscard]] std::optional<TPMS_ATTEST> attestFromBytes(QByteArrayView bytes);
[[nodiscard]] std::optional<TPMT_SIGNATURE> signatureFromBytes(QByteArrayView bytes);
[[nodiscard]] QByteArray bytesOf(const TPMT_SIGNATURE &signature);

/// The contents of a TPM2B of any kind.
template <class Sized>
[[nodiscard]] QByteArray contentOf(uint16_t size, const Sized *buffer)
{
    return {reinterpret_cast<const char *>(buffer), static_cast<qsizetype>(size)};
}

/// SHA-1, SHA-256, SHA-384, SHA-512; null for others.
[[nodiscard]] const EVP_MD *digestOf(TPMI_ALG_HASH algorithm);
/// "sha1" … "sha512"; empty for others.
[[nodiscard]] QString nameOfHash(TPMI_ALG_HASH algorithm);
/// TPM2_ALG_NULL for other names.
[[nodiscard]] TPMI_ALG_HASH hashByName(const QString &name);
/// Empty when the algorithm is not known.
[[nodiscard]] QByteArray digest(TPMI_ALG_HASH algorithm, QByteArrayView bytes);

/// TPM 2.0 part 1 section 16: the algorithm, then the digest of the public area.
[[nodiscard]] QByteArray nameOf(TPMI_ALG_HASH nameAlg, QByteArrayView publicArea);

/// RSA, and ECC on P-256, P-384 and P-521; Unsupported for others, Malformed for a point that is
/// not on its curve.
[[nodiscard]] Result<EvpKeyPtr> evpKeyOf(const TPMT_PUBLIC &area);
[[nodiscard]] QByteArray subjectPublicKeyInfo(const EVP_PKEY *key);
[[nodiscard]] EvpKeyPtr keyFromSubjectPublicKeyInfo(const QByteArray &der);

/// Whole DER only: bytes after it are refused.
[[nodiscard]] tls::X509Ptr certificateFromWholeDer(const QByteArray &der);

/// Empty when OpenSSL has none to give.
[[nodiscard]] QByteArray randomBytes(qsizetype size);

/// In constant time for equal lengths.
[[nodiscard]] bool equalSecretly(QByteArrayView a, QByteArrayView b);

} // namespace lintel::tpm
