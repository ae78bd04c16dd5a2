# Software that we did not write, against ours.
lintel_add_test(tst_foreign_spiffe integration/tst_foreign_spiffe.cpp
  LIBRARIES Lintel::TestBroker Lintel::MqttPaho Qt6::Network
  LABELS foreign slow TIMEOUT 300)
if(TARGET tst_foreign_spiffe)
  add_dependencies(tst_foreign_spiffe lintelctl)
endif()
