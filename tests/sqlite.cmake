# The stores of an agent: contract, faults, kill -9, and what they cost.
find_package(SQLite3 3.37 REQUIRED)
lintel_add_test(tst_memory_spool unit/tst_memory_spool.cpp contract/reading_spool_contract.h LIBRARIES Lintel::Ports)
lintel_add_test(tst_sqlite_spool_contract unit/tst_sqlite_spool_contract.cpp contract/reading_spool_contract.h LIBRARIES Lintel::Sqlite)
lintel_add_test(tst_sqlite_power_cut unit/tst_sqlite_power_cut.cpp contract/reading_spool_contract.h fakes/faulty_vfs.cpp fakes/faulty_vfs.h
  LIBRARIES Lintel::Sqlite SQLite::SQLite3)
lintel_add_test(tst_sqlite_spool unit/tst_sqlite_spool.cpp contract/reading_spool_contract.h LIBRARIES Lintel::Sqlite)
lintel_add_test(tst_loss_note unit/tst_loss_note.cpp contract/reading_spool_contract.h LIBRARIES Lintel::Sqlite)
lintel_add_test(tst_sqlite_stores unit/tst_sqlite_stores.cpp LIBRARIES Lintel::Sqlite)
lintel_add_test(tst_sqlite_state_store contract/tst_sqlite_state_store.cpp contract/state_store_contract.h
  LIBRARIES Lintel::Sqlite)
lintel_add_test(tst_spool_kill integration/tst_spool_kill.cpp contract/reading_spool_contract.h LIBRARIES Lintel::Sqlite LABELS slow TIMEOUT 300)
lintel_add_benchmark(bench_spool bench/bench_spool.cpp LIBRARIES Lintel::Sqlite SQLite::SQLite3)
