# core/adapters/grpc: both ends against each other, against broken peers, and against programs that
# we did not write.
lintel_add_test(tst_grpc unit/tst_grpc.cpp fakes/grpc_pair.h LIBRARIES Lintel::Grpc Lintel::Tls LABELS threads TIMEOUT 300)
lintel_add_test(tst_grpc_tls unit/tst_grpc_tls.cpp fakes/grpc_pair.h fakes/odd_certificate.h
  LIBRARIES Lintel::Grpc Lintel::Tls OpenSSL::Crypto TIMEOUT 300)
lintel_add_test(tst_grpc_abuse integration/tst_grpc_abuse.cpp fakes/grpc_pair.h fakes/raw_http2.h
  LIBRARIES Lintel::Grpc Lintel::Tls Qt6::Network LABELS slow TIMEOUT 300)
lintel_add_test(tst_grpc_floods unit/tst_grpc_floods.cpp fakes/grpc_pair.h fakes/raw_http2.h
  LIBRARIES Lintel::Grpc Lintel::Tls TIMEOUT 300)
lintel_add_test(tst_grpc_resets integration/tst_grpc_resets.cpp fakes/grpc_pair.h fakes/raw_http2.h
  LIBRARIES Lintel::Grpc Lintel::Tls Qt6::Network TIMEOUT 200)
lintel_add_test(tst_foreign_grpc integration/tst_foreign_grpc.cpp fakes/grpc_pair.h
  LIBRARIES Lintel::Grpc Lintel::Tls LABELS foreign slow TIMEOUT 600)
lintel_add_test(tst_grpc_wire unit/tst_grpc_wire.cpp LIBRARIES Lintel::Grpc)
lintel_add_fuzzer(fuzz_grpc_server fuzz/fuzz_grpc_server.cpp LIBRARIES Lintel::Grpc)
lintel_add_benchmark(bench_grpc bench/bench_grpc.cpp LIBRARIES Lintel::Grpc Lintel::Tls Qt6::Test)
