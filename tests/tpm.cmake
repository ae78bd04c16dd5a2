# Attestation with a TPM, on software TPMs that each test starts and ends.
find_package(OpenSSL 3.0 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(TSS2_ALL REQUIRED IMPORTED_TARGET tss2-mu>=3.2 tss2-esys>=3.2 tss2-tctildr>=3.2)
lintel_add_library(lintel_test_tpm ALIAS TestTpm INCLUDE "${PROJECT_SOURCE_DIR}/tests"
  SOURCES fakes/software_tpm.cpp fakes/software_tpm.h
  PUBLIC Qt6::Core)

lintel_add_test(tst_tpm_device unit/tst_tpm_device.cpp unit/tpm_test_tools.h
  LIBRARIES Lintel::Tpm Lintel::TpmVerify Lintel::Tls Lintel::TestTpm OpenSSL::SSL OpenSSL::Crypto)
lintel_add_test(tst_tpm_threads unit/tst_tpm_threads.cpp unit/tpm_test_tools.h
  LIBRARIES Lintel::Tpm Lintel::TpmVerify Lintel::Tls Lintel::TestTpm OpenSSL::SSL OpenSSL::Crypto LABELS threads)
lintel_add_test(tst_tpm_attestation unit/tst_tpm_attestation.cpp unit/tpm_test_tools.h unit/boot_log.h
  LIBRARIES Lintel::Tpm Lintel::TpmVerify Lintel::Tls Lintel::TestTpm OpenSSL::SSL OpenSSL::Crypto PkgConfig::TSS2_ALL
  LABELS slow)
lintel_add_test(tst_event_log unit/tst_event_log.cpp unit/boot_log.h LIBRARIES Lintel::TpmVerify)

# Every parser of bytes that a network or a machine's firmware sends.
lintel_add_fuzzer(fuzz_tpm_authority fuzz/fuzz_tpm_authority.cpp
  LIBRARIES Lintel::TpmVerify Lintel::Tls OpenSSL::Crypto PkgConfig::TSS2_ALL)
lintel_add_fuzzer(fuzz_tpm_challenge fuzz/fuzz_tpm_challenge.cpp LIBRARIES Lintel::TpmVerify)
lintel_add_fuzzer(fuzz_event_log fuzz/fuzz_event_log.cpp LIBRARIES Lintel::TpmVerify)
