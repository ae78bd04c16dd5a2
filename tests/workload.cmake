# The Workload API server: its rules, its callers, its real issuer, and clients that we did not write.
lintel_add_test(tst_workload_api unit/tst_workload_api.cpp fakes/workload_host.h
  LIBRARIES Lintel::WorkloadApi Lintel::SpireWire LABELS threads TIMEOUT 300)
lintel_add_test(tst_workload_rules unit/tst_workload_rules.cpp fakes/workload_host.h
  LIBRARIES Lintel::WorkloadApi Lintel::SpireWire)
lintel_add_test(tst_foreign_workload integration/tst_foreign_workload.cpp fakes/workload_host.h fakes/live_authority.h
  LIBRARIES Lintel::WorkloadApi Lintel::AuthorityProgram Lintel::TestTpm Lintel::Tpm LABELS foreign slow TIMEOUT 1800)
lintel_add_test(tst_workload_callers unit/tst_workload_callers.cpp LIBRARIES Lintel::WorkloadApi)
lintel_add_test(tst_workload_identity_source unit/tst_workload_identity_source.cpp fakes/workload_host.h
  LIBRARIES Lintel::WorkloadApi Lintel::SpireWire)
lintel_add_test(tst_workload_issuer integration/tst_workload_issuer.cpp fakes/live_authority.h
  LIBRARIES Lintel::WorkloadApi Lintel::AuthorityService Lintel::Spire Lintel::TestTpm Lintel::Tpm Qt6::Network
  LABELS slow TIMEOUT 300)
lintel_add_fuzzer(fuzz_workload_api fuzz/fuzz_workload_api.cpp LIBRARIES Lintel::WorkloadApi)
# The Workload API in lintel-gateway as a process, with lintel-authority, and a client that we did not write.
lintel_add_test(tst_gateway_process integration/tst_gateway_process.cpp
  fakes/authority_under_test.cpp fakes/authority_under_test.h
  LIBRARIES Lintel::Spire Lintel::SpireWire Lintel::Tpm Lintel::TestTpm Lintel::TestBroker Lintel::Tls
  LABELS foreign slow TIMEOUT 1800)
if(TARGET tst_gateway_process)
  add_dependencies(tst_gateway_process lintel-authority lintel-gateway lintelctl)
endif()
