// Bundles between files, the authority's messages and the screen. Pure but for reading files.
#pragma once

#include "authority/group.h"
#include "tls/bundle_document.h"

namespace lintel::cli {

/// A SPIFFE bundle document, or PEM roots. Malformed, NotFound, Io.
[[nodiscard]] Result<tls::BundleDocument> readBundleFile(const QString &path);
[[nodiscard]] tls::BundleDocument bundleOf(const ::spire::api::types::Bundle &bundle);
void fill(::spire::api::types::Bundle *out, const QString &domain, const tls::BundleDocument &bundle);
/// {"trust_domain", "sequence", "refresh_hint_s", "roots": [{"serial", "not_after"}], "jwt_keys": […]}
[[nodiscard]] QJsonObject bundleJson(const QString &domain, const tls::BundleDocument &bundle);
/// As above, and "document".
[[nodiscard]] QJsonObject wholeBundleJson(const QString &domain, const tls::BundleDocument &bundle);

} // namespace lintel::cli
