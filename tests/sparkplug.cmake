# core/sparkplug: codec, sessions, and the foreign codec of npm.
foreach(name payload point_metrics state_message)
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
foreach(side host edge)
  lintel_add_fuzzer(fuzz_${side} fuzz/fuzz_${side}.cpp fakes/scripted_transport.h LIBRARIES Lintel::Sparkplug)
  if(TARGET fuzz_${side})
    set_target_properties(fuzz_${side} PROPERTIES AUTOMOC ON)
    target_include_directories(fuzz_${side} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  endif()
endforeach()

lintel_add_benchmark(bench_codec bench/bench_codec.cpp LIBRARIES Lintel::Sparkplug lintel_sparkplug_wire)
