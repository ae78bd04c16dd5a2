lintel_add_test(tst_payload unit/tst_payload.cpp LIBRARIES Lintel::Sparkplug)
lintel_add_test(tst_sparkplug_pair unit/tst_sparkplug_pair.cpp fakes/scripted_transport.h LIBRARIES Lintel::Sparkplug)
lintel_add_test(tst_foreign_payload integration/tst_foreign_payload.cpp LIBRARIES Lintel::Sparkplug)
