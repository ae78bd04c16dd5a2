lintel_add_test(tst_svid_keeper unit/tst_svid_keeper.cpp LIBRARIES Lintel::Identity)
lintel_add_test(tst_own_identity unit/tst_own_identity.cpp LIBRARIES Lintel::ServiceMain)
