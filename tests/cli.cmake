# lintelctl: command lines, the demo's parts.
lintel_add_test(tst_cli_options unit/tst_cli_options.cpp LIBRARIES Lintel::Cli)
lintel_add_test(tst_demo_parts unit/tst_demo_parts.cpp fakes/scripted_transport.h LIBRARIES Lintel::Cli)
lintel_add_test(tst_recordings unit/tst_recordings.cpp LIBRARIES Lintel::Cli)
lintel_add_test(tst_wan_link unit/tst_wan_link.cpp LIBRARIES Lintel::Cli)
lintel_add_test(tst_latency_meter unit/tst_latency_meter.cpp LIBRARIES Lintel::Ingestion)
