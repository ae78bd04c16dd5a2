# The stores of an agent: contract, faults, kill -9, and what they cost.
find_package(SQLite3 3.37 REQUIRED)
lintel_add_test(tst_memory_spool unit/tst_memory_spool.cpp contract/reading_spool_contract.h LIBRARIES Lintel::Ports)
lintel_add_test(tst_sqlite_spool_contract unit/tst_sqlite_spool_contract.cpp contract/reading_spool_contract.h LIBRARIES Lintel::Sqlite)
lintel_add_test(tst_sqlite_power_cut unit/tst_sqlite_power_cut.cpp contract/reading_spool_contract.h fakes/faulty_vfs.cpp fakes/faulty_vfs.h
  LIBRARIES Lintel::Sqlite SQLite::SQLite3)
