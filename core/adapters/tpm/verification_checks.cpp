#include "tpm/verification_checks.h"

#include "tpm/event_log.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include <QCryptographicHash>

namespace lintel::tpm {

using namespace Qt::StringLiterals;

namespace {
constexpr TPMA_OBJECT kBoundToTpm = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN;
constexpr int kMinRsaBits = 2048;

using CsrPtr = std::unique_ptr<X509_REQ, tls::Freer<X509_REQ_free>>;
using EcdsaPtr = std::unique_ptr<ECDSA_SIG, tls::Freer<ECDSA_SIG_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, tls::Freer<EVP_MD_CTX_free>>;

Error denied(const QString &sentence)
{
    return {Errc::Denied, sentence};
}

bool isSha2(TPMI_ALG_HASH hash)
{
    return hash == TPM2_ALG_SHA256 || hash == TPM2_ALG_SHA384 || hash == TPM2_ALG_SHA512;
}

bool isLargeEnough(const TPMT_PUBLIC &area)
{
    return area.type != TPM2_ALG_RSA || area.parameters.rsaDetail.keyBits >= kMinRsaBits;
}

QByteArray derOf(const TPMS_SIGNATURE_ECDSA &signature)
{
    const EcdsaPtr pair{ECDSA_SIG_new()};
    tls::BignumPtr r{BN_bin2bn(signature.signatureR.buffer, signature.signatureR.size, nullptr)};
    tls::BignumPtr s{BN_bin2bn(signature.signatureS.buffer, signature.signatureS.size, nullptr)};
    if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1)
        return {};
    static_cast<void>(r.release());
    static_cast<void>(s.release());
    uint8_t *der = nullptr;
    const int size = i2d_ECDSA_SIG(pair.get(), &der);
    if (size <= 0)
        return {};
    QByteArray bytes(reinterpret_cast<const char *>(der), size);
    OPENSSL_free(der);
    return bytes;
}

bool verifies(EVP_PKEY *key, TPMI_ALG_HASH hash, const QByteArray &message, const QByteArray &signature, bool pss)
{
    const DigestContext context{EVP_MD_CTX_new()};
    EVP_PKEY_CTX *keyContext = nullptr;
    const bool ok =
        context && EVP_DigestVerifyInit(context.get(), &keyContext, digestOf(hash), nullptr, key) == 1
        && (!pss || EVP_PKEY_CTX_set_rsa_padding(keyContext, RSA_PKCS1_PSS_PADDING) == 1)
        && EVP_DigestVerify(context.get(), reinterpret_cast<const uint8_t *>(signature.constData()),
                            static_cast<size_t>(signature.size()),
                            reinterpret_cast<const uint8_t *>(message.constData()), static_cast<size_t>(message.size()))
               == 1;
    ERR_clear_error();
    return ok;
}

/// The signature's scheme and hash must be those of the key: a restricted key has no others.
bool isSignedBy(const PublicArea &ak, const QByteArray &message, const TPMT_SIGNATURE &signature)
{
    const TPMI_ALG_HASH hash = signingHash(ak);
    if (ak.area.type == TPM2_ALG_ECC) {
        const TPMS_SIGNATURE_ECDSA &ecdsa = signature.signature.ecdsa;
        return signature.sigAlg == TPM2_ALG_ECDSA && ecdsa.hash == hash
               && verifies(ak.key.get(), hash, message, derOf(ecdsa), false);
    }
    const TPMI_ALG_RSA_SCHEME scheme = ak.area.parameters.rsaDetail.scheme.scheme;
    if (signature.sigAlg != scheme)
        return false;
    const TPMS_SIGNATURE_RSA &rsa = scheme == TPM2_ALG_RSASSA ? signature.signature.rsassa : signature.signature.rsapss;
    return rsa.hash == hash
           && verifies(ak.key.get(), hash, message, contentOf(rsa.sig.size, rsa.sig.buffer), scheme == TPM2_ALG_RSAPSS);
}
} // namespace

Result<PublicArea> readPublicArea(const QByteArray &bytes, const QString &what)
{
    const auto area = publicFromBytes(bytes);
    if (!area)
        return Error{Errc::Malformed, u"%1 is not a public area of TPM 2.0."_s.arg(what)};
    auto key = evpKeyOf(*area);
    if (!key)
        return Error{key.error().code, u"%1: %2"_s.arg(what, key.error().message)};
    PublicArea out{bytes, *area, nameOf(area->nameAlg, bytes), std::move(*key)};
    if (!isSha2(area->nameAlg) || out.name.isEmpty())
        return Error{Errc::Unsupported, u"%1 has a name that is not made with SHA-2."_s.arg(what)};
    return out;
}

TPMI_ALG_HASH signingHash(const PublicArea &ak)
{
    // anySig is the common form of every scheme with one hash (part 2, 11.2.1)
    if (ak.area.type == TPM2_ALG_ECC)
        return ak.area.parameters.eccDetail.scheme.details.ecdsa.hashAlg;
    return ak.area.parameters.rsaDetail.scheme.details.rsassa.hashAlg;
}

Result<void> checkAttestationKey(const PublicArea &ak)
{
    const TPMA_OBJECT attributes = ak.area.objectAttributes;
    if (!(attributes & TPMA_OBJECT_RESTRICTED))
        return denied(u"The attestation key is not restricted: it would sign statements that no TPM made."_s);
    if (!(attributes & TPMA_OBJECT_FIXEDTPM))
        return denied(u"The attestation key can be copied to another TPM."_s);
    if ((attributes & kBoundToTpm) != kBoundToTpm)
        return denied(u"The attestation key was not made in the TPM that holds it."_s);
    if (!(attributes & TPMA_OBJECT_SIGN_ENCRYPT) || (attributes & TPMA_OBJECT_DECRYPT))
        return denied(u"The attestation key is not a key for signatures only."_s);
    const bool ecdsa = ak.area.type == TPM2_ALG_ECC && ak.area.parameters.eccDetail.scheme.scheme == TPM2_ALG_ECDSA;
    const auto rsaScheme = ak.area.parameters.rsaDetail.scheme.scheme;
    const bool rsa = ak.area.type == TPM2_ALG_RSA && (rsaScheme == TPM2_ALG_RSASSA || rsaScheme == TPM2_ALG_RSAPSS);
    if ((!ecdsa && !rsa) || !isSha2(signingHash(ak)) || !isLargeEnough(ak.area))
        return denied(u"The attestation key does not sign with ECDSA or RSA of 2,048 bits and SHA-2."_s);
    return {};
}

Result<EndorsementScheme> checkEndorsementKey(const PublicArea &ek)
{
    const TPMA_OBJECT attributes = ek.area.objectAttributes;
    if ((attributes & kBoundToTpm) != kBoundToTpm || !(attributes & TPMA_OBJECT_RESTRICTED)
        || !(attributes & TPMA_OBJECT_DECRYPT) || (attributes & TPMA_OBJECT_SIGN_ENCRYPT))
        return denied(u"The endorsement key does not have the attributes of one: a decryption key that cannot "
                      "leave its TPM."_s);
    const TPMT_SYM_DEF_OBJECT &symmetric =
        ek.area.type == TPM2_ALG_RSA ? ek.area.parameters.rsaDetail.symmetric : ek.area.parameters.eccDetail.symmetric;
    const int bits = symmetric.keyBits.aes;
    if (symmetric.algorithm != TPM2_ALG_AES || symmetric.mode.aes != TPM2_ALG_CFB || (bits != 128 && bits != 256)
        || !isLargeEnough(ek.area))
        return denied(u"The endorsement key uses algorithms outside of the TCG's profile."_s);
    return EndorsementScheme{ek.area.nameAlg, bits};
}

Result<void> checkCertifiedKey(const PublicArea &key)
{
    const TPMA_OBJECT attributes = key.area.objectAttributes;
    if ((attributes & kBoundToTpm) != kBoundToTpm)
        return denied(u"The key of the certificate request can leave its TPM, or was not made there."_s);
    if (!(attributes & TPMA_OBJECT_SIGN_ENCRYPT) || (attributes & (TPMA_OBJECT_DECRYPT | TPMA_OBJECT_RESTRICTED)))
        return denied(u"The key of the certificate request is not an ordinary signing key."_s);
    return {};
}

Result<EndorsementKey> identifyEndorsement(const QByteArray &publicKeyDer, const QByteArray &certificateDer,
                                           const AttestationPolicy &policy, Timestamp now)
{
    EndorsementKey ek;
    ek.publicKeyDer = publicKeyDer;
    ek.hash = endorsementHash(publicKeyDer);
    ek.certificateDer = certificateDer;
    if (certificateDer.isEmpty()) {
        if (policy.requireVendorCertificate)
            return denied(u"The TPM has no endorsement certificate, and this authority asks for one."_s);
        return ek;
    }
    const tls::X509Ptr certificate = certificateFromWholeDer(certificateDer);
    if (!certificate)
        return Error{Errc::Malformed, u"The endorsement certificate cannot be read."_s};
    if (subjectPublicKeyInfo(X509_get0_pubkey(certificate.get())) != publicKeyDer)
        return denied(u"The endorsement certificate belongs to another endorsement key."_s);
    const auto verdict = policy.vendors
                             ? policy.vendors->verify(certificateDer, now)
                             : VendorAuthorities::Verdict{
                                 EndorsementChain::UnknownAuthority, u"This authority knows no TPM vendor."_s, {}, {}};
    ek.chain = verdict.chain;
    ek.chainReason = verdict.reason;
    ek.chip = verdict.chip;
    ek.issuer = verdict.issuer;
    if (policy.requireVendorCertificate && ek.chain == EndorsementChain::UnknownAuthority)
        return Error{Errc::NotFound, ek.chainReason};
    if (policy.requireVendorCertificate && ek.chain != EndorsementChain::Verified)
        return denied(ek.chainReason);
    return ek;
}

QString EndorsementKey::maker() const
{
    if (chain != EndorsementChain::Verified)
        return {};
    if (!chip.manufacturer.isEmpty())
        return chip.manufacturer;
    return issuer.isEmpty() ? u"a maker without a name"_s : issuer;
}

Result<EndorsementKey> examineEndorsementCertificate(const QByteArray &certificateDer, const AttestationPolicy &policy,
                                                     Timestamp now)
{
    const tls::X509Ptr certificate = certificateFromWholeDer(certificateDer);
    const EVP_PKEY *key = certificate ? X509_get0_pubkey(certificate.get()) : nullptr;
    if (!key)
        return Error{Errc::Malformed, u"This is not an endorsement certificate in DER."_s};
    return identifyEndorsement(subjectPublicKeyInfo(key), certificateDer, policy, now);
}

Result<Csr> readCsr(const QByteArray &der)
{
    const auto *at = reinterpret_cast<const uint8_t *>(der.constData());
    const uint8_t *const end = at + der.size();
    const CsrPtr csr{d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size()))};
    EVP_PKEY *key = csr ? X509_REQ_get0_pubkey(csr.get()) : nullptr;
    ERR_clear_error();
    if (!csr || at != end || !key)
        return Error{Errc::Malformed, u"The certificate request (CSR) is not one in DER."_s};
    const int verified = X509_REQ_verify(csr.get(), key);
    ERR_clear_error();
    if (verified != 1)
        return denied(u"The signature of the certificate request (CSR) is broken: whoever sent it does not hold "
                      "its key."_s);
    return Csr{subjectPublicKeyInfo(key)};
}

Result<TPMS_ATTEST> checkStatement(const PublicArea &ak, const QByteArray &attest, const QByteArray &signature,
                                   TPMI_ST_ATTEST kind, const QByteArray &qualifyingData, const QString &what)
{
    const auto statement = attestFromBytes(attest);
    const auto signedBy = signatureFromBytes(signature);
    if (!statement || !signedBy)
        return Error{Errc::Malformed, u"%1 is not a statement of TPM 2.0 with a signature."_s.arg(what)};
    if (!isSignedBy(ak, attest, *signedBy))
        return denied(u"%1 is not signed by the attestation key."_s.arg(what));
    if (statement->magic != TPM2_GENERATED_VALUE)
        return denied(u"%1 was not made by a TPM."_s.arg(what));
    if (statement->type != kind)
        return denied(u"%1 is a statement about something else."_s.arg(what));
    if (!equalSecretly(contentOf(statement->extraData.size, statement->extraData.buffer), qualifyingData))
        return denied(u"%1 was made for another challenge, connection or certificate request."_s.arg(what));
    return *statement;
}

Result<QuotedSelection> selectionOf(const TPMS_ATTEST &quote)
{
    const TPML_PCR_SELECTION &selections = quote.attested.quote.pcrSelect;
    if (selections.count != 1)
        return denied(u"The quote is not about exactly one bank of PCRs."_s);
    const TPMS_PCR_SELECTION &one = selections.pcrSelections[0];
    QuotedSelection out{one.hash, {}};
    for (int byte = 0; byte < one.sizeofSelect && byte < TPM2_PCR_SELECT_MAX; ++byte)
        for (int bit = 0; bit < 8; ++bit)
            if (one.pcrSelect[byte] & (1 << bit))
                out.pcrs.append(byte * 8 + bit);
    return out;
}

Result<void> checkPcrDigest(const TPMS_ATTEST &quote, TPMI_ALG_HASH hash, const QMap<int, QByteArray> &values)
{
    QByteArray all;
    for (const QByteArray &value : values)
        all += value;
    const TPM2B_DIGEST &quoted = quote.attested.quote.pcrDigest;
    if (!equalSecretly(digest(hash, all), contentOf(quoted.size, quoted.buffer)))
        return denied(u"The PCR values are not those that the TPM quoted."_s);
    return {};
}

Result<void> checkCertifies(const TPMS_ATTEST &certificate, const PublicArea &key)
{
    const TPM2B_NAME &name = certificate.attested.certify.name;
    if (!equalSecretly(contentOf(name.size, name.name), key.name))
        return denied(u"The TPM certifies another key than that of the certificate request."_s);
    return {};
}

void noteQuote(VerifiedAttestation &out, const TPMS_ATTEST &quote, const QByteArray &attest,
               const QByteArray &signature)
{
    out.quoted = true;
    out.resetCount = quote.clockInfo.resetCount;
    out.restartCount = quote.clockInfo.restartCount;
    out.clockMillis = quote.clockInfo.clock;
    out.firmwareVersion = quote.firmwareVersion;
    out.quote = attest;
    out.quoteSignature = signature;
}

VerifiedAttestation::EventLogFacts examineEventLog(const QByteArray &bytes, const QMap<int, QByteArray> &pcrs)
{
    VerifiedAttestation::EventLogFacts facts;
    facts.bytes = bytes;
    const auto log = parseEventLog(bytes);
    if (!log) {
        facts.reason = log.error().message;
        return facts;
    }
    facts.events = static_cast<int>(log->events.size());
    if (!log->hasSha256) {
        facts.reason = u"The boot event log has no SHA-256 digests."_s;
        return facts;
    }
    const QMap<int, QByteArray> replayed = replay(*log);
    for (auto it = pcrs.begin(); it != pcrs.end(); ++it) {
        if (replayed.contains(it.key()) && replayed.value(it.key()) != *it) {
            facts.reason = u"The boot event log does not lead to the quoted value of PCR %1."_s.arg(it.key());
            return facts;
        }
    }
    facts.explainsPcrs = true;
    if (pcrs.contains(7))
        facts.secureBoot = secureBootOf(*log);
    return facts;
}

Result<QByteArray> publicKeyOfCsr(const QByteArray &csrDer)
{
    const auto csr = readCsr(csrDer);
    if (!csr)
        return csr.error();
    return csr->publicKeyDer;
}

QString endorsementHash(const QByteArray &publicKeyDer)
{
    return QString::fromLatin1(QCryptographicHash::hash(publicKeyDer, QCryptographicHash::Sha256).toHex());
}

Result<QString> endorsementHashOfCertificate(const QByteArray &certificateDer)
{
    const tls::X509Ptr certificate = certificateFromWholeDer(certificateDer);
    const EVP_PKEY *key = certificate ? X509_get0_pubkey(certificate.get()) : nullptr;
    if (!key)
        return Error{Errc::Malformed, u"This is not an endorsement certificate in DER."_s};
    return endorsementHash(subjectPublicKeyInfo(key));
}

} // namespace lintel::tpm
