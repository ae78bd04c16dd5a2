# Configuration, logging, drivers and the sensor agent.
lintel_add_test(tst_config unit/tst_config.cpp LIBRARIES Lintel::SensorAgent Lintel::Yaml)
lintel_add_test(tst_log unit/tst_log.cpp LIBRARIES Lintel::Log LABELS threads)
foreach(name csv driver_simulated)
  lintel_add_test(tst_${name} unit/tst_${name}.cpp LIBRARIES Lintel::Drivers)
endforeach()
lintel_add_test(tst_driver_sysfs unit/tst_driver_sysfs.cpp LIBRARIES Lintel::Drivers LABELS threads)
lintel_add_test(tst_driver_replay unit/tst_driver_replay.cpp LIBRARIES Lintel::Drivers Lintel::SensorAgent Lintel::Sqlite)
lintel_add_test(tst_shipped_maps unit/tst_shipped_maps.cpp LIBRARIES Lintel::Drivers Lintel::Yaml)
lintel_add_test(tst_report_filter unit/tst_report_filter.cpp LIBRARIES Lintel::SensorAgent)
lintel_add_test(tst_sensor_agent unit/tst_sensor_agent.cpp LIBRARIES Lintel::SensorAgent Lintel::MqttLoopback)

lintel_add_fuzzer(fuzz_csv fuzz/fuzz_csv.cpp LIBRARIES Lintel::Drivers)
lintel_add_fuzzer(fuzz_config fuzz/fuzz_config.cpp LIBRARIES Lintel::SensorAgent)

# What an idle sensor costs. Lintel::TestBroker is declared in mqtt.cmake, and links by name.
lintel_add_benchmark(bench_memory bench/bench_memory.cpp LIBRARIES Lintel::TestBroker Lintel::MqttPaho Lintel::Sparkplug)
if(TARGET bench_memory)
  add_dependencies(bench_memory lintel-sensor)
endif()
