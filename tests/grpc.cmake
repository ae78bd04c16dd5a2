# core/adapters/grpc: both ends against each other, against broken peers, and against programs that
# we did not write.
lintel_add_test(tst_grpc unit/tst_grpc.cpp fakes/grpc_pair.h LIBRARIES Lintel::Grpc Lintel::Tls LABELS threads TIMEOUT 300)
