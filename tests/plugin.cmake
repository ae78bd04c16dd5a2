# The broker's plugin: its rules alone, and in a real mosquitto.
find_library(LINTEL_MOSQUITTO_LIBRARY mosquitto)
find_path(LINTEL_MOSQUITTO_CLIENT_INCLUDE mosquitto.h)
if(NOT LINTEL_MOSQUITTO_LIBRARY OR NOT LINTEL_MOSQUITTO_CLIENT_INCLUDE)
  message(FATAL_ERROR "libmosquitto is missing; install it with scripts/bootstrap (Debian: libmosquitto-dev).")
endif()

lintel_add_library(lintel_guarded_broker ALIAS GuardedBroker INCLUDE "${PROJECT_SOURCE_DIR}/tests"
  SOURCES
    fakes/guarded_broker.cpp fakes/guarded_broker.h
    fakes/mosquitto_client.cpp fakes/mosquitto_client.h
  PUBLIC Lintel::BrokerRules Lintel::Tls Lintel::TestBroker Qt6::Network
  PRIVATE Lintel::MosquittoConfig "${LINTEL_MOSQUITTO_LIBRARY}")
target_include_directories(lintel_guarded_broker SYSTEM PRIVATE "${LINTEL_MOSQUITTO_CLIENT_INCLUDE}")
target_compile_definitions(lintel_guarded_broker PRIVATE LINTEL_PLUGIN="$<TARGET_FILE:lintel_mosquitto>")
add_dependencies(lintel_guarded_broker lintel_mosquitto)
# A clock of its own for one process; preloaded, so without the sanitizers' runtime in it.
add_library(lintel_shifted_clock MODULE fakes/shifted_clock.cpp)
set_target_properties(lintel_shifted_clock PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
target_compile_options(lintel_shifted_clock PRIVATE -fno-sanitize=all)
target_link_options(lintel_shifted_clock PRIVATE -fno-sanitize=all)
target_link_libraries(lintel_shifted_clock PRIVATE Lintel::Warnings)
target_compile_definitions(lintel_guarded_broker PRIVATE LINTEL_SHIFTED_CLOCK="$<TARGET_FILE:lintel_shifted_clock>")
add_dependencies(lintel_guarded_broker lintel_shifted_clock)
if(LINTEL_ASAN_RUNTIME)
  target_compile_definitions(lintel_guarded_broker PRIVATE LINTEL_ASAN_RUNTIME="${LINTEL_ASAN_RUNTIME}")
  # The same for buildings and demos that tests start: they find this mosquitto before the installed one.
  find_program(LINTEL_MOSQUITTO mosquitto PATHS /usr/sbin /usr/local/sbin REQUIRED)
  set(mosquitto_with_runtime "${CMAKE_BINARY_DIR}/bin/mosquitto")
  file(WRITE "${mosquitto_with_runtime}" "#!/bin/sh\n"
    "LD_PRELOAD='${LINTEL_ASAN_RUNTIME}' ASAN_OPTIONS=detect_leaks=0 exec '${LINTEL_MOSQUITTO}' \"$@\"\n")
  file(CHMOD "${mosquitto_with_runtime}"
    PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
endif()

lintel_add_test(tst_topic_table unit/tst_topic_table.cpp LIBRARIES Lintel::BrokerRules)
lintel_add_test(tst_broker_roles unit/tst_broker_roles.cpp LIBRARIES Lintel::BrokerRules)
lintel_add_test(tst_broker_guard unit/tst_broker_guard.cpp LIBRARIES Lintel::BrokerRules)
lintel_add_test(tst_broker_time unit/tst_broker_time.cpp LIBRARIES Lintel::BrokerRules)
lintel_add_test(tst_broker_clock integration/tst_broker_clock.cpp LIBRARIES Lintel::GuardedBroker LABELS slow TIMEOUT 200)
lintel_add_test(tst_broker_plugin integration/tst_broker_plugin.cpp
  LIBRARIES Lintel::GuardedBroker Lintel::MqttPaho LABELS slow TIMEOUT 300)

lintel_add_fuzzer(fuzz_broker_files fuzz/fuzz_broker_files.cpp LIBRARIES Lintel::BrokerRules)
lintel_add_fuzzer(fuzz_topic_filter fuzz/fuzz_topic_filter.cpp LIBRARIES Lintel::BrokerRules)

lintel_add_benchmark(bench_broker_plugin bench/bench_broker_plugin.cpp LIBRARIES Lintel::GuardedBroker)

# The queue, as the agent of a broker hears of it.
lintel_add_test(tst_waiting_devices integration/tst_waiting_devices.cpp fakes/live_authority.h
  LIBRARIES Lintel::AuthorityService Lintel::TestTpm Lintel::Tpm LABELS slow TIMEOUT 200)
lintel_add_fuzzer(fuzz_waiting_devices fuzz/fuzz_waiting_devices.cpp LIBRARIES Lintel::Spire)
