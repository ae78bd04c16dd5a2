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
    PASS_REGULAR_EXPRESSION "5 files, 5 includes break the rule")
endif()
