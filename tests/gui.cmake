# The console. Needs the GUI; golden pictures only with the offscreen platform, the software
# renderer and the built-in font, which lintel_add_test sets.
if(LINTEL_BUILD_GUI AND TARGET lintel_console_qml)
  lintel_add_test(tst_console_models unit/tst_console_models.cpp
    LIBRARIES Lintel::ViewModels LABELS gui)
  lintel_add_test(tst_console_feed unit/tst_console_feed.cpp
    LIBRARIES Lintel::ViewModels Lintel::ExampleBuilding Lintel::Custody LABELS gui)
  lintel_add_test(tst_console_pages qml/tst_console_pages.cpp
    LIBRARIES Lintel::ViewModels lintel_viewmodelsplugin lintel_console_qml lintel_console_qmlplugin
              Lintel::ExampleBuilding Qt6::Quick Qt6::Widgets Qt6::Charts
    LABELS gui ENVIRONMENT "TZ=UTC")
endif()
