lintel_add_test(tst_historian unit/tst_historian.cpp LIBRARIES Lintel::Historian LABELS threads)
lintel_add_test(tst_historian_schema unit/tst_historian_schema.cpp LIBRARIES Lintel::Historian)
lintel_add_test(tst_authority_schema unit/tst_authority_schema.cpp LIBRARIES Lintel::AuthorityCore)
lintel_add_test(tst_ingestion_service unit/tst_ingestion_service.cpp fakes/loopback_edge.h
  LIBRARIES Lintel::Ingestion Lintel::MqttLoopback)
lintel_add_test(tst_retention unit/tst_retention.cpp LIBRARIES Lintel::Ingestion LABELS threads)
lintel_add_test(tst_age_clock unit/tst_age_clock.cpp LIBRARIES Lintel::Custody)
lintel_add_test(tst_historian_store unit/tst_historian_store.cpp contract/custody_store_contract.h LIBRARIES Lintel::Ingestion)
