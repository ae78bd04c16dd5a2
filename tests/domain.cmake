# core/domain and core/calls.
foreach(name timestamp unit reading point qt_cbor spiffe_id principal topic)
  lintel_add_test(tst_${name} unit/tst_${name}.cpp LIBRARIES Lintel::Domain)
endforeach()
lintel_add_test(tst_memory_fakes unit/tst_memory_fakes.cpp LIBRARIES Lintel::Ports)
lintel_add_test(tst_memory_state_store contract/tst_memory_state_store.cpp contract/state_store_contract.h
  LIBRARIES Lintel::Ports)
foreach(name codec client server)
  lintel_add_test(tst_call_${name} unit/tst_call_${name}.cpp fakes/call_bus.h
    LIBRARIES Lintel::Calls Lintel::MqttLoopback)
endforeach()

foreach(name topic spiffe_id batch)
  lintel_add_fuzzer(fuzz_${name} fuzz/fuzz_${name}.cpp LIBRARIES Lintel::Domain)
endforeach()
lintel_add_fuzzer(fuzz_call fuzz/fuzz_call.cpp LIBRARIES Lintel::Calls)
