# core/sparkplug: codec, sessions, and the foreign codec of npm.
foreach(name payload point_metrics)
  lintel_add_test(tst_${name} unit/tst_${name}.cpp LIBRARIES Lintel::Sparkplug)
endforeach()
foreach(name edge_node_session edge_custody)
  lintel_add_test(tst_${name} unit/tst_${name}.cpp fakes/edge_under_test.h fakes/scripted_transport.h
    LIBRARIES Lintel::Sparkplug)
endforeach()
foreach(name host_session host_data)
  lintel_add_test(tst_${name} unit/tst_${name}.cpp fakes/host_under_test.h fakes/scripted_transport.h
    LIBRARIES Lintel::Sparkplug)
endforeach()
lintel_add_test(tst_sparkplug_pair unit/tst_sparkplug_pair.cpp fakes/scripted_transport.h
  LIBRARIES Lintel::Custody Lintel::Sparkplug)
lintel_add_test(tst_foreign_payload integration/tst_foreign_payload.cpp LIBRARIES Lintel::Sparkplug)

lintel_add_fuzzer(fuzz_payload fuzz/fuzz_payload.cpp LIBRARIES Lintel::Sparkplug)
lintel_add_fuzzer(fuzz_host fuzz/fuzz_host.cpp fakes/scripted_transport.h LIBRARIES Lintel::Sparkplug)
if(TARGET fuzz_host)
  set_target_properties(fuzz_host PROPERTIES AUTOMOC ON)
  target_include_directories(fuzz_host PRIVATE "${PROJECT_SOURCE_DIR}/tests")
endif()

lintel_add_benchmark(bench_codec bench/bench_codec.cpp LIBRARIES Lintel::Sparkplug lintel_sparkplug_wire)
