# The gateway: custody, what it knows of its sensors, the service.
lintel_add_test(tst_custody_intake unit/tst_custody_intake.cpp LIBRARIES Lintel::Custody)
lintel_add_test(tst_device_table unit/tst_device_table.cpp LIBRARIES Lintel::Gateway)
lintel_add_test(tst_gateway_service unit/tst_gateway_service.cpp fakes/loopback_edge.h
  LIBRARIES Lintel::Gateway Lintel::MqttLoopback)
lintel_add_test(tst_history_pruning unit/tst_history_pruning.cpp LIBRARIES Lintel::Gateway)
lintel_add_test(tst_spool_store unit/tst_spool_store.cpp contract/custody_store_contract.h
  LIBRARIES Lintel::Gateway Lintel::Sqlite)
lintel_add_test(tst_gateway_names unit/tst_gateway_names.cpp fakes/loopback_edge.h
  LIBRARIES Lintel::Gateway Lintel::MqttLoopback)
lintel_add_test(tst_trust_report unit/tst_trust_report.cpp fakes/loopback_edge.h
  LIBRARIES Lintel::Gateway Lintel::MqttLoopback)
lintel_add_test(tst_gateway_config unit/tst_gateway_config.cpp LIBRARIES Lintel::Gateway)
