# The console. Needs the GUI; golden pictures only with the offscreen platform, the software
# renderer and the built-in font, which lintel_add_test sets.
if(LINTEL_BUILD_GUI AND TARGET lintel_console_qml)
  foreach(subject store charts devices live_page connection units)
    lintel_add_test(tst_console_${subject} unit/tst_console_${subject}.cpp LIBRARIES Lintel::ViewModels LABELS gui)
  endforeach()
  lintel_add_test(tst_console_feed unit/tst_console_feed.cpp
    LIBRARIES Lintel::ViewModels Lintel::ExampleBuilding Lintel::Custody LABELS gui)
  foreach(subject pages trust_page)
    lintel_add_test(tst_console_${subject} qml/tst_console_${subject}.cpp fakes/console_stage.h
      LIBRARIES Lintel::ViewModels lintel_viewmodelsplugin lintel_console_qml lintel_console_qmlplugin
                Lintel::ExampleBuilding Qt6::Quick Qt6::Widgets Qt6::Charts
      LABELS gui ENVIRONMENT "TZ=UTC")
  endforeach()

  # The program itself: a picture and a report without a display, one sentence without anything.
  add_test(NAME console_offline COMMAND lintel-console --offline --after 2 --report -
    --screenshot "${CMAKE_BINARY_DIR}/tests/console-offline.png")
  set_tests_properties(console_offline PROPERTIES LABELS gui TIMEOUT 60 PASS_REGULAR_EXPRESSION "\"devices\":9"
    ENVIRONMENT "QT_QPA_PLATFORM=offscreen;QT_QUICK_BACKEND=software;LC_ALL=C.UTF-8")
  add_test(NAME console_noDisplay COMMAND "${CMAKE_COMMAND}" -E env --unset=DISPLAY --unset=WAYLAND_DISPLAY
    --unset=QT_QPA_PLATFORM $<TARGET_FILE:lintel-console> --offline)
  set_tests_properties(console_noDisplay PROPERTIES LABELS gui TIMEOUT 60 PASS_REGULAR_EXPRESSION "There is no display")

  add_test(NAME console_refusesUnknownUnits COMMAND lintel-console --offline --units imperial)
  set_tests_properties(console_refusesUnknownUnits PROPERTIES LABELS gui TIMEOUT 60
    PASS_REGULAR_EXPRESSION "^lintel-console: --units imperial: expected as-reported, metric or us\\.\n$")

  lintel_add_test(tst_console_screen integration/tst_console_screen.cpp LIBRARIES Qt6::Gui LABELS gui slow)
  if(TARGET tst_console_screen)
    add_dependencies(tst_console_screen lintel-console)
  endif()

  lintel_add_test(tst_console_config integration/tst_console_config.cpp LABELS gui)
  if(TARGET tst_console_config)
    add_dependencies(tst_console_config lintel-console)
  endif()

  add_test(NAME console_loadsItsShippedExample COMMAND lintel-console
    --config "${PROJECT_SOURCE_DIR}/resources/config/console.yaml" --offline --exit-after 0)
  set_tests_properties(console_loadsItsShippedExample PROPERTIES LABELS gui TIMEOUT 60
    ENVIRONMENT "QT_QPA_PLATFORM=offscreen;QT_QUICK_BACKEND=software;LC_ALL=C.UTF-8")

  # The Trust page, fed by a building of real processes.
  lintel_add_test(tst_console_trust integration/tst_console_trust.cpp integration/running_building.h
    LIBRARIES Lintel::ViewModels Lintel::Cli Lintel::MqttConsole Lintel::MqttPaho Lintel::Spire Lintel::Tpm
              Lintel::TestBroker Lintel::TestTpm Lintel::Tls
    LABELS gui slow TIMEOUT 600)
  if(TARGET tst_console_trust)
    add_dependencies(tst_console_trust lintel-authority lintel-sensor lintel-gateway lintel-backend lintelctl lintel_mosquitto)
  endif()

  find_program(LINTEL_QMLLINT qmllint HINTS /usr/lib/qt6/bin)
  if(LINTEL_QMLLINT)
    file(GLOB_RECURSE console_qml "${PROJECT_SOURCE_DIR}/qml/*.qml")
    add_test(NAME qml_lint COMMAND "${LINTEL_QMLLINT}" -I "${QT_QML_OUTPUT_DIRECTORY}" ${console_qml})
    set_tests_properties(qml_lint PROPERTIES LABELS gui FAIL_REGULAR_EXPRESSION "Warning:;Error:")
  endif()
endif()

# Needs nothing of the GUI: the file that reads, by itself.
lintel_add_fuzzer(fuzz_call_answers fuzz/fuzz_call_answers.cpp "${PROJECT_SOURCE_DIR}/app/feed/call_answers.cpp"
  LIBRARIES Lintel::Sparkplug Lintel::Calls)
if(TARGET fuzz_call_answers)
  target_include_directories(fuzz_call_answers PRIVATE "${PROJECT_SOURCE_DIR}/app")
endif()
