# A real broker with a PKI of its own, for everybody's tests.
lintel_add_library(lintel_test_broker ALIAS TestBroker INCLUDE "${PROJECT_SOURCE_DIR}/tests"
  SOURCES fakes/mosquitto_broker.cpp fakes/mosquitto_broker.h
  PUBLIC Lintel::Ports Lintel::Tls Lintel::MqttCommon Qt6::Network
  PRIVATE Lintel::MosquittoConfig)

lintel_add_test(tst_loopback_transport contract/tst_loopback_transport.cpp contract/mqtt_transport_contract.h
  LIBRARIES Lintel::MqttLoopback)
lintel_add_test(tst_paho_transport contract/tst_paho_transport.cpp contract/mqtt_transport_contract.h
  contract/mqtt_tls_contract.h fakes/scripted_tls_broker.h fakes/tcp_proxy.h
  LIBRARIES Lintel::MqttPaho Lintel::TestBroker Qt6::Network LABELS threads slow TIMEOUT 300)

lintel_add_test(tst_pki unit/tst_pki.cpp LIBRARIES Lintel::Tls)
lintel_add_test(tst_x509 unit/tst_x509.cpp LIBRARIES Lintel::Tls)
lintel_add_test(tst_file_identity_source unit/tst_file_identity_source.cpp LIBRARIES Lintel::Tls LABELS threads)
lintel_add_test(tst_file_identity_contract contract/tst_file_identity_contract.cpp contract/identity_source_contract.h
  LIBRARIES Lintel::Tls LABELS threads)
lintel_add_test(tst_memory_identity_source contract/tst_memory_identity_source.cpp contract/identity_source_contract.h
  LIBRARIES Lintel::TestBroker LABELS threads)

if(TARGET Lintel::MqttQt)
  lintel_add_test(tst_qt_mqtt_transport contract/tst_qt_mqtt_transport.cpp contract/mqtt_transport_contract.h
    contract/mqtt_tls_contract.h fakes/scripted_tls_broker.h fakes/tcp_proxy.h
    LIBRARIES Lintel::MqttQt Lintel::TestBroker Qt6::Network LABELS slow TIMEOUT 300)
endif()
lintel_add_test(tst_shipped_broker integration/tst_shipped_broker.cpp
  LIBRARIES Lintel::MosquittoConfig Lintel::TestBroker Qt6::Network)
lintel_add_test(tst_reconnection unit/tst_reconnection.cpp LIBRARIES Lintel::Gateway Lintel::ServiceMain)
