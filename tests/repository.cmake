# The rules of the repository itself.
find_package(Python3 COMPONENTS Interpreter)
if(LINTEL_BUILD_TESTS AND Python3_Interpreter_FOUND)
  add_test(NAME dependency_rule
    COMMAND ${Python3_EXECUTABLE} "${PROJECT_SOURCE_DIR}/scripts/check-dependencies" "${PROJECT_SOURCE_DIR}")
  # The check itself must find each kind of wrong include, and no right one.
  add_test(NAME dependency_rule_findsBrokenIncludes
    COMMAND ${Python3_EXECUTABLE} "${PROJECT_SOURCE_DIR}/scripts/check-dependencies"
      "${PROJECT_SOURCE_DIR}/tests/fixtures/broken-rule")
  set_tests_properties(dependency_rule_findsBrokenIncludes PROPERTIES
    PASS_REGULAR_EXPRESSION "12 files, 17 includes break the rule")
  # The tests that the documents name; docs/spiffe-conformance.md has one in each row.
  add_test(NAME named_tests_areThere
    COMMAND ${Python3_EXECUTABLE} "${PROJECT_SOURCE_DIR}/scripts/check-named-tests" "${PROJECT_SOURCE_DIR}")
  add_test(NAME named_tests_findsWrongNames
    COMMAND ${Python3_EXECUTABLE} "${PROJECT_SOURCE_DIR}/scripts/check-named-tests"
      "${PROJECT_SOURCE_DIR}/tests/fixtures/broken-names")
  set_tests_properties(named_tests_findsWrongNames PROPERTIES
    PASS_REGULAR_EXPRESSION "1 documents name 11 times a test, 9 times wrongly")
  # What a device loads, libraries of libraries included; lintelctl shows that the check finds something.
  if(TARGET lintel-sensor)
    add_test(NAME sensor_loadsNothingHeavy
      COMMAND ${Python3_EXECUTABLE} "${PROJECT_SOURCE_DIR}/scripts/check-linkage" "$<TARGET_FILE:lintel-sensor>")
  endif()
  if(TARGET lintelctl)
    add_test(NAME linkage_findsHeavyLibraries
      COMMAND ${Python3_EXECUTABLE} "${PROJECT_SOURCE_DIR}/scripts/check-linkage" "$<TARGET_FILE:lintelctl>")
    set_tests_properties(linkage_findsHeavyLibraries PROPERTIES PASS_REGULAR_EXPRESSION "loads libQt6Network")
  endif()
endif()

# The systemd units and the programs that they start.
if(LINTEL_BUILD_TESTS AND Python3_Interpreter_FOUND AND TARGET lintel-gateway AND TARGET lintel-authority)
  add_test(NAME systemd_unitsFitTheirPrograms
    COMMAND ${Python3_EXECUTABLE} "${PROJECT_SOURCE_DIR}/packaging/check-units" "${CMAKE_BINARY_DIR}/bin")
  set_tests_properties(systemd_unitsFitTheirPrograms PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)
endif()

# A mistyped option must not start an hour of work.
if(LINTEL_BUILD_TESTS)
  add_test(NAME ci_saysHowItIsUsed COMMAND "${PROJECT_SOURCE_DIR}/.ci/run" --help)
  set_tests_properties(ci_saysHowItIsUsed PROPERTIES PASS_REGULAR_EXPRESSION "^usage: .ci/run\n" TIMEOUT 10)
  add_test(NAME ci_refusesArguments
    COMMAND sh -c "out=$(\"$0\" --quick 2>&1); [ $? -eq 2 ] && [ $(printf '%s\\n' \"$out\" | wc -l) -eq 1 ] && echo refused: \"$out\""
      "${PROJECT_SOURCE_DIR}/.ci/run")
  set_tests_properties(ci_refusesArguments PROPERTIES PASS_REGULAR_EXPRESSION "refused: .*takes no arguments" TIMEOUT 10)
endif()

# The presets that nothing else here configures.
if(LINTEL_BUILD_TESTS)
  foreach(preset dev coverage)
    add_test(NAME preset_${preset} COMMAND "${CMAKE_COMMAND}" --preset ${preset} -B "${CMAKE_BINARY_DIR}/presets/${preset}"
      WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
    set_tests_properties(preset_${preset} PROPERTIES TIMEOUT 300)
  endforeach()
endif()
