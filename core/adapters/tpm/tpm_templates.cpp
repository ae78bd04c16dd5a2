#include "tpm/tpm_templates.h"

#include <algorithm>
#include <array>

namespace lintel::tpm {

namespace {
constexpr TPMA_OBJECT kBound = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN;

/// PolicySecret(endorsement), SHA-256: PolicyA of the profile
constexpr std::array<uint8_t, 32> kPolicyA = {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
                                              0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
                                              0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};
/// PolicyB of the profile, SHA-384
constexpr std::array<uint8_t, 48> kPolicyB = {0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc,
                                              0xf5, 0xfd, 0x3a, 0x1a, 0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4,
                                              0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47, 0xba, 0x09,
                                              0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12};

template <size_t N>
void setPolicy(TPMT_PUBLIC &area, const std::array<uint8_t, N> &policy)
{
    area.authPolicy.size = N;
    std::copy(policy.begin(), policy.end(), area.authPolicy.buffer);
}

void setAes(TPMT_SYM_DEF_OBJECT &symmetric, TPMI_AES_KEY_BITS bits)
{
    symmetric.algorithm = TPM2_ALG_AES;
    symmetric.keyBits.aes = bits;
    symmetric.mode.aes = TPM2_ALG_CFB;
}

TPMT_PUBLIC ecc(TPMI_ECC_CURVE curve, TPMI_ALG_HASH nameAlg, TPMA_OBJECT attributes)
{
    TPMT_PUBLIC area{};
    area.type = TPM2_ALG_ECC;
    area.nameAlg = nameAlg;
    area.objectAttributes = attributes;
    TPMS_ECC_PARMS &parameters = area.parameters.eccDetail;
    parameters.symmetric.algorithm = TPM2_ALG_NULL;
    parameters.scheme.scheme = TPM2_ALG_NULL;
    parameters.curveID = curve;
    parameters.kdf.scheme = TPM2_ALG_NULL;
    return area;
}
} // namespace

TPMT_PUBLIC storageRootTemplate()
{
    TPMT_PUBLIC area =
        ecc(TPM2_ECC_NIST_P256, TPM2_ALG_SHA256,
            kBound | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT);
    setAes(area.parameters.eccDetail.symmetric, 128);
    return area;
}

TPMT_PUBLIC attestationKeyTemplate()
{
    TPMT_PUBLIC area =
        ecc(TPM2_ECC_NIST_P256, TPM2_ALG_SHA256,
            kBound | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT);
    area.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
    area.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
    return area;
}

TPMT_PUBLIC signingKeyTemplate()
{
    return ecc(TPM2_ECC_NIST_P256, TPM2_ALG_SHA256,
               kBound | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT);
}

TPMT_PUBLIC endorsementRsaTemplate()
{
    TPMT_PUBLIC area{};
    area.type = TPM2_ALG_RSA;
    area.nameAlg = TPM2_ALG_SHA256;
    area.objectAttributes = kBound | TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
    setPolicy(area, kPolicyA);
    setAes(area.parameters.rsaDetail.symmetric, 128);
    area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
    area.parameters.rsaDetail.keyBits = 2048;
    area.unique.rsa.size = 256; // zeroes, by the profile
    return area;
}

TPMT_PUBLIC endorsementEccP256Template()
{
    TPMT_PUBLIC area = ecc(TPM2_ECC_NIST_P256, TPM2_ALG_SHA256,
                           kBound | TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT);
    setPolicy(area, kPolicyA);
    setAes(area.parameters.eccDetail.symmetric, 128);
    area.unique.ecc.x.size = 32;
    area.unique.ecc.y.size = 32;
    return area;
}

TPMT_PUBLIC endorsementEccP384Template()
{
    TPMT_PUBLIC area = ecc(TPM2_ECC_NIST_P384, TPM2_ALG_SHA384,
                           kBound | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED
                               | TPMA_OBJECT_DECRYPT);
    setPolicy(area, kPolicyB);
    setAes(area.parameters.eccDetail.symmetric, 256);
    return area;
}

} // namespace lintel::tpm
