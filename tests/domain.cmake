# core/domain and core/calls.
foreach(name timestamp unit reading point spiffe_id principal topic)
  lintel_add_test(tst_${name} unit/tst_${name}.cpp LIBRARIES Lintel::Domain)
endforeach()
