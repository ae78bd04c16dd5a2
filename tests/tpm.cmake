# Attestation with a TPM, on software TPMs that each test starts and ends.
find_package(OpenSSL 3.0 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(TSS2_MU REQUIRED IMPORTED_TARGET tss2-mu>=3.2)
lintel_add_library(lintel_test_tpm ALIAS TestTpm INCLUDE "${PROJECT_SOURCE_DIR}/tests"
  SOURCES fakes/software_tpm.cpp fakes/software_tpm.h
  PUBLIC Qt6::Core)

lintel_add_test(tst_tpm_device unit/tst_tpm_device.cpp unit/tpm_test_tools.h
  LIBRARIES Lintel::Tpm Lintel::TpmVerify Lintel::Tls Lintel::TestTpm OpenSSL::SSL OpenSSL::Crypto)
lintel_add_test(tst_tpm_threads unit/tst_tpm_threads.cpp unit/tpm_test_tools.h
  LIBRARIES Lintel::Tpm Lintel::TpmVerify Lintel::Tls Lintel::TestTpm OpenSSL::SSL OpenSSL::Crypto LABELS threads)
lintel_add_test(tst_tpm_attestation unit/tst_tpm_attestation.cpp unit/tpm_test_tools.h
  LIBRARIES Lintel::Tpm Lintel::TpmVerify Lintel::Tls Lintel::TestTpm OpenSSL::SSL OpenSSL::Crypto PkgConfig::TSS2_MU
  LABELS slow)
