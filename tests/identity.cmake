lintel_add_test(tst_svid_keeper unit/tst_svid_keeper.cpp LIBRARIES Lintel::Identity)
lintel_add_test(tst_process_limits unit/tst_process_limits.cpp LIBRARIES Lintel::ServiceMain)
lintel_add_test(tst_own_identity unit/tst_own_identity.cpp LIBRARIES Lintel::ServiceMain)
lintel_add_test(tst_workload_endpoint unit/tst_workload_endpoint.cpp LIBRARIES Lintel::ServiceMain)
lintel_add_test(tst_identity_report unit/tst_identity_report.cpp LIBRARIES Lintel::ServiceMain)
# lintel-authority as a process, with lintelctl, and devices on software TPMs.
lintel_add_test(tst_authority_process integration/tst_authority_process.cpp
  fakes/authority_under_test.cpp fakes/authority_under_test.h
  LIBRARIES Lintel::Spire Lintel::SpireWire Lintel::Sqlite Lintel::Tpm Lintel::TestTpm Lintel::Tls LABELS slow TIMEOUT 600)
if(TARGET tst_authority_process)
  add_dependencies(tst_authority_process lintel-authority lintelctl)
endif()
lintel_add_test(tst_identity_life integration/tst_identity_life.cpp fakes/live_authority.h
  LIBRARIES Lintel::AuthorityService Lintel::GuardedBroker Lintel::TestTpm Lintel::Tpm Lintel::MqttPaho Lintel::Sparkplug LABELS slow TIMEOUT 400)
lintel_add_test(tst_directory_state_store contract/tst_directory_state_store.cpp contract/state_store_contract.h
  LIBRARIES Lintel::Spire)
# The client of bundle endpoints.
lintel_add_test(tst_http1_response unit/tst_http1_response.cpp LIBRARIES Lintel::Grpc)
lintel_add_fuzzer(fuzz_http1_response fuzz/fuzz_http1_response.cpp LIBRARIES Lintel::Grpc)
lintel_add_test(tst_partner_deny_lists integration/tst_partner_deny_lists.cpp fakes/live_authority.h
  LIBRARIES Lintel::AuthorityProgram Lintel::GuardedBroker Lintel::TestTpm Lintel::Tpm LABELS slow TIMEOUT 300)
lintel_add_test(tst_bundle_replay integration/tst_bundle_replay.cpp fakes/live_authority.h
  LIBRARIES Lintel::AuthorityService Lintel::WorkloadApi Lintel::Spire Lintel::Tpm Lintel::TestTpm TIMEOUT 300)
lintel_add_test(tst_clockless_board integration/tst_clockless_board.cpp fakes/live_authority.h
  LIBRARIES Lintel::AuthorityService Lintel::Spire Lintel::Tpm Lintel::TestTpm TIMEOUT 300)
lintel_add_test(tst_bundle_endpoints integration/tst_bundle_endpoints.cpp fakes/live_authority.h fakes/workload_host.h
  LIBRARIES Lintel::AuthorityProgram Lintel::WorkloadApi Lintel::TestTpm Lintel::Tpm Qt6::Network TIMEOUT 300)
lintel_add_test(tst_identity_threads integration/tst_identity_threads.cpp fakes/live_authority.h
  LIBRARIES Lintel::AuthorityService Lintel::Spire Lintel::Tpm Lintel::TestTpm LABELS threads TIMEOUT 300)
lintel_add_test(tst_entry_sync integration/tst_entry_sync.cpp fakes/live_authority.h
  LIBRARIES Lintel::AuthorityService Lintel::Spire Lintel::SpireWire Lintel::Tpm Lintel::TestTpm TIMEOUT 300)
