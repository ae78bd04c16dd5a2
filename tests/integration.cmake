# Real processes together; they need the programs of this build.
if(LINTEL_BUILD_TESTS)
  lintel_add_test(tst_building integration/tst_building.cpp integration/running_building.h
    LIBRARIES Lintel::Cli LABELS slow TIMEOUT 600)
  add_dependencies(tst_building lintel-sensor lintel-gateway lintel-backend)
endif()
