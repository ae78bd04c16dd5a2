// The certificate authorities of TPM vendors that this authority trusts, and what an endorsement
// certificate under them says about a chip.
// TCG EK Credential Profile 2.5 sections 3 (fields, purposes) and 2.2 (NV indices).
//
// Immutable after loading: share it between threads. A directory that changed is loaded anew.
#pragma once

#include "domain/result.h"
#include "domain/timestamp.h"

#include <QByteArray>
#include <QList>
#include <QString>

#include <memory>

namespace lintel::tpm {

enum class EndorsementChain {
    NoCertificate,
    Verified,         // leads to a vendor's root in the directory
    UnknownAuthority, // well-formed, but nobody in the directory signed it
    Invalid,          // expired, wrong purpose, broken signature …
};

struct ChipModel {
    QString manufacturer; // as in the certificate: "id:49465800"
    QString model;
    QString version;
};

class VendorAuthorities
{
public:
    /// Reads every file of `dir` (PEM with any number of certificates, or one in DER). Each of them is
    /// trusted, a root or not, as spire-tpm-plugin does. A file that is neither is Malformed, by its
    /// name; NotFound when there is no such directory. An empty directory trusts nobody.
    [[nodiscard]] static Result<std::shared_ptr<const VendorAuthorities>> load(const QString &dir);
    [[nodiscard]] static Result<std::shared_ptr<const VendorAuthorities>> fromCertificates(
        const QList<QByteArray> &certificatesDer);

    ~VendorAuthorities();
    VendorAuthorities(const VendorAuthorities &) = delete;
    VendorAuthorities &operator=(const VendorAuthorities &) = delete;

    struct Verdict {
        EndorsementChain chain = EndorsementChain::Invalid;
        QString reason; // a sentence unless Verified
        ChipModel chip;
        QString issuer; // whose signature it bears, as in the certificate: "CN=Maker's EK CA,O=Maker"
    };
    /// Whether this certificate is an endorsement certificate under one of these, valid at `at`.
    [[nodiscard]] Verdict verify(const QByteArray &certificateDer, Timestamp at) const;
    [[nodiscard]] qsizetype count() const;

private:
    VendorAuthorities();
    struct Stores;
    std::unique_ptr<Stores> m_stores;
};

} // namespace lintel::tpm
