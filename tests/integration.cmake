# Real processes together; they need the programs of this build.
if(LINTEL_BUILD_TESTS)
  foreach(name building authority_outage foreign_node demo_life lintelctl_call)
    lintel_add_test(tst_${name} integration/tst_${name}.cpp integration/running_building.h
      LIBRARIES Lintel::Cli LABELS slow TIMEOUT 600)
    add_dependencies(tst_${name} lintel-authority lintel-sensor lintel-gateway lintel-backend lintelctl lintel_mosquitto)
  endforeach()
  if(TARGET lintel-console)
    lintel_add_test(tst_console_live integration/tst_console_live.cpp integration/running_building.h
      LIBRARIES Lintel::Cli Qt6::Gui LABELS gui slow TIMEOUT 600)
    add_dependencies(tst_console_live lintel-sensor lintel-gateway lintel-backend lintel-console)
    lintel_add_test(tst_demo_replay integration/tst_demo_replay.cpp
      LIBRARIES Lintel::Historian Qt6::Gui LABELS gui slow TIMEOUT 300)
    add_dependencies(tst_demo_replay lintel-authority lintel-sensor lintel-gateway lintel-backend lintel-console
      lintelctl lintel_mosquitto)
  endif()
  # What goes wrong while everything runs.
  foreach(name bad_input_live bad_messages_live wrong_identity_live full_disk)
    lintel_add_test(tst_${name} integration/tst_${name}.cpp integration/live_building.h integration/running_building.h
      LIBRARIES Lintel::Cli Lintel::TestBroker Lintel::MqttPaho Lintel::Tls LABELS slow TIMEOUT 600)
    add_dependencies(tst_${name} lintel-sensor lintel-gateway lintel-backend)
  endforeach()
  lintel_add_test(tst_bad_input_clock integration/tst_bad_input_clock.cpp integration/live_building.h
    integration/running_building.h LIBRARIES Lintel::Cli LABELS slow TIMEOUT 600)
  target_compile_definitions(tst_bad_input_clock PRIVATE
    LINTEL_SHIFTED_CLOCK="$<TARGET_FILE:lintel_shifted_clock>")
  if(LINTEL_ASAN_RUNTIME)
    target_compile_definitions(tst_bad_input_clock PRIVATE LINTEL_ASAN_RUNTIME="${LINTEL_ASAN_RUNTIME}")
  endif()
  add_dependencies(tst_bad_input_clock lintel_shifted_clock lintel-sensor lintel-gateway lintel-backend lintelctl)
  lintel_add_test(tst_bad_input integration/tst_bad_input.cpp LIBRARIES Lintel::Tls Qt6::Network)
  add_dependencies(tst_bad_input lintel-sensor lintel-gateway lintel-backend lintelctl)
endif()

foreach(name end_to_end memory)
  lintel_add_benchmark(bench_${name} bench/bench_${name}.cpp LIBRARIES Lintel::Cli Qt6::Test)
  if(TARGET bench_${name})
    add_dependencies(bench_${name} lintel-authority lintel-sensor lintel-gateway lintel-backend lintel_mosquitto)
  endif()
endforeach()
