lintel_add_test(tst_svid_keeper unit/tst_svid_keeper.cpp LIBRARIES Lintel::Identity)
