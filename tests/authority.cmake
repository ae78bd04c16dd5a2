# The authority's core, and the formats that SPIFFE fixes.
lintel_add_test(tst_spiffe_x509 unit/tst_spiffe_x509.cpp fakes/odd_certificate.h LIBRARIES Lintel::Tls OpenSSL::Crypto)
lintel_add_test(tst_spiffe_jwt unit/tst_spiffe_jwt.cpp fakes/odd_certificate.h LIBRARIES Lintel::Tls OpenSSL::Crypto)
lintel_add_test(tst_authority_parts unit/tst_authority_parts.cpp LIBRARIES Lintel::AuthorityCore)
lintel_add_test(tst_authority_config unit/tst_authority_config.cpp LIBRARIES Lintel::AuthorityProgram)
foreach(subject admission entries boot_record state)
  lintel_add_test(tst_authority_${subject} unit/tst_authority_${subject}.cpp fakes/attested_agent.h fakes/authority_fixture.h
    fakes/odd_certificate.h LIBRARIES Lintel::AuthorityCore OpenSSL::Crypto)
endforeach()
lintel_add_test(tst_spiffe_bundle unit/tst_spiffe_bundle.cpp fakes/attested_agent.h fakes/authority_fixture.h
  fakes/odd_certificate.h LIBRARIES Lintel::AuthorityCore OpenSSL::Crypto TIMEOUT 300)
lintel_add_test(tst_clock_watch unit/tst_clock_watch.cpp LIBRARIES Lintel::AuthorityCore)
lintel_add_test(tst_authority_clock unit/tst_authority_clock.cpp fakes/attested_agent.h fakes/authority_fixture.h
  LIBRARIES Lintel::AuthorityCore)
lintel_add_test(tst_authority_upkeep unit/tst_authority_upkeep.cpp fakes/attested_agent.h fakes/authority_fixture.h
  fakes/faulty_vfs.cpp fakes/faulty_vfs.h LIBRARIES Lintel::AuthorityCore OpenSSL::Crypto SQLite::SQLite3 TIMEOUT 300)
# Every method of its services, as clients call it.
foreach(subject service entry_service admin_service)
  lintel_add_test(tst_authority_${subject} unit/tst_authority_${subject}.cpp fakes/served_authority.h fakes/attested_agent.h
    fakes/authority_fixture.h LIBRARIES Lintel::AuthorityService Lintel::SpireWire)
endforeach()
lintel_add_test(tst_authority_floods unit/tst_authority_floods.cpp fakes/served_authority.h fakes/attested_agent.h
  fakes/authority_fixture.h fakes/faulty_vfs.cpp fakes/faulty_vfs.h
  LIBRARIES Lintel::AuthorityService Lintel::SpireWire SQLite::SQLite3 LABELS threads TIMEOUT 300)
lintel_add_test(tst_authority_limits unit/tst_authority_limits.cpp fakes/authority_fixture.h fakes/attested_agent.h
  fakes/faulty_vfs.cpp fakes/faulty_vfs.h fakes/odd_certificate.h
  LIBRARIES Lintel::AuthorityProgram Lintel::SpireWire OpenSSL::Crypto SQLite::SQLite3)
lintel_add_test(tst_authority_kill integration/tst_authority_kill.cpp fakes/authority_fixture.h LIBRARIES Lintel::AuthorityCore)
lintel_add_test(tst_pkcs11_keys integration/tst_pkcs11_keys.cpp fakes/authority_fixture.h LIBRARIES Lintel::AuthorityCore Lintel::Pkcs11)
lintel_add_benchmark(bench_authority bench/bench_authority.cpp bench/authority_load.cpp bench/authority_load.h
  bench/authority_core.cpp bench/authority_core.h fakes/authority_under_test.cpp fakes/authority_under_test.h
  fakes/spire_programs.cpp fakes/spire_programs.h
  LIBRARIES Lintel::AuthorityCore Lintel::Spire Lintel::Tpm Lintel::TestTpm Lintel::Tls Lintel::Cli OpenSSL::Crypto)
if(TARGET bench_authority)
  add_dependencies(bench_authority lintel-authority lintelctl)
endif()
lintel_add_benchmark(bench_revocation bench/bench_revocation.cpp fakes/live_authority.h
  LIBRARIES Lintel::AuthorityService Lintel::WorkloadApi Lintel::GuardedBroker Lintel::TestTpm Lintel::Tpm Lintel::Spire Qt6::Test)
lintel_add_fuzzer(fuzz_bundle_document fuzz/fuzz_bundle_document.cpp LIBRARIES Lintel::Tls)
lintel_add_fuzzer(fuzz_jwt_svid fuzz/fuzz_jwt_svid.cpp LIBRARIES Lintel::Tls)
lintel_add_fuzzer(fuzz_deny_list fuzz/fuzz_deny_list.cpp LIBRARIES Lintel::Tls)
lintel_add_fuzzer(fuzz_csr fuzz/fuzz_csr.cpp LIBRARIES Lintel::Tls)
lintel_add_fuzzer(fuzz_enrolment_csv fuzz/fuzz_enrolment_csv.cpp LIBRARIES Lintel::AuthorityCore)
# Measured boot and floods of attestations, through the processes.
lintel_add_test(tst_authority_boot integration/tst_authority_boot.cpp
  fakes/authority_under_test.cpp fakes/authority_under_test.h
  LIBRARIES Lintel::Spire Lintel::SpireWire Lintel::Tpm Lintel::TestTpm Lintel::Tls PkgConfig::TSS2_ALL LABELS slow TIMEOUT 600)
if(TARGET tst_authority_boot)
  add_dependencies(tst_authority_boot lintel-authority lintelctl)
endif()

# Which chips are let in: makers, types of attestation, and what is told to whom.
lintel_add_test(tst_chip_admission integration/tst_chip_admission.cpp fakes/odd_certificate.h
  fakes/authority_under_test.cpp fakes/authority_under_test.h
  LIBRARIES Lintel::Spire Lintel::SpireWire Lintel::Tpm Lintel::TestTpm Lintel::Tls OpenSSL::Crypto LABELS slow TIMEOUT 400)
if(TARGET tst_chip_admission)
  add_dependencies(tst_chip_admission lintel-authority lintelctl)
endif()

# An authority whose clock jumps, through the processes.
lintel_add_test(tst_authority_clock_process integration/tst_authority_clock_process.cpp
  fakes/authority_under_test.cpp fakes/authority_under_test.h LIBRARIES Lintel::Process Lintel::Ports LABELS slow TIMEOUT 300)
if(TARGET tst_authority_clock_process)
  add_dependencies(tst_authority_clock_process lintel-authority lintelctl lintel_shifted_clock)
  target_compile_definitions(tst_authority_clock_process PRIVATE LINTEL_SHIFTED_CLOCK="$<TARGET_FILE:lintel_shifted_clock>")
  if(LINTEL_ASAN_RUNTIME)
    target_compile_definitions(tst_authority_clock_process PRIVATE LINTEL_ASAN_RUNTIME="${LINTEL_ASAN_RUNTIME}")
  endif()
endif()

# With SPIRE's own programs, where the environment names them (docs/spiffe-conformance.md); skips without them.
lintel_add_test(tst_spire_interop integration/tst_spire_interop.cpp
  fakes/spire_programs.cpp fakes/spire_programs.h fakes/authority_under_test.cpp fakes/authority_under_test.h
  LIBRARIES Lintel::Spire Lintel::Tpm Lintel::TestTpm Lintel::Tls LABELS slow TIMEOUT 900)
if(TARGET tst_spire_interop)
  add_dependencies(tst_spire_interop lintel-authority lintelctl)
endif()
