# Software that we did not write, against ours.
if(TARGET Lintel::MqttPaho AND TARGET Lintel::MosquittoConfig)
  lintel_add_test(tst_foreign_spiffe integration/tst_foreign_spiffe.cpp
    fakes/mosquitto_broker.cpp fakes/mosquitto_broker.h
    LIBRARIES Lintel::MqttPaho Lintel::MosquittoConfig Lintel::Tls Qt6::Network
    LABELS foreign slow TIMEOUT 300)
endif()
