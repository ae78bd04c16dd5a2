// The configuration file of lintel-authority, one typed struct. Values only. docs/configuration.md
// describes every key.
#pragma once

#include "adapters/yaml/common_config.h"
#include "authority/authority_config.h"
#include "ports/attestor.h"

#include <QList>

namespace lintel::authority {

/// Section key_store: where the keys of the CA lie.
struct KeyStoreConfig {
    enum class Provider { Files, Pkcs11, Tpm };
    Provider provider = Provider::Files;
    QString module;                                      // pkcs11: the library
    QString token;                                       // pkcs11: label of the token
    QString pinFile;                                     // pkcs11: holds the PIN alone
    QString tcti = QStringLiteral("device:/dev/tpmrm0"); // tpm
};

/// Section bundle_endpoint; absent: none.
struct BundleEndpointConfig {
    bool isEnabled = false;
    QString host = QStringLiteral("0.0.0.0");
    quint16 port = 8443;
    bool isWeb = false;  // profile https_web, with the two files
    QString certificate; // PEM, leaf first
    QString key;         // PEM
};

struct ProgramConfig {
    /// Only the sections that an authority has: observability.
    CommonConfig common;
    AuthorityConfig authority;
    QString host = QStringLiteral("0.0.0.0");
    quint16 port = 8081;
    QString adminSocket = QStringLiteral("/run/lintel/authority.sock");
    uint adminMode = 0600;
    BundleEndpointConfig bundles;
    KeyStoreConfig keys;
    QString vendorDir;                      // certificates of TPM makers; empty: none is trusted
    bool requiresVendorCertificate = false; // whoever has none of theirs is refused, enrolled or not
    QList<int> pcrs = {0, 1, 2, 3, 4, 5, 6, 7, 14};
    bool quotesSpireTpm = false; // agents of type "tpm" are asked for them as well
    std::chrono::seconds challengeLifetime{60};
    /// What agents of type "lintel_tpm" may tie their attestation to.
    QList<ChannelBinding> channelBindings{ChannelBinding::Exporter};
};

/// The whole file; Malformed lists everything that is wrong with it, a line each.
[[nodiscard]] Result<ProgramConfig> readProgramConfig(const QString &path);

} // namespace lintel::authority
